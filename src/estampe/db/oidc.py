"""What the database knows of an OpenID provider: detours to it that are under way, and whose its people are here."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Mapping
from typing import Final

import sqlalchemy as sa

from estampe import errors
from estampe.db import database, people, schema
from estampe.model import account, oidc

_attempts = schema.oidc_attempts
_identities = schema.oidc_identities
_users = schema.users
_members = schema.memberships
_MOST_ATTEMPTS: Final = 10_000  # some MiB; the oldest go first, so that filling it up keeps nobody out


class Attempts:
    """Detours under way. Times are given by the caller."""

    def __init__(self, db: database.Database, *, most: int = _MOST_ATTEMPTS) -> None:
        self._db = db
        self._most = most

    def add(self, new: oidc.Attempt, *, at: datetime.datetime) -> None:
        """Keep one; those that are over go."""
        values = {
            "state_digest": oidc.digest(new.state), "binding_digest": oidc.digest(new.binding), "nonce": new.nonce,
            "verifier": new.verifier, "redirect_uri": new.redirect_uri, "next": new.next, "account": new.account,
            "is_for_command": new.is_for_command, "expires_at": new.expires_at,
        }  # fmt: skip
        newest = sa.select(_attempts.c.state_digest).order_by(_attempts.c.expires_at.desc()).limit(self._most - 1)
        with self._db.write() as connection:
            connection.execute(sa.delete(_attempts).where(_attempts.c.expires_at <= at))
            connection.execute(sa.delete(_attempts).where(_attempts.c.state_digest.not_in(newest)))
            connection.execute(sa.insert(_attempts).values(values))

    def take(self, state: str, binding: str, *, is_for_command: bool, at: datetime.datetime) -> oidc.Taken | None:
        """The attempt of that state, for the first who asks and only for who began it; whoever asks, it is gone afterwards."""
        taken = sa.delete(_attempts).where(_attempts.c.state_digest == oidc.digest(state)).returning(*_attempts.c)
        with self._db.write() as connection:
            row = connection.execute(taken).one_or_none()
        if row is None or row.expires_at <= at or row.is_for_command is not is_for_command:
            return None
        if not oidc.proves(binding, row.binding_digest):
            return None
        return oidc.Taken(
            nonce=row.nonce, verifier=row.verifier, redirect_uri=row.redirect_uri, next=row.next, account=row.account
        )


class Identities:
    """Which user a provider's person is. A person is known by issuer and subject; a name only counts the first time."""

    def __init__(self, db: database.Database) -> None:
        self._db = db

    def admit(
        self, person: oidc.Person, *, new_id: uuid.UUID | None, at: datetime.datetime
    ) -> account.User | None:  # fmt: skip
        """The person's user; None: there is none.

        Who is not linked yet becomes the user of that name, if that one waits to be linked: it has neither a password nor
        another person. `new_id`: who is not known at all gets a new user of that id.
        """
        with self._db.write() as connection:
            is_person = (_identities.c.issuer == person.issuer, _identities.c.subject == person.subject)
            linked = sa.select(_users).join(_identities, _identities.c.user_id == _users.c.id).where(*is_person)
            found = connection.execute(linked).one_or_none()
            if found is not None or person.name is None:
                return None if found is None else people.as_user(found)
            row = people.find_row(connection, person.name)
            if row is None and new_id is not None:
                values = {
                    "id": new_id, "name": account.check_user_name(person.name), "password_hash": None,
                    "is_cloud_operator": False, "created_at": at,
                }  # fmt: skip
                connection.execute(sa.insert(_users).values(values))
                row = people.find_row(connection, person.name)
            if row is None or row.password_hash is not None or _is_linked(connection, row.id):
                return None
            _link(connection, row.id, issuer=person.issuer, subject=person.subject, at=at)
            return people.as_user(row)

    def link(self, name: str, *, issuer: str, subject: str, at: datetime.datetime) -> None:
        """Let the provider's person in as this user, in place of whom it was before.

        Raises: errors.UserNotFound, errors.NameInUse where the person is another user already.
        """
        with self._db.write() as connection:
            row = people.get_row(connection, name)
            taken = (_identities.c.issuer == issuer, _identities.c.subject == subject, _identities.c.user_id != row.id)
            if connection.execute(sa.select(_identities.c.user_id).where(*taken)).first() is not None:
                raise errors.NameInUse(name=subject, what="another user at the OpenID provider")
            connection.execute(sa.delete(_identities).where(_identities.c.user_id == row.id))
            people.sign_out(connection, row.id, at=at)
            _link(connection, row.id, issuer=issuer, subject=subject, at=at)

    def unlink(self, name: str, *, at: datetime.datetime) -> None:
        """Nobody at the provider is this user any more; who signed in as this user is signed out.

        Raises: errors.UserNotFound.
        """
        with self._db.write() as connection:
            row = people.get_row(connection, name)
            connection.execute(sa.delete(_identities).where(_identities.c.user_id == row.id))
            people.sign_out(connection, row.id, at=at)

    def set_roles(self, user_id: uuid.UUID, wanted: Mapping[str, account.Role | None]) -> list[str]:
        """Give the person these roles by account name (None: none), but for memberships made by hand.

        Returns names of accounts that there are not.
        """
        accounts = schema.accounts
        with self._db.write() as connection:
            query = sa.select(accounts.c.name, accounts.c.id).where(accounts.c.name.in_(wanted))
            known = {row.name: row.id for row in connection.execute(query)}
            for name, account_id in known.items():
                _set_role(connection, user_id, account_id, wanted[name])
        return sorted(set(wanted) - set(known))


def _set_role(
    connection: sa.Connection, user_id: uuid.UUID, account_id: uuid.UUID, role: account.Role | None
) -> None:  # fmt: skip
    is_membership = (_members.c.user_id == user_id, _members.c.account_id == account_id)
    row = connection.execute(sa.select(_members).where(*is_membership)).one_or_none()
    if row is not None and not row.is_mapped:
        return
    if role is None:
        connection.execute(sa.delete(_members).where(*is_membership))
    elif row is None:
        values = {"account_id": account_id, "user_id": user_id, "role": role, "is_mapped": True}
        connection.execute(sa.insert(_members).values(values))
    else:
        connection.execute(sa.update(_members).where(*is_membership).values(role=role))


def _link(
    connection: sa.Connection, user_id: uuid.UUID, *, issuer: str, subject: str, at: datetime.datetime
) -> None:  # fmt: skip
    values = {"issuer": issuer, "subject": subject, "user_id": user_id, "linked_at": at}
    connection.execute(sa.insert(_identities).values(values))


def _is_linked(connection: sa.Connection, user_id: uuid.UUID) -> bool:
    return connection.execute(sa.select(_identities).where(_identities.c.user_id == user_id)).first() is not None

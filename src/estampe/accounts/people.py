"""Users, made by the cloud operator, and members, kept by the owners of an account."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from estampe import errors
from estampe.accounts import passwords
from estampe.db import people as people_rows
from estampe.db import sign_ins as sign_in_rows
from estampe.model import access, account, sign_in


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleService:
    """People of one installation."""

    rows: people_rows.People
    attempts: sign_in_rows.SignIns
    passwords: passwords.Passwords
    now: Callable[[], datetime.datetime]
    new_id: Callable[[], uuid.UUID] = uuid.uuid4

    def add_user(self, name: str, *, password: str | None, is_cloud_operator: bool) -> account.User:
        """A new user; without a password nobody can sign in by that name.

        Raises: errors.InvalidName, errors.NameInUse, errors.InvalidRequest (the password).
        """
        account.check_user_name(name)
        kept = None if password is None else self.passwords.hash(account.check_password(password, user=name))
        return self.rows.add(
            id=self.new_id(), name=name, password_hash=kept, is_cloud_operator=is_cloud_operator, created_at=self.now()
        )

    def list_users(self) -> Sequence[account.User]:
        """All, by name."""
        return self.rows.list()

    def remove_user(self, name: str) -> None:
        """Drop the user with all memberships and keys. Raises: errors.UserNotFound."""
        self.rows.remove(name)

    def set_password(self, actor: access.Actor, name: str, *, password: str, current: str | None) -> None:
        """Change a password, and end all that was signed in with the old one.

        The cloud operator sets anybody's; a person their own, and proves to know it: whoever finds an open terminal
        does not.
        Raises: errors.UserNotFound (another person's as well), errors.InvalidRequest, errors.SignInRefused,
        errors.SignInLocked.
        """
        found = self.rows.find_secret(name)
        if found is None or not (actor.is_cloud_operator or found[0].id == actor.user_id):
            raise errors.UserNotFound(user=name)
        account.check_password(password, user=name)
        if not actor.is_cloud_operator:
            self._prove(actor, name, found[1], current)
        self.rows.set_password(name, self.passwords.hash(password), at=self.now())

    def _prove(self, actor: access.Actor, name: str, kept: str | None, current: str | None) -> None:
        if current is None:
            raise errors.InvalidRequest(field="current", problem="the password until now is needed")
        counted = sign_in.keys(name, actor.address)
        self.attempts.begin(counted, at=self.now())
        if not self.passwords.verify(kept, current):
            raise errors.SignInRefused
        self.attempts.succeed(counted)

    def knows(self, name: str) -> bool:
        """Whether there is a user of that name."""
        return self.rows.find_secret(name) is not None

    # --- members --------------------------------------------------------------------------------------------------

    def list_members(self, account_id: uuid.UUID) -> Sequence[account.Member]:
        """The account's, by name."""
        return self.rows.list_members(account_id)

    def add_member(self, account_id: uuid.UUID, name: str, role: account.Role) -> account.Member:
        """Raises: errors.UserNotFound, errors.NameInUse."""
        return self.rows.set_member(account_id, name, role, is_new=True)

    def set_role(self, account_id: uuid.UUID, name: str, role: account.Role) -> account.Member:
        """Holds at once, also for keys that the member has made. Raises: errors.MemberNotFound."""
        return self.rows.set_member(account_id, name, role, is_new=False)

    def remove_member(self, account_id: uuid.UUID, name: str) -> None:
        """The member's keys in this account let nobody in from now on. Raises: errors.MemberNotFound."""
        self.rows.remove_member(account_id, name)

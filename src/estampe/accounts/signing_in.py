"""Signing in with a password: a name and a password become an API key that lives some hours."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass

from estampe import errors
from estampe.accounts import keys, passwords, views
from estampe.db import accounts as account_rows
from estampe.db import people as people_rows
from estampe.db import sign_ins as sign_in_rows
from estampe.model import access, account, sign_in


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInService:
    """Signs people in. Names that do not exist take as long, and are counted and locked, as those that do."""

    people: people_rows.People
    accounts: account_rows.Accounts
    attempts: sign_in_rows.SignIns
    passwords: passwords.Passwords
    keys: keys.KeyService
    now: Callable[[], datetime.datetime]
    life: datetime.timedelta

    def sign_in(self, *, name: str, password: str, account_name: str | None, address: str) -> views.SignedIn:
        """Who it is, for which account, and a key for it.

        Raises: errors.SignInRefused, errors.SignInLocked; with the right password also errors.AccountAmbiguous.
        """
        counted = sign_in.keys(name, address)
        self.attempts.begin(counted, at=self.now())
        user = self._verified(name, password)
        self.attempts.succeed(counted)
        chosen, role = self._chosen(user, account_name)
        new = self.keys.make(
            account_id=chosen.id, user_id=user.id, name="sign-in", role=role, is_cloud_operator=user.is_cloud_operator,
            created_by=user.name, expires_at=self.now() + self.life, is_sign_in=True,
        )  # fmt: skip
        actor = access.Actor(
            name=user.name, account=chosen, role=role, is_cloud_operator=user.is_cloud_operator, address=address,
            user_id=user.id, key_id=new.api_key.id,
        )  # fmt: skip
        return views.SignedIn(actor=actor, new=new)

    def _verified(self, name: str, password: str) -> account.User:
        found = self.people.find_secret(name)
        user, kept = (None, None) if found is None else found
        if not self.passwords.verify(kept, password) or user is None or kept is None:
            raise errors.SignInRefused
        if self.passwords.is_outdated(kept):
            self.people.rehash(user.id, self.passwords.hash(password))
        return user

    def _chosen(self, user: account.User, name: str | None) -> tuple[account.Account, account.Role]:
        """The account to act for. One that the user is no member of is refused as a wrong password is."""
        if user.is_cloud_operator:
            return self._for_operator(name), account.Role.OWNER
        memberships = self.people.list_memberships(user.id)
        fitting = [each for each in memberships if name is None or name in {each[0].name, str(each[0].id)}]
        if not fitting:
            raise errors.SignInRefused
        if len(fitting) > 1:
            raise errors.AccountAmbiguous(user=user.name, known=", ".join(each[0].name for each in fitting))
        return fitting[0]

    def _for_operator(self, name: str | None) -> account.Account:
        try:
            return self.accounts.get_default() if name is None else self.accounts.resolve(name)
        except errors.AccountNotFound as error:
            raise errors.SignInRefused from error

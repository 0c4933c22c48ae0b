"""Signing in with a password."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass

from estampe import errors
from estampe.accounts import admission, passwords, views
from estampe.db import people as people_rows
from estampe.db import sign_ins as sign_in_rows
from estampe.model import account, session


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInService:
    """Signs people in. Names that do not exist take as long, and are counted and locked, as those that do."""

    people: people_rows.People
    attempts: sign_in_rows.SignIns
    passwords: passwords.Passwords
    admission: admission.Admission
    now: Callable[[], datetime.datetime]

    def sign_in(self, *, name: str, password: str, account_name: str | None, address: str) -> views.SignedIn:
        """Who it is, for which account, and a key for it.

        Raises: errors.SignInRefused, errors.SignInLocked; with the right password also errors.AccountAmbiguous.
        """
        user = self._verified(name, password, address)
        return self.admission.give_key(user, account_name, address=address)

    def open_session(
        self, *, name: str, password: str, account_name: str | None, browser: session.Browser
    ) -> views.OpenedSession:
        """The same for a browser, which gets a session. Raises as `sign_in`."""
        user = self._verified(name, password, browser.address)
        return self.admission.open_session(user, account_name, method=session.Method.PASSWORD, browser=browser)

    def _verified(self, name: str, password: str, address: str) -> account.User:
        counted = self.attempts.begin_password(name, address, at=self.now())
        found = self.people.find_secret(name)
        user, kept = (None, None) if found is None else found
        if not self.passwords.verify(kept, password) or user is None or kept is None:
            raise errors.SignInRefused
        self.attempts.succeed(counted)
        if self.passwords.is_outdated(kept):
            self.people.rehash(user.id, self.passwords.hash(password))
        return user

"""What somebody gets who has proved to be a user: for which account, and what stands for it from now on.

password ─┐              ┌─▶ API key that lives some hours (commands, programs)
OpenID   ─┴─▶ a user ────┴─▶ session (browsers)
"""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from estampe import errors
from estampe.accounts import keys, sessions, views
from estampe.db import accounts as account_rows
from estampe.db import people as people_rows
from estampe.db import sign_ins as sign_in_rows
from estampe.model import access, account, session


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """Lets users in. Every method takes the account they name, or None, which is the only one they belong to."""

    people: people_rows.People
    accounts: account_rows.Accounts
    attempts: sign_in_rows.SignIns
    keys: keys.KeyService
    sessions: sessions.SessionService
    now: Callable[[], datetime.datetime]
    life: datetime.timedelta

    def give_key(self, user: account.User, account_name: str | None, *, address: str) -> views.SignedIn:
        """A key. Raises: errors.SignInRefused (no member), errors.AccountAmbiguous."""
        chosen, role = self._chosen(user, account_name)
        new = self.keys.make(
            account_id=chosen.id, user_id=user.id, name="sign-in", role=role, is_cloud_operator=user.is_cloud_operator,
            created_by=user.name, expires_at=self.now() + self.life, is_sign_in=True,
        )  # fmt: skip
        self.attempts.note_place(user.id, address, at=self.now())
        actor = access.Actor(
            name=user.name, account=chosen, role=role, is_cloud_operator=user.is_cloud_operator, address=address,
            user_id=user.id, key_id=new.api_key.id,
        )  # fmt: skip
        return views.SignedIn(actor=actor, new=new)

    def open_session(
        self, user: account.User, account_name: str | None, *, method: session.Method, browser: session.Browser
    ) -> views.OpenedSession:
        """A session. Raises: errors.SignInRefused (no member), errors.AccountAmbiguous."""
        chosen, role = self._chosen(user, account_name)
        opened, cookie = self.sessions.open(user, account_id=chosen.id, method=method, browser=browser)
        self.attempts.note_place(user.id, browser.address, at=self.now())
        actor = access.Actor(
            name=user.name, account=chosen, role=role, is_cloud_operator=user.is_cloud_operator,
            address=browser.address, user_id=user.id, session_id=opened.id,
        )  # fmt: skip
        return views.OpenedSession(actor=actor, session=opened, cookie=cookie)

    def switch(self, actor: access.Actor, account_name: str, *, browser: session.Browser) -> views.OpenedSession:
        """A session of the same person for another account, in place of the one that is shown: it ends when that one would have.

        Raises: errors.InvalidRequest where no session was shown, errors.AccountNotFound where the person is no member.
        """
        present = self.sessions.get_current(actor)
        if present is None:
            raise errors.InvalidRequest(
                field="cookie", problem="no session was shown: name the account with each request"
            )
        user = self.people.get(present.user)
        try:
            chosen, role = self._chosen(user, account_name)
        except errors.SignInRefused as error:
            raise errors.AccountNotFound(account=account_name) from error
        opened, cookie = self.sessions.open(
            user, account_id=chosen.id, method=present.method, browser=browser, expires_at=present.expires_at
        )
        switched = dataclasses.replace(actor, account=chosen, role=role, session_id=opened.id)
        return views.OpenedSession(actor=switched, session=opened, cookie=cookie)

    def list_memberships(self, actor: access.Actor) -> Sequence[views.Membership]:
        """The accounts that the person may act for; the acted for one alone where it is no person who asks."""
        if actor.user_id is None:
            return [views.Membership(account=actor.account, role=actor.role)]
        found = self.people.list_memberships(actor.user_id)
        return [views.Membership(account=each, role=role) for each, role in found]

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

"""Signing in at an OpenID provider: the beginning and the end of the detour, for browsers and for commands.

    browser   ─▶ depart ─▶ provider ─▶ redirect to us             ─▶ arrive ─▶ session
    command   ─▶ depart ─▶ provider ─▶ redirect to the command's  ─▶ redeem ─▶ API key
                                       own port (RFC 8252, 7.3)

Who ends the detour must be who began it: a browser shows the cookie, a command the secret, that the beginning left with it.
Else somebody could have another's browser signed in as himself, and read what is done there.
"""

from __future__ import annotations

import datetime
import logging
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from estampe import errors
from estampe.accounts import admission, views
from estampe.db import oidc as oidc_rows
from estampe.db import sign_ins as sign_in_rows
from estampe.model import account, oidc, session, sign_in

COMMAND_PATH: Final = "/callback"
_log = logging.getLogger(__name__)


class Provider(Protocol):
    """What is asked of the OpenID provider."""

    @property
    def issuer(self) -> str:
        """Its name."""

    def authorization_url(self, attempt: oidc.Attempt) -> str:
        """Where to send the person. Raises: errors.OidcUnavailable."""

    def check_origin(self, answer: oidc.Answer) -> None:
        """Whether the answer is this provider's. Raises: errors.OidcAnswerRefused."""

    def redeem(self, code: str, taken: oidc.Taken) -> oidc.Person:
        """Who the code was given for. Raises: errors.OidcAnswerRefused, errors.OidcUnavailable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Who of the provider's people may come in, and as what. `redirect_uri` is the browsers'; None: no browser can come."""

    redirect_uri: str | None = None
    is_open: bool = False  # who is not known gets a user; else only who was invited or linked
    roles: Sequence[oidc.GroupRole] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcService:
    """Signs people in at `provider`; None: at none."""

    provider: Provider | None
    policy: Policy
    attempts: oidc_rows.Attempts
    identities: oidc_rows.Identities
    counts: sign_in_rows.SignIns
    admission: admission.Admission
    now: Callable[[], datetime.datetime]
    new_id: Callable[[], uuid.UUID] = uuid.uuid4

    def takes_browsers(self) -> bool:
        """Whether `depart` can lead anywhere: a provider is set up, and the way back from it is known."""
        return self.provider is not None and self.policy.redirect_uri is not None

    def depart(self, *, next: str, account_name: str | None, address: str) -> views.Departure:
        """Begin for a browser, which goes to `next` afterwards.

        Raises: errors.OidcNotConfigured, errors.InvalidRequest (next), errors.SignInLocked, errors.OidcUnavailable.
        """
        if self.policy.redirect_uri is None:
            raise errors.OidcNotConfigured
        begun = oidc.Attempt.begin(
            redirect_uri=self.policy.redirect_uri, next=next, account=account_name, is_for_command=False, now=self.now()
        )
        return self._depart(begun, address)

    def depart_command(self, *, port: int, binding: str, account_name: str | None, address: str) -> views.Departure:
        """Begin for a command that listens on `port` of its own host's loopback address, and holds `binding`.

        Raises: errors.OidcNotConfigured, errors.SignInLocked, errors.OidcUnavailable.
        """
        begun = oidc.Attempt.begin(
            redirect_uri=f"http://127.0.0.1:{port}{COMMAND_PATH}", next="/", account=account_name, is_for_command=True,
            now=self.now(), binding=binding,
        )  # fmt: skip
        return self._depart(begun, address)

    def _depart(self, begun: oidc.Attempt, address: str) -> views.Departure:
        provider = self._provider()
        self.counts.begin(sign_in.begin_keys(address), at=self.now())
        url = provider.authorization_url(begun)
        self.attempts.add(begun, at=self.now())
        return views.Departure(url=url, state=begun.state, binding=begun.binding)

    def arrive(self, answer: oidc.Answer, *, browser: session.Browser) -> views.Arrival:
        """End for a browser.

        Raises: errors.OidcAnswerRefused, errors.OidcPersonUnknown, errors.SignInRefused (no member), errors.AccountAmbiguous,
        errors.SignInLocked, errors.OidcNotConfigured, errors.OidcUnavailable.
        """
        user, taken = self._user(answer, is_for_command=False, address=browser.address)
        opened = self.admission.open_session(user, taken.account, method=session.Method.OIDC, browser=browser)
        return views.Arrival(opened=opened, next=taken.next)

    def redeem(self, answer: oidc.Answer, *, address: str) -> views.SignedIn:
        """End for a command. Raises as `arrive`."""
        user, taken = self._user(answer, is_for_command=True, address=address)
        return self.admission.give_key(user, taken.account, address=address)

    def _user(self, answer: oidc.Answer, *, is_for_command: bool, address: str) -> tuple[account.User, oidc.Taken]:
        provider = self._provider()
        counted = sign_in.answer_keys(address)
        self.counts.begin(counted, at=self.now())
        taken = self.attempts.take(answer.state, answer.binding, is_for_command=is_for_command, at=self.now())
        if taken is None:
            raise errors.OidcAnswerRefused(problem="it was not begun here, took too long, or was used already")
        provider.check_origin(answer)
        if answer.error is not None or answer.code is None:
            raise errors.OidcAnswerRefused(problem="the provider did not let you in")
        try:
            person = provider.redeem(answer.code, taken)
        except errors.OidcUnavailable:
            self.counts.succeed(counted)  # the provider's failure, not theirs
            raise
        self.counts.succeed(counted)
        return self._admitted(person), taken

    def _admitted(self, person: oidc.Person) -> account.User:
        counted = sign_in.person_keys(person.issuer, person.subject)
        self.counts.begin(counted, at=self.now())
        user = self._find(person)
        if user is None:
            raise errors.OidcPersonUnknown(name=person.name or "(without a name)", subject=person.subject)
        self.counts.succeed(counted)
        if self.policy.roles:
            missing = self.identities.set_roles(user.id, oidc.wanted_roles(self.policy.roles, person.groups))
            if missing:
                _log.warning("setting oidc_roles names accounts that there are not: %s", ", ".join(missing))
        return user

    def _find(self, person: oidc.Person) -> account.User | None:
        new_id = self.new_id() if self.policy.is_open else None
        try:
            return self.identities.admit(person, new_id=new_id, at=self.now())
        except errors.InvalidName:  # the provider's names need not be names here
            return None

    def link(self, name: str, subject: str) -> None:
        """Let the provider's person of that subject in as the user. Who signed in as the user so far is signed out.

        Raises: errors.OidcNotConfigured, errors.UserNotFound, errors.NameInUse.
        """
        self.identities.link(name, issuer=self._provider().issuer, subject=subject, at=self.now())

    def unlink(self, name: str) -> None:
        """Nobody at the provider is the user any more. Raises: errors.UserNotFound."""
        self.identities.unlink(name, at=self.now())

    def _provider(self) -> Provider:
        if self.provider is None:
            raise errors.OidcNotConfigured
        return self.provider

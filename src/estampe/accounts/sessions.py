"""Sessions of browsers: opened, listed, ended."""

from __future__ import annotations

import datetime
import secrets
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from estampe import errors
from estampe.db import sessions as session_rows
from estampe.model import access, account, listing, session


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionService:
    """Sessions of one installation: each ends after `life`, and when it was not used for `idle`."""

    rows: session_rows.Sessions
    now: Callable[[], datetime.datetime]
    life: datetime.timedelta
    idle: datetime.timedelta
    new_id: Callable[[], uuid.UUID] = uuid.uuid4
    new_secret: Callable[[int], bytes] = secrets.token_bytes

    def open(
        self, user: account.User, *, account_id: uuid.UUID, method: session.Method, browser: session.Browser,
        expires_at: datetime.datetime | None = None,
    ) -> tuple[session.Session, str]:  # fmt: skip
        """A session and its cookie, always new ones; what the browser showed so far lets nobody in from now on.

        It ends at `expires_at`, or after a whole life where nothing is said.
        """
        secret, now = self.new_secret(session.SECRET_BYTES), self.now()
        opened = session.Session(
            id=self.new_id(), account_id=account_id, user_id=user.id, user=user.name, method=method,
            address=browser.address, agent=_printable(browser.agent), created_at=now, last_seen_at=now,
            expires_at=expires_at or now + self.life,
        )  # fmt: skip
        before = None if browser.shown is None else session.parse(browser.shown)
        replaces = None if before is None else session.digest(before)
        self.rows.add(opened, token_digest=session.digest(secret), replaces=replaces, idle=self.idle)
        return opened, session.render(secret)

    def list(self, actor: access.Actor, query: listing.SessionQuery) -> listing.Page[session.Session]:
        """A page of those the actor may see: an owner all of the account, others their own. Raises: errors.InvalidRequest."""
        return self.rows.list(actor, query, at=self.now(), idle=self.idle)

    def get_current(self, actor: access.Actor) -> session.Session | None:
        """The session that was shown; None: the actor is known another way."""
        return None if actor.session_id is None else self.rows.get(actor.session_id)

    def revoke(self, actor: access.Actor, reference: str) -> session.Session:
        """By id or the first digits of it. It lets nobody in from now on.

        Raises: errors.SessionNotFound (another account's as well), errors.AmbiguousId.
        """
        found = self.rows.find_named(actor, reference, at=self.now(), idle=self.idle)
        if not found:
            raise errors.SessionNotFound(session=reference)
        if len(found) > 1:
            raise errors.AmbiguousId(id=reference, what="session")
        self.rows.end(found[0].id)
        return found[0]

    def sign_out(self, actor: access.Actor) -> None:
        """End the session that was shown. Raises: errors.InvalidRequest where none was."""
        if actor.session_id is None:
            raise errors.InvalidRequest(field="cookie", problem="no session was shown: there is nothing to end")
        self.rows.end(actor.session_id)


def _printable(agent: str) -> str:
    shown = "".join(character for character in agent if character.isascii() and character.isprintable())
    return shown[: session.MOST_AGENT_CHARACTERS]

"""Who asks: from what a request shows to an actor. The one place that knows the ways to be known.

    API key   ─▶ its account, its role, never more than its person may by now
    unix peer ─▶ the cloud operator, for the default account or the one that is named
    neither   ─▶ nobody

A further way (a console's session) is a field of `access.Credentials` and a branch here.
"""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from estampe import errors
from estampe.db import accounts as account_rows
from estampe.db import api_keys as key_rows
from estampe.model import access, account, api_key

_TOUCH_AFTER: Final = datetime.timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Knows who asks."""

    accounts: account_rows.Accounts
    keys: key_rows.ApiKeys
    now: Callable[[], datetime.datetime]

    def identify(self, shown: access.Credentials) -> access.Actor:
        """Who shows these credentials.

        Raises: errors.SignInNeeded, errors.ApiKeyRefused, errors.AccountNotFound (another account's as well).
        """
        if shown.bearer is not None:
            return self._by_key(shown, shown.bearer)
        if shown.peer_uid is not None:
            return self._operator(shown, name=f"uid {shown.peer_uid}")
        raise errors.SignInNeeded

    def _by_key(self, shown: access.Credentials, text: str) -> access.Actor:
        holder = self._holder(text)
        key = holder.key
        if _is_operator(holder):
            actor = self._operator(shown, name=_name(holder), user_id=key.user_id, key_id=key.id)
        else:
            actor = _member(holder, shown)
        if key.last_used_at is None or self.now() - key.last_used_at >= _TOUCH_AFTER:
            self.keys.touch(key.id, at=self.now())
        return actor

    def _holder(self, text: str) -> key_rows.Holder:
        """Raises: errors.ApiKeyRefused."""
        parsed = api_key.parse(text)
        holder = None if parsed is None else self.keys.find(parsed[0])
        if parsed is None or holder is None or not api_key.proves(parsed[1], holder.secret_digest):
            raise errors.ApiKeyRefused
        if not holder.key.is_live(self.now()):
            raise errors.ApiKeyRefused
        return holder

    def _operator(
        self, shown: access.Credentials, *, name: str, user_id: uuid.UUID | None = None, key_id: uuid.UUID | None = None
    ) -> access.Actor:
        chosen = self.accounts.get_default() if shown.account is None else self.accounts.resolve(shown.account)
        return access.Actor(
            name=name, account=chosen, role=account.Role.OWNER, is_cloud_operator=True, address=shown.address,
            user_id=user_id, key_id=key_id,
        )  # fmt: skip


def _is_operator(holder: key_rows.Holder) -> bool:
    """A person's key makes an operator only while the person is one."""
    return holder.key.is_cloud_operator and (holder.key.user_id is None or holder.is_user_operator)


def _member(holder: key_rows.Holder, shown: access.Credentials) -> access.Actor:
    """Raises: errors.ApiKeyRefused, errors.AccountNotFound."""
    key = holder.key
    if key.user_id is not None and holder.user_role is None:
        raise errors.ApiKeyRefused
    if key.is_cloud_operator and key.user_id is not None and not holder.is_user_operator:
        raise errors.ApiKeyRefused
    if shown.account is not None and shown.account not in {holder.account.name, str(holder.account.id)}:
        raise errors.AccountNotFound(account=shown.account)
    role = key.role if holder.user_role is None else key.role.at_most(holder.user_role)
    return access.Actor(
        name=_name(holder), account=holder.account, role=role, is_cloud_operator=False, address=shown.address,
        user_id=key.user_id, key_id=key.id,
    )  # fmt: skip


def _name(holder: key_rows.Holder) -> str:
    short = holder.key.id.hex[:8]
    if holder.user is None:
        return f"key {short} ({holder.key.name})"
    return holder.user if holder.key.is_sign_in else f"{holder.user} (key {short})"

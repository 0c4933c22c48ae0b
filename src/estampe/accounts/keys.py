"""API keys: made, listed, revoked."""

from __future__ import annotations

import datetime
import secrets
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from estampe import errors
from estampe.accounts import views
from estampe.db import api_keys as key_rows
from estampe.model import access, account, api_key


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyService:
    """Keys of one installation."""

    rows: key_rows.ApiKeys
    now: Callable[[], datetime.datetime]
    new_id: Callable[[], uuid.UUID] = uuid.uuid4
    new_secret: Callable[[int], bytes] = secrets.token_bytes

    def create(
        self, actor: access.Actor, *, name: str, role: account.Role | None, expires_at: datetime.datetime | None,
        is_cloud_operator: bool,
    ) -> views.NewKey:  # fmt: skip
        """A key for the account acted for, that may at most what its maker may.

        A person's key stays that person's: it falls with the membership. One that the cloud operator makes for an account
        is the account's own.
        Raises: errors.RoleDenied, errors.CloudOperatorOnly, errors.InvalidRequest.
        """
        role = role or actor.role
        if is_cloud_operator and not actor.is_cloud_operator:
            raise errors.CloudOperatorOnly
        if not actor.role.covers(role):
            raise errors.RoleDenied(needed=role.value, role=actor.role.value, account=actor.account.name)
        if expires_at is not None and expires_at <= self.now():
            raise errors.InvalidRequest(field="expires_at", problem="must be in the future")
        is_persons = is_cloud_operator or not actor.is_cloud_operator
        return self.make(
            account_id=actor.account_id, user_id=actor.user_id if is_persons else None, name=name, role=role,
            is_cloud_operator=is_cloud_operator, created_by=actor.name, expires_at=expires_at,
        )  # fmt: skip

    def make(
        self, *, account_id: uuid.UUID, user_id: uuid.UUID | None, name: str, role: account.Role,
        is_cloud_operator: bool, created_by: str, expires_at: datetime.datetime | None, is_sign_in: bool = False,
    ) -> views.NewKey:  # fmt: skip
        """A key as told; what may be told is the caller's to decide."""
        secret = self.new_secret(api_key.SECRET_BYTES)
        new = api_key.ApiKey(
            id=self.new_id(), account_id=account_id, user_id=user_id, name=name, role=role,
            is_cloud_operator=is_cloud_operator, is_sign_in=is_sign_in, created_by=created_by, created_at=self.now(),
            expires_at=expires_at, revoked_at=None, last_used_at=None,
        )  # fmt: skip
        self.rows.add(new, secret_digest=api_key.digest(secret))
        return views.NewKey(api_key=new, key=api_key.render(new.id, secret))

    def list(self, actor: access.Actor) -> Sequence[api_key.ApiKey]:
        """Those the actor may see, the newest first: an owner all of the account, others their own."""
        return [key for key in self.rows.list(actor.account_id) if _is_visible(key, actor)]

    def revoke(self, actor: access.Actor, reference: str) -> api_key.ApiKey:
        """By id, the first digits of it, or name. It lets nobody in from now on.

        Raises: errors.ApiKeyNotFound (another account's as well), errors.AmbiguousId.
        """
        found = [key for key in self.list(actor) if _is_named(key, reference)]
        if not found:
            raise errors.ApiKeyNotFound(key=reference)
        if len(found) > 1:
            raise errors.AmbiguousId(id=reference, what="API key")
        return self.rows.revoke(found[0].id, at=self.now())

    def sign_out(self, actor: access.Actor) -> None:
        """Revoke the key that was shown. Raises: errors.InvalidRequest where none was."""
        if actor.key_id is None:
            raise errors.InvalidRequest(
                field="authorization", problem="no API key was shown: there is nothing to revoke"
            )
        self.rows.revoke(actor.key_id, at=self.now())


def _is_visible(key: api_key.ApiKey, actor: access.Actor) -> bool:
    if actor.is_cloud_operator:
        return True
    if key.is_cloud_operator:  # it only happens to act for this account by default
        return False
    if actor.role is account.Role.OWNER or key.id == actor.key_id:
        return True
    return key.user_id is not None and key.user_id == actor.user_id


def _is_named(key: api_key.ApiKey, reference: str) -> bool:
    digits = reference.lower().replace("-", "")
    return (len(digits) >= 4 and key.id.hex.startswith(digits)) or (key.name == reference and key.revoked_at is None)

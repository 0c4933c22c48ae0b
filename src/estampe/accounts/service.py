"""Accounts and their quotas: made, suspended, resumed and deleted by the cloud operator."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from estampe import errors
from estampe.accounts import views
from estampe.db import accounts as account_rows
from estampe.db import quotas as quota_rows
from estampe.db import servers as server_rows
from estampe.model import account
from estampe.servers import footprint


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountService:
    """Accounts of one installation. `forget` drops the engine's records of operations that are gone."""

    rows: account_rows.Accounts
    quotas: quota_rows.Quotas
    servers: server_rows.Servers
    footprint: footprint.Footprint
    forget: Callable[[Collection[uuid.UUID]], None]
    now: Callable[[], datetime.datetime]
    new_id: Callable[[], uuid.UUID] = uuid.uuid4

    def create(self, name: str) -> account.Account:
        """A new account, active and without limits. Raises: errors.InvalidName, errors.NameInUse."""
        return self.rows.add(id=self.new_id(), name=name, created_at=self.now())

    def list(self) -> Sequence[account.Account]:
        """All, by name."""
        return self.rows.list()

    def resolve(self, reference: str) -> account.Account:
        """By name or id. Raises: errors.AccountNotFound."""
        return self.rows.resolve(reference)

    def suspend(self, account_id: uuid.UUID) -> account.Account:
        """Nothing of it can be changed until it is resumed. Raises: errors.AccountNotFound, errors.AccountBuiltIn."""
        _check_not_built_in(self.rows.get(account_id))
        return self.rows.set_state(account_id, account.State.SUSPENDED)

    def resume(self, account_id: uuid.UUID) -> account.Account:
        """Active again; active already is fine. Raises: errors.AccountNotFound."""
        return self.rows.set_state(account_id, account.State.ACTIVE)

    def delete(self, account_id: uuid.UUID) -> None:
        """Drop it with its members, keys, quota and ended operations. Servers that the host has no more do not keep it.

        Raises: errors.AccountNotFound, errors.AccountBuiltIn, errors.AccountInUse.
        """
        _check_not_built_in(self.rows.get(account_id))
        for server_id in self.footprint.absent(account_id):
            self.servers.remove(server_id)
        self.forget(self.rows.remove(account_id))

    def quota(self, account_id: uuid.UUID) -> views.QuotaUse:
        """What it may have and has, by the host's figures of now. Raises: errors.AccountNotFound."""
        found = self.rows.get(account_id)
        absent = self.footprint.measure(account_id)
        return views.QuotaUse(
            account=found, limits=self.quotas.get(account_id), used=self.quotas.used(account_id, absent=absent)
        )

    def set_quota(self, account_id: uuid.UUID, changes: dict[str, int | None]) -> views.QuotaUse:
        """Change the limits that are named; None lifts one. What is above a limit stays. Raises: errors.AccountNotFound."""
        self.quotas.edit(self.rows.get(account_id).id, changes)
        return self.quota(account_id)


def _check_not_built_in(found: account.Account) -> None:
    if found.id == account.DEFAULT_ACCOUNT_ID:
        raise errors.AccountBuiltIn(account=found.name)

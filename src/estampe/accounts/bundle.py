"""All services of accounts over one database: what wiring takes, and tests too."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass

from estampe.accounts import auditing, identity, keys, passwords, people, service, signing_in
from estampe.db import accounts as account_rows
from estampe.db import api_keys as key_rows
from estampe.db import audit as audit_rows
from estampe.db import database, quotas, servers, sign_ins
from estampe.db import people as people_rows
from estampe.jobs import dispatch
from estampe.servers import footprint


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """The services, as the API wants them."""

    identity: identity.Identity
    accounts: service.AccountService
    people: people.PeopleService
    keys: keys.KeyService
    sign_in: signing_in.SignInService
    audit: auditing.AuditService

    @classmethod
    def make(
        cls,
        db: database.Database,
        *,
        servers: servers.Servers,
        footprint: footprint.Footprint,
        forget: Callable[[Collection[uuid.UUID]], None],
        sign_in_life: datetime.timedelta,
        now: Callable[[], datetime.datetime] = dispatch.utc_now,
        hasher: passwords.Passwords | None = None,
    ) -> Bundle:
        """`now` and `hasher` are a test's to choose."""
        hasher = hasher or passwords.Passwords()
        rows, users, key_table = account_rows.Accounts(db), people_rows.People(db), key_rows.ApiKeys(db)
        attempts, key_service = sign_ins.SignIns(db), keys.KeyService(rows=key_table, now=now)
        return cls(
            identity=identity.Identity(accounts=rows, keys=key_table, now=now),
            accounts=service.AccountService(
                rows=rows, quotas=quotas.Quotas(db), servers=servers, footprint=footprint, forget=forget, now=now
            ),
            people=people.PeopleService(rows=users, attempts=attempts, passwords=hasher, now=now),
            keys=key_service,
            sign_in=signing_in.SignInService(
                people=users, accounts=rows, attempts=attempts, passwords=hasher, keys=key_service, now=now,
                life=sign_in_life,
            ),
            audit=auditing.AuditService(rows=audit_rows.Audit(db), now=now),
        )  # fmt: skip

"""All services of accounts over one database: what wiring takes, and tests too."""

from __future__ import annotations

import datetime
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from estampe.accounts import (
    admission,
    auditing,
    identity,
    keys,
    oidc_sign_in,
    passwords,
    people,
    service,
    sessions,
    signing_in,
)
from estampe.db import accounts as account_rows
from estampe.db import api_keys as key_rows
from estampe.db import audit as audit_rows
from estampe.db import database, quotas, servers, sign_ins
from estampe.db import oidc as oidc_rows
from estampe.db import people as people_rows
from estampe.db import sessions as session_rows
from estampe.jobs import dispatch
from estampe.servers import footprint


@dataclass(frozen=True, slots=True, kw_only=True)
class Signing:
    """How people sign in, and how long what it gives lets them in."""

    key_life: datetime.timedelta = datetime.timedelta(hours=12)
    session_life: datetime.timedelta = datetime.timedelta(hours=12)
    session_idle: datetime.timedelta = datetime.timedelta(hours=1)
    provider: oidc_sign_in.Provider | None = None
    policy: oidc_sign_in.Policy = field(default_factory=oidc_sign_in.Policy)


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """The services, as the API wants them."""

    identity: identity.Identity
    accounts: service.AccountService
    people: people.PeopleService
    keys: keys.KeyService
    sign_in: signing_in.SignInService
    sessions: sessions.SessionService
    admission: admission.Admission
    oidc: oidc_sign_in.OidcService
    audit: auditing.AuditService

    @classmethod
    def make(
        cls,
        db: database.Database,
        *,
        servers: servers.Servers,
        footprint: footprint.Footprint,
        forget: Callable[[Collection[uuid.UUID]], None],
        signing: Signing,
        now: Callable[[], datetime.datetime] = dispatch.utc_now,
        hasher: passwords.Passwords | None = None,
    ) -> Bundle:
        """`now` and `hasher` are a test's to choose."""
        hasher = hasher or passwords.Passwords()
        rows, users, key_table = account_rows.Accounts(db), people_rows.People(db), key_rows.ApiKeys(db)
        session_table, attempts = session_rows.Sessions(db), sign_ins.SignIns(db)
        key_service = keys.KeyService(rows=key_table, now=now)
        opener = sessions.SessionService(
            rows=session_table, now=now, life=signing.session_life, idle=signing.session_idle
        )
        door = admission.Admission(
            people=users, accounts=rows, attempts=attempts, keys=key_service, sessions=opener, now=now,
            life=signing.key_life,
        )  # fmt: skip
        return cls(
            identity=identity.Identity(
                accounts=rows, keys=key_table, sessions=session_table, session_idle=signing.session_idle, now=now
            ),
            accounts=service.AccountService(
                rows=rows, quotas=quotas.Quotas(db), servers=servers, footprint=footprint, sessions=session_table,
                forget=forget, now=now,
            ),
            people=people.PeopleService(rows=users, attempts=attempts, passwords=hasher, now=now),
            keys=key_service,
            sign_in=signing_in.SignInService(
                people=users, attempts=attempts, passwords=hasher, admission=door, now=now
            ),
            sessions=opener,
            admission=door,
            oidc=oidc_sign_in.OidcService(
                provider=signing.provider, policy=signing.policy, attempts=oidc_rows.Attempts(db),
                identities=oidc_rows.Identities(db), counts=attempts, admission=door, now=now,
            ),
            audit=auditing.AuditService(rows=audit_rows.Audit(db), now=now),
        )  # fmt: skip

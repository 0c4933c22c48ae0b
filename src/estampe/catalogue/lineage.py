"""From a template forward: the servers that were deployed from it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from estampe.db import accounts as account_rows
from estampe.db import templates as template_rows
from estampe.model import access, visibility
from estampe.servers import service as server_service
from estampe.servers import views as server_views


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """Servers of other accounts: how many, and only to the cloud operator, which."""

    account: str | None  # None: those of whoever deployed a public template
    count: int
    servers: Sequence[server_views.ServerView] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """What came of a template: the account's own servers, and those of others."""

    servers: Sequence[server_views.ServerView]
    elsewhere: Sequence[Elsewhere] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageService:
    """What came of templates. The way back is told by `TemplateService.get` and `ServerService.get`."""

    rows: template_rows.Templates
    accounts: account_rows.Accounts
    servers: server_service.ServerService

    def list_servers(self, actor: access.Actor, reference: str, *, is_every_version: bool) -> Lineage:
        """The servers from one template or all versions of its name, the trash included, by name.

        The template's owner is told of others whom to recall: by account, how many have come from it by a share, and in one count
        how many since it is public. Who only sees a template is told of its own servers. The cloud operator is told all.

        Raises: errors.TemplateNotFound.
        """
        account_id = actor.account_id
        seen = self.rows.visible.resolve_versions(account_id, reference, is_every_version=is_every_version)
        found = self.servers.list_deployed({each.template.id for each in seen})
        own = [each.server for each in found if each.owner_id == account_id]
        others = [each for each in found if each.owner_id != account_id]
        if not actor.is_cloud_operator and not all(each.is_own for each in seen):
            return Lineage(servers=own)
        return Lineage(servers=own, elsewhere=self._elsewhere(others, is_everything_told=actor.is_cloud_operator))

    def _elsewhere(self, others: Sequence[server_views.Deployed], *, is_everything_told: bool) -> Sequence[Elsewhere]:
        """By account, in the order of names; those that are not named last."""
        by_account: dict[str | None, list[server_views.ServerView]] = {}
        for each in others:
            is_named = is_everything_told or each.scope == visibility.Scope.SHARED
            by_account.setdefault(self._name(each.owner_id) if is_named else None, []).append(each.server)
        return [
            Elsewhere(account=name, count=len(servers), servers=tuple(servers) if is_everything_told else ())
            for name, servers in sorted(by_account.items(), key=lambda item: (item[0] is None, item[0] or ""))
        ]

    def _name(self, account_id: uuid.UUID) -> str:
        return visibility.publisher_name(account_id, self.accounts.get(account_id).name)

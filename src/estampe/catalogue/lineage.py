"""From a template forward: the servers that were deployed from it."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from estampe import errors
from estampe.db import templates as template_rows
from estampe.model import template as templates
from estampe.servers import service as server_service
from estampe.servers import views as server_views


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageService:
    """What came of templates. The way back is told by `TemplateService.get` and `ServerService.get`."""

    rows: template_rows.Templates
    servers: server_service.ServerService

    def list_servers(
        self, owner_id: uuid.UUID, reference: str, *, is_every_version: bool
    ) -> Sequence[server_views.ServerView]:
        """The account's servers from one template or all versions of its name, the trash included, by name.

        Raises: errors.TemplateNotFound.
        """
        found = self._every_version(owner_id, reference) if is_every_version else [self._one(owner_id, reference)]
        return self.servers.list_deployed(owner_id, {one.id for one in found})

    def _one(self, owner_id: uuid.UUID, reference: str) -> templates.Template:
        return self.rows.resolve(owner_id, reference)

    def _every_version(self, owner_id: uuid.UUID, reference: str) -> list[templates.Template]:
        """`web` has versions to recall also where none of them can be deployed any more."""
        parsed = templates.parse_reference(reference)
        name = self.rows.resolve(owner_id, reference).name if parsed.name is None else parsed.name
        found = self.rows.list_versions(owner_id, name)
        if not found:
            raise errors.TemplateNotFound(template=reference)
        return found

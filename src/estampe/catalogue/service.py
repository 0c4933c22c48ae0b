"""The catalogue: list, show, edit and delete templates."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from estampe import errors
from estampe.catalogue import views
from estampe.db import operations as operation_rows
from estampe.db import templates as template_rows
from estampe.jobs import locks
from estampe.model import manifest, operation
from estampe.model import template as templates
from estampe.store import base as stores
from estampe.store import manifests


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateService:
    """Templates of one installation."""

    store: stores.Store
    rows: template_rows.Templates
    operations: operation_rows.Operations

    def list(
        self, owner_id: uuid.UUID, *, name_glob: str | None, tag: str | None, limit: int, after: uuid.UUID | None
    ) -> list[templates.Template]:
        """At most `limit`, by name, newest version first, those behind the template `after`."""
        behind = None if after is None else self._position(owner_id, after)
        return self.rows.list(owner_id, name_glob=name_glob, tag=tag, limit=limit, after=behind)

    def _position(self, owner_id: uuid.UUID, template_id: uuid.UUID) -> tuple[str, int]:
        found = self.rows.resolve(owner_id, str(template_id))
        return found.name, found.version

    def get(self, owner_id: uuid.UUID, reference: str) -> views.TemplateDetail:
        """One, with what its manifest says. Raises: errors.TemplateNotFound, errors.ManifestCorrupt."""
        found = self.rows.resolve(owner_id, reference)
        if found.state is not templates.State.ACTIVE:
            return views.TemplateDetail(template=found, manifest=None)
        return views.TemplateDetail(template=found, manifest=_summary(manifests.get(self.store, found.id)))

    def edit(
        self, owner_id: uuid.UUID, reference: str, *, name: str | None, note: str | None, tags: tuple[str, ...] | None
    ) -> templates.Template:
        """Change what is not None.

        Raises: errors.TemplateNotFound, errors.InvalidName, errors.NameInUse, errors.VersionGiven.
        """
        found = self.rows.resolve(owner_id, reference)
        return self.rows.edit(found.id, name=name, note=note, tags=tags)

    def delete(self, owner_id: uuid.UUID, reference: str) -> None:
        """Hide the row, remove the manifest, remove the row; its chunks go with the next sweep.

        One that was left behind in CAPTURING, by a capture that could not undo all, goes as well.
        Raises: errors.TemplateNotFound, errors.TemplateInUse, errors.TemplateStateForbids while it is being captured.
        """
        found = self.rows.resolve(owner_id, reference)
        if found.state is templates.State.CAPTURING and self._is_being_captured(found.id):
            advice = "it is being captured: cancel that operation instead"
            raise errors.TemplateStateForbids(template=reference, state=found.state, advice=advice)
        self.rows.begin_delete(found.id)
        # A deploy takes its lock first and looks at the state then; this looks at the locks after changing the state:
        # whoever comes second sees the other.
        holder = locks.find_holder(self.operations, locks.template(found.id))
        if holder is not None:
            self.rows.abandon_delete(found.id)
            raise errors.TemplateInUse(template=reference, operation=str(holder))
        self._delete(found.id)

    def _is_being_captured(self, template_id: uuid.UUID) -> bool:
        unfinished = self.operations.list_unfinished()
        return any(
            each.request.get("template_id") == str(template_id)
            for each in unfinished
            if each.kind is operation.Kind.CAPTURE
        )

    def finish_deletes(self) -> None:
        """At the daemon's start: end the deletions that it was cut off in."""
        for found in self.rows.list_in_state(templates.State.DELETING):
            self._delete(found.id)

    def _delete(self, template_id: uuid.UUID) -> None:
        self.store.delete_manifest(template_id)
        self.rows.remove(template_id)


def _summary(found: manifest.Manifest) -> views.ManifestSummary:
    return views.ManifestSummary(
        chunk_size_bytes=found.chunk_size_bytes,
        configuration=found.configuration,
        volumes=tuple(
            views.VolumeSummary(
                target=volume.target,
                size_bytes=volume.size_bytes,
                data_bytes=len(volume.table) * found.chunk_size_bytes,
                chunk_count=len(volume.table),
            )
            for volume in found.volumes
        ),
        guest=found.guest,
        sealing=found.sealing,
        has_nvram=found.nvram is not None,
    )

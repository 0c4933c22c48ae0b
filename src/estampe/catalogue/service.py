"""The catalogue: list, show and edit templates. Shown is what the account may see, edited only what is its own."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass

from estampe.catalogue import profiles, views
from estampe.db import template_moves
from estampe.db import templates as template_rows
from estampe.model import characteristics, listing, manifest, sight
from estampe.model import template as templates
from estampe.store import base as stores
from estampe.store import manifests


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateService:
    """Templates of one installation."""

    store: stores.Store
    rows: template_rows.Templates

    def list(self, account_id: uuid.UUID, query: listing.TemplateQuery) -> listing.Page[sight.Seen]:
        """A page of what the account sees in the query's scopes. Raises: errors.InvalidRequest."""
        return self.rows.visible.list(account_id, query)

    def seen(self, account_id: uuid.UUID, template_id: uuid.UUID) -> sight.Seen:
        """As the account sees it. Raises: errors.TemplateNotFound."""
        return self.rows.visible.resolve(account_id, str(template_id))

    def get(self, account_id: uuid.UUID, reference: str) -> views.TemplateDetail:
        """One, with what its manifest says. Raises: errors.TemplateNotFound, errors.ManifestCorrupt."""
        seen = self.rows.visible.resolve(account_id, reference)
        found = seen.template
        is_complete = found.state in templates.COMPLETE
        summary = _summary(manifests.get(self.store, found.id)) if is_complete else None
        return views.TemplateDetail(
            seen=seen,
            manifest=summary if summary is None or seen.is_own else views.opened(summary),
            successor=self._named(account_id, found.successor_id),
            parent=self._named(account_id, found.parent_id, found.parent_name),
        )

    def edit(
        self,
        owner_id: uuid.UUID,
        reference: str,
        *,
        name: str | None,
        note: str | None,
        tags: tuple[str, ...] | None,
        etags: Collection[str] | None = None,
    ) -> templates.Template:
        """Change what is not None, if its ETag is one of `etags` where some are given.

        Raises: errors.TemplateNotFound, errors.InvalidName, errors.NameInUse, errors.VersionGiven,
        errors.TemplateChanged.
        """
        found = self.rows.resolve(owner_id, reference)
        return self.rows.edit(found.id, name=name, note=note, tags=tags, etags=etags)

    def change_characteristics(
        self,
        owner_id: uuid.UUID,
        reference: str,
        change: characteristics.Change,
        *,
        etags: Collection[str] | None = None,
    ) -> templates.Template:
        """Change what it is tuned for, if its ETag is one of `etags` where some are given.

        Raises: errors.TemplateNotFound, errors.TemplateStateForbids, errors.InvalidRequest, errors.ProfileNotFound,
        errors.VolumeNotFound, errors.VolumeTooSmall, errors.TemplateChanged.
        """
        profile = None if change.profile is None else profiles.get(change.profile).tuned
        return self._set_characteristics(
            owner_id, reference, lambda present: change.apply(present, profile=profile), etags=etags
        )

    def replace_characteristics(
        self,
        owner_id: uuid.UUID,
        reference: str,
        new: characteristics.Characteristics,
        *,
        etags: Collection[str] | None = None,
    ) -> templates.Template:
        """Put `new` in the place of what was said; empty ones say nothing. Raises as `change_characteristics`."""
        return self._set_characteristics(owner_id, reference, lambda _present: new, etags=etags)

    def _set_characteristics(
        self,
        owner_id: uuid.UUID,
        reference: str,
        change: Callable[[characteristics.Characteristics], characteristics.Characteristics],
        *,
        etags: Collection[str] | None,
    ) -> templates.Template:
        found = self.rows.resolve(owner_id, reference)
        template_moves.check_tunable(found)
        sizes = {volume.target: volume.size_bytes for volume in manifests.get(self.store, found.id).volumes}

        def changed(present: characteristics.Characteristics) -> characteristics.Characteristics:
            made = change(present)
            made.check_volumes(sizes, owner=f"template {found.reference}")
            return made

        return self.rows.change_characteristics(found.id, changed, etags=etags)

    def _named(self, account_id: uuid.UUID, template_id: uuid.UUID | None, last_name: str | None = None) -> str | None:
        if template_id is None:
            return None
        found = self.rows.visible.find(account_id, template_id)
        return sight.origin(found, template_id=template_id, last_name=last_name)


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
        has_vtpm=found.vtpm is not None,
        layout=found.layout,
        has_inventory=found.inventory is not None,
    )

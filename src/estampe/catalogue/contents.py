"""What is in templates: a guest's inventory, and what is different between two templates."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from estampe import errors
from estampe.db import templates as template_rows
from estampe.model import difference, manifest
from estampe.model import inventory as inventories
from estampe.model import template as templates
from estampe.store import base as stores
from estampe.store import chunks, manifests


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two templates and what is different."""

    before: templates.Template
    after: templates.Template
    difference: difference.Difference


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentService:
    """Looks into the templates of one installation."""

    store: stores.Store
    rows: template_rows.Templates

    def inventory(self, owner_id: uuid.UUID, reference: str) -> inventories.Inventory:
        """What is installed and set. Raises: errors.InventoryNotFound, and as `compare`."""
        found = self._get(owner_id, reference)
        taken = self._inventory(found, manifests.get(self.store, found.id))
        if taken is None:
            raise errors.InventoryNotFound(template=found.reference)
        return taken

    def compare(self, owner_id: uuid.UUID, before: str, after: str) -> Comparison:
        """What is different in `after`. A list that is not known of both is told as not compared.

        Raises: errors.TemplateNotFound, errors.TemplateStateForbids (it is still captured, or purged), errors.ManifestCorrupt,
        errors.ChunkMissing, errors.ChunkCorrupt.
        """
        was, now = self._get(owner_id, before), self._get(owner_id, after)
        return Comparison(before=was, after=now, difference=difference.compare(self._side(was), self._side(now)))

    def _get(self, owner_id: uuid.UUID, reference: str) -> templates.Template:
        found = self.rows.resolve(owner_id, reference)
        if found.state not in templates.COMPLETE:
            advice = "only a template that is captured, and not purged, can be looked into"
            raise errors.TemplateStateForbids(template=found.reference, state=found.state.value, advice=advice)
        return found

    def _side(self, found: templates.Template) -> difference.Side:
        recorded = manifests.get(self.store, found.id)
        return difference.Side(name=found.reference, manifest=recorded, inventory=self._inventory(found, recorded))

    def _inventory(self, found: templates.Template, recorded: manifest.Manifest) -> inventories.Inventory | None:
        if recorded.inventory is None:
            return None
        data = chunks.get_blob(chunks.Chunks(self.store), recorded.inventory)
        try:
            return inventories.decode(data)
        except ValueError as error:  # pydantic's ValidationError is one
            detail = f"its inventory cannot be read: {str(error).splitlines()[0]}"
            raise errors.ManifestCorrupt(template=found.reference, detail=detail) from error

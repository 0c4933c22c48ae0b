"""What is in templates: a guest's inventory, and what is different between two templates."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from estampe import errors
from estampe.catalogue import views
from estampe.db import templates as template_rows
from estampe.model import difference, manifest, sight
from estampe.model import inventory as inventories
from estampe.model import template as templates
from estampe.store import base as stores
from estampe.store import chunks, manifests


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two templates and what is different."""

    before: sight.Seen
    after: sight.Seen
    difference: difference.Difference


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentService:
    """Looks into the templates of one installation: those that the account sees, as far as it sees them."""

    store: stores.Store
    rows: template_rows.Templates

    def inventory(self, account_id: uuid.UUID, reference: str) -> inventories.Inventory:
        """What is installed and set; of another account's, what is open. Raises: errors.InventoryNotFound, and as `compare`."""
        seen = self._get(account_id, reference)
        taken = self._inventory(seen, manifests.get(self.store, seen.template.id))
        if taken is None:
            raise errors.InventoryNotFound(template=seen.reference)
        return taken if seen.is_own else views.opened_inventory(taken)

    def compare(self, account_id: uuid.UUID, before: str, after: str) -> Comparison:
        """What is different in `after`. A list that is not known of both is told as not compared.

        Where one of the two is another account's, both are compared as others see them: what is closed in one of them alone would
        else look like a difference.

        Raises: errors.TemplateNotFound, errors.TemplateStateForbids (it is still captured, or purged), errors.ManifestCorrupt,
        errors.ChunkMissing, errors.ChunkCorrupt.
        """
        was, now = self._get(account_id, before), self._get(account_id, after)
        is_whole = was.is_own and now.is_own
        sides = [self._side(each, is_whole=is_whole) for each in (was, now)]
        return Comparison(before=was, after=now, difference=difference.compare(*sides))

    def _get(self, account_id: uuid.UUID, reference: str) -> sight.Seen:
        seen = self.rows.visible.resolve(account_id, reference)
        if seen.template.state not in templates.COMPLETE:
            advice = "only a template that is captured, and not purged, can be looked into"
            raise errors.TemplateStateForbids(template=seen.reference, state=seen.template.state.value, advice=advice)
        return seen

    def _side(self, seen: sight.Seen, *, is_whole: bool) -> difference.Side:
        recorded = manifests.get(self.store, seen.template.id)
        taken = self._inventory(seen, recorded)
        return difference.Side(
            name=seen.reference,
            manifest=recorded if is_whole else views.opened(recorded),
            inventory=taken if is_whole or taken is None else views.opened_inventory(taken),
            closed=frozenset() if seen.is_own else sight.CLOSED_LISTS,
        )

    def _inventory(self, seen: sight.Seen, recorded: manifest.Manifest) -> inventories.Inventory | None:
        if recorded.inventory is None:
            return None
        data = chunks.get_blob(chunks.Chunks(self.store), recorded.inventory)
        try:
            return inventories.decode(data)
        except ValueError as error:  # pydantic's ValidationError is one
            detail = f"its inventory cannot be read: {str(error).splitlines()[0]}"
            raise errors.ManifestCorrupt(template=seen.reference, detail=detail) from error

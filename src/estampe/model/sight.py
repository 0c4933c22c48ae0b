"""A template as an account sees it: whole where it is its own, and of another's only what others are told.

Field by field, and closed unless opened: a new field of a template must be put into one of the two sets, or nothing is shown.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from estampe.model import template as templates
from estampe.model import visibility as visibilities  # a field has the module's name

# What it is, what it needs, and where it stands.
OPEN: Final = frozenset(
    {
        "id", "owner_id", "name", "version", "state", "created_at", "logical_bytes", "data_bytes", "is_sealed",
        "guest_product", "characteristics",
    }
)  # fmt: skip
# What tells of its owner's servers, habits and other templates, with what stands there instead. `note` and `tags` are the
# owner's own; `new_bytes` would tell what others have in the store; `revision` would count changes that cannot be seen.
CLOSED: Final[Mapping[str, Any]] = {
    "note": "", "tags": (), "server_id": None, "server_name": "", "new_bytes": None, "is_protected": False,
    "successor_id": None, "parent_id": None, "parent_name": None, "trash": None, "revision": 0, "publication": None,
}  # fmt: skip

# The lists of an inventory: what is installed is what one deploys; who has an account in it, which services its owner has added
# and what its configuration files are (a digest proves a guess) is not told.
OPEN_LISTS: Final = frozenset({"packages"})
CLOSED_LISTS: Final = frozenset({"users", "services", "files"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A template as one account sees it."""

    template: templates.Template  # of another's only what is open, with its note for others
    publisher: str  # how its owner is called
    scope: visibilities.Scope  # why it is seen
    visibility: visibilities.Visibility  # whoever else sees it; another's is never private
    right: visibilities.Right
    expires_at: datetime.datetime | None = None  # of the share, where it is seen by one
    is_hidden: bool = False  # left out of this account's lists

    @property
    def is_own(self) -> bool:
        """Whether it belongs to who looks."""
        return self.scope is visibilities.Scope.MINE

    @property
    def full_reference(self) -> str:
        """As everybody names it: acme/web@3."""
        return f"{self.publisher}/{self.template.reference}"

    @property
    def reference(self) -> str:
        """As this account names it: an own one needs no publisher."""
        return self.template.reference if self.is_own else self.full_reference


def opened(found: templates.Template, *, note: str, successor_is_seen: bool) -> templates.Template:
    """What others see of it. Its successor is told to those who see that one as well."""
    told = {name: getattr(found, name) for name in OPEN} | dict(CLOSED) | {"note": note}
    if successor_is_seen:
        told["successor_id"] = found.successor_id
    return templates.Template(**told)


def origin(found: Seen | None, *, template_id: Any, last_name: str | None) -> str:
    """How the template is named that something came from, with what became of it; `last_name` is for one that cannot be seen.

    Of another account's it is not told whether it was deleted or is only not shared any more.
    """
    if found is None and last_name is not None and "/" in last_name:
        return f"{last_name} (no longer available)"
    if found is None:
        return f"{last_name or template_id} (deleted)"
    if found.template.state in {templates.State.TRASHED, templates.State.DELETING}:
        became = "in the trash" if found.template.state is templates.State.TRASHED else "deleted"
        return f"{found.reference} ({became})"
    return found.reference


def leads_somewhere(origin_told: str) -> bool:
    """Whether what `origin` told is a reference that can be followed: behind others stands what became of them."""
    return " " not in origin_told

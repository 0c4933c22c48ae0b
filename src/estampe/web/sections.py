"""The parts of the console, in the order of the navigation. One without a page that is its entry is not shown."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

from estampe.web.languages import _


class Section(enum.StrEnum):
    """A part of the console."""

    CATALOGUE = "catalogue"
    SERVERS = "servers"
    OPERATIONS = "operations"
    STORAGE = "storage"
    ADMINISTRATION = "administration"


LABELS: Final[Mapping[Section, str]] = {
    Section.CATALOGUE: _("Catalogue"),
    Section.SERVERS: _("Servers"),
    Section.OPERATIONS: _("Operations"),
    Section.STORAGE: _("Storage"),
    Section.ADMINISTRATION: _("Administration"),
}

"""XML that may come from another host or a hostile hand: no DOCTYPE (so no entities), bounded in size and depth."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from typing import Final
from xml.parsers import expat

from estampe import errors

# A domain with a thousand devices has under 1 MiB; deeper than twenty levels libvirt writes none (backing chains aside).
_LARGEST_BYTES: Final = 4 * 1024 * 1024
_DEEPEST: Final = 250  # libvirt's longest backing chain is 200 nested elements; ElementTree recurses to write


class _Reader:
    """Feeds expat's events into a tree."""

    def __init__(self) -> None:
        self._builder = ET.TreeBuilder()
        self._depth = 0

    def read(self, data: bytes) -> ET.Element:
        parser = expat.ParserCreate(namespace_separator="}")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._builder.data
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        parser.Parse(data, True)
        return self._builder.close()

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ValueError("it is nested too deeply")
        self._builder.start(_qualified(name), {_qualified(key): value for key, value in attributes.items()})

    def _end(self, name: str) -> None:
        self._depth -= 1
        self._builder.end(_qualified(name))

    def _refuse_doctype(self, *_declaration: object) -> None:
        raise ValueError("it has a DOCTYPE")


def read(text: str, *, server: str = "?") -> ET.Element:
    """The `<domain>` element of `text`. Raises: errors.DomainXmlInvalid; `server` names it in there."""
    data = text.encode(errors="surrogateescape")
    if len(data) > _LARGEST_BYTES:
        raise errors.DomainXmlInvalid(server=server, problem=f"it has more than {_LARGEST_BYTES} bytes")
    try:
        root = _Reader().read(data)
    except (expat.ExpatError, ValueError) as error:
        raise errors.DomainXmlInvalid(server=server, problem=str(error)) from error
    if root.tag != "domain":
        raise errors.DomainXmlInvalid(server=server, problem=f"it begins with <{root.tag}>, not <domain>")
    return root


def _qualified(name: str) -> str:
    """Expat's `namespace}name` as ElementTree's `{namespace}name`."""
    return "{" + name if "}" in name else name

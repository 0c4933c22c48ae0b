r"""Identifiers by which a guest finds its volumes, and all the ways in which they are written.

file system   UUID=6ba7b810-9dad-11d1-80b4-00c04fd430c8   vfat: ABCD-1234   NTFS: 01D2E3F4A5B6C7D8
partition     PARTUUID=6ba7b810-...                       MBR: its signature and the number, 1234abcd-02
LVM           fmQ0aV-1Ehs-...-oNEm7h                      without hyphens, too
in a unit     6ba7b810\x2d9dad\x2d...                     systemd-escape(1)
"""

from __future__ import annotations

import re
import secrets
import string
import uuid as uuids  # a field has the module's name
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

_ESCAPED: Final = rb"\x2d"
_LVM_CHARACTERS: Final = string.ascii_letters + string.digits
_LVM_GROUPS: Final = (6, 4, 4, 4, 4, 4, 6)
_LONG: Final = 32
_WORD: Final = rb"[0-9A-Za-z]"


class Sort(StrEnum):
    """What an identifier is of."""

    CONTENT = "file system"  # or swap area
    TABLE = "partition table"
    PARTITION = "partition"
    PHYSICAL = "physical volume"
    GROUP = "volume group"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identifier:
    """One that may be renewed."""

    sort: Sort
    name: str  # our name of the device: vda1, vg0
    kind: str  # ext4, swap, gpt, mbr, LVM2
    old: str
    target: str | None = None  # of a table and its partitions: the volume
    number: int | None = None  # of the partition

    @property
    def told(self) -> str:
        """As reports have it."""
        match self.sort:
            case Sort.CONTENT:
                return f"{self.name} ({self.kind})"
            case Sort.TABLE:
                return f"the partition table of {self.name}"
            case _:
                return f"the {self.sort} {self.name}"


def make(identifier: Identifier) -> str:
    """A new one of the same form."""
    if identifier.sort in {Sort.PHYSICAL, Sort.GROUP}:
        drawn = "".join(secrets.choice(_LVM_CHARACTERS) for _ in range(sum(_LVM_GROUPS)))
        return hyphenated(drawn)
    if identifier.kind == "vfat":
        drawn = secrets.token_hex(4).upper()
        return f"{drawn[:4]}-{drawn[4:]}"
    if identifier.kind == "ntfs":
        return secrets.token_hex(8).upper()
    if identifier.kind == "mbr":
        return f"{1 + secrets.randbelow(0xFFFFFFFF):08x}"
    return str(uuids.uuid4())


def hyphenated(lvm_id: str) -> str:
    """LVM's identifier in the form in which it is shown."""
    plain, parts, at = lvm_id.replace("-", ""), [], 0
    for length in _LVM_GROUPS:
        parts.append(plain[at : at + length])
        at += length
    return "-".join(parts)


def forms(identifier: Identifier, value: str) -> tuple[bytes, ...]:
    """Every way in which files may write that value of it, in a fixed order."""
    plain = value.encode()
    if identifier.sort in {Sort.PHYSICAL, Sort.GROUP}:
        return plain, plain.replace(b"-", b""), plain.replace(b"-", _ESCAPED)
    if identifier.sort is Sort.TABLE and identifier.kind == "mbr":
        plain += b"-"  # of its partitions, whose numbers follow; nothing else in a guest names the signature itself
    # Its own case last, which counts where cases do not differ: links in /dev/disk know no other.
    cased = (plain.lower(), plain.upper(), plain)
    return (*cased, *(each.replace(b"-", _ESCAPED) for each in cased))


class Exchange:
    """Old identifiers for new ones, in whatever form they are written; each is as long as the one it takes the place of."""

    def __init__(self, renewed: Iterable[tuple[Identifier, str]]) -> None:
        self._new = dict(_pairs(renewed))

    @property
    def words(self) -> tuple[bytes, ...]:
        """All forms of the old ones."""
        return tuple(self._new)

    def __call__(self, content: bytes) -> bytes:
        """The content with new ones."""
        found = [word for word in self._new if word in content]  # quicker by far than a pattern of all of them
        if not found:
            return content
        pattern = re.compile(_bounded(found))
        return pattern.sub(lambda match: self._new[match[0]], content)


def _pairs(renewed: Iterable[tuple[Identifier, str]]) -> Iterator[tuple[bytes, bytes]]:
    for identifier, new in renewed:
        yield from zip(forms(identifier, identifier.old), forms(identifier, new), strict=True)


def named(content: bytes, identifier: Identifier) -> bool:
    """Whether the content names it."""
    found = [word for word in forms(identifier, identifier.old) if word in content]
    return bool(found) and re.search(_bounded(found), content) is not None


def _bounded(words: Iterable[bytes]) -> bytes:
    """Whole words only: a volume's number of eight digits is part of longer ones. A long one may follow another at once (LVM's in /dev/disk/by-id)."""
    patterns = []
    for word in words:
        pattern = re.escape(word)
        if len(word) < _LONG:
            is_signature = word.endswith((b"-", _ESCAPED))
            behind = b"(?=%s{2}(?!%s))" if is_signature else b"(?!%s)"
            pattern = b"(?<!%s)%s" % (_WORD, pattern) + behind.replace(b"%s", _WORD)
        patterns.append(pattern)
    return b"|".join(patterns)

"""LVM's volume groups, by LVM's own account of them.

Names of devices in it are the appliance's kernel's, which are not always libguestfs' (it probes its drives in no fixed
order): physical volumes are found again by their UUIDs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from estampe.guest import text
from estampe.model import layout as layouts

_TOKEN: Final = re.compile(r'#[^\n]*|"(?:[^"\\]|\\.)*"|[\w.+-]+|[={}\[\]]')
_SEGMENT: Final = re.compile(r"segment\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What is known already of the devices that groups lie on and consist of."""

    name_of_physical: Callable[[str], str | None]  # our name of the one with that LVM UUID
    content_of_logical: Callable[[str], str]  # what the device /dev/vg/lv holds


def groups(handle: Any, told: Told) -> Iterator[layouts.VolumeGroup]:
    """The groups that the appliance has found whole; one with a part missing, or damaged, is left out."""
    try:
        found = handle.vgs_full()
    except RuntimeError:
        return
    for each in sorted(found, key=lambda group: str(group["vg_name"])):
        try:
            meta = _parse(handle.vgmeta(each["vg_name"]).decode(errors="replace"))
            yield _group(each, meta[each["vg_name"]], told)
        except (RuntimeError, LookupError, ValueError, TypeError, AttributeError):
            continue  # a stranger's metadata


def _group(shown: dict[str, Any], meta: dict[str, Any], told: Told) -> layouts.VolumeGroup:
    name = text.plain(shown["vg_name"])
    extent_bytes = int(meta["extent_size"]) * layouts.SECTOR_BYTES
    ids = [str(each["id"]) for each in meta["physical_volumes"].values()]
    logical = (
        layouts.LogicalVolume(
            name=text.plain(volume),
            size_bytes=sum(int(segment["extent_count"]) for segment in _segments(facts)) * extent_bytes,
            kind=_kind(facts),
            content=told.content_of_logical(f"/dev/{shown['vg_name']}/{volume}"),
        )
        for volume, facts in meta.get("logical_volumes", {}).items()
        if "VISIBLE" in facts["status"]
    )
    return layouts.VolumeGroup(
        name=name,
        extent_size_bytes=extent_bytes,
        free_bytes=int(shown["vg_free"]),
        physical_volumes=tuple(told.name_of_physical(each) or text.plain(each) for each in ids),
        logical_volumes=tuple(sorted(logical, key=lambda volume: volume.name)),
    )


def _segments(facts: dict[str, Any]) -> list[dict[str, Any]]:
    return [facts[name] for name in facts if _SEGMENT.fullmatch(name)]


def _kind(facts: dict[str, Any]) -> str:
    """`linear` for what LVM writes as one stripe, as lvs(8) shows it."""
    kinds = {
        "linear" if segment["type"] == "striped" and segment["stripe_count"] == "1" else str(segment["type"])
        for segment in _segments(facts)
    }
    return text.plain(kinds.pop()) if len(kinds) == 1 else "mixed"


def _parse(meta: str) -> dict[str, Any]:
    """LVM's text format (vgcfgbackup(8)): `name { ... }`, `name = value`, `name = [a, b]`, comments from `#`.

    Raises: ValueError.
    """
    top: dict[str, Any] = {}
    stack, name = [top], ""
    words = (found[0] for found in _TOKEN.finditer(meta) if not found[0].startswith("#"))
    for word in words:
        if word == "{":
            stack.append({})
            stack[-2][name] = stack[-1]
        elif word == "}":
            stack.pop()
            if not stack:
                raise ValueError("LVM's metadata ends a section that it did not begin")
        elif word == "=":
            stack[-1][name] = _value(words)
        else:
            name = word
    return top


def _value(words: Iterator[str]) -> str | list[str]:
    first = next(words, "")
    if first != "[":
        return first.strip('"')
    listed = []
    for word in words:
        if word == "]":
            break
        listed.append(word.strip('"'))
    return listed

"""What is different between two templates: pure, from their manifests and inventories."""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from estampe import units
from estampe.model import layout as layouts

if (
    TYPE_CHECKING
):  # the command line has the kinds of differences by its schemas, and need not load what hashes manifests
    from estampe.model import inventory as inventories
    from estampe.model import manifest


class Kind(enum.StrEnum):
    """What became of a thing on the way from the first template to the second."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that is different."""

    kind: Kind
    what: str  # memory, vda1, openssl:amd64, ana, ssh.service, /etc/hosts
    before: str | None  # None where it was added
    after: str | None  # None where it was removed


@dataclass(frozen=True, slots=True, kw_only=True)
class NotCompared:
    """A list that is not known whole of both."""

    what: str  # packages, users, services, files
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """All differences, each list by name; nothing in any of them: the templates are alike in what is compared."""

    configuration: tuple[Change, ...]
    volumes: tuple[Change, ...]
    packages: tuple[Change, ...]
    users: tuple[Change, ...]
    services: tuple[Change, ...]
    files: tuple[Change, ...]  # under /etc; values are digests
    not_compared: tuple[NotCompared, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the two templates."""

    name: str  # web@3
    manifest: manifest.Manifest
    inventory: inventories.Inventory | None
    closed: frozenset[str] = frozenset()  # lists that whoever asks is not told: the template is another account's


def compare(before: Side, after: Side) -> Difference:
    """What is different in `after`."""
    lists: dict[str, tuple[Change, ...]] = {}
    not_compared = []
    for what, read in _LISTS.items():
        why = next(filter(None, (_why_not(side, what) for side in (before, after))), None)
        if why is not None:
            not_compared.append(NotCompared(what=what, why=why))
        was, now = ({} if why or side.inventory is None else read(side.inventory) for side in (before, after))
        lists[what] = _changes(was, now)
    return Difference(
        configuration=_changes(_configuration(before.manifest), _configuration(after.manifest)),
        volumes=_changes(_volumes(before.manifest), _volumes(after.manifest)),
        not_compared=tuple(not_compared),
        **lists,
    )


def _why_not(side: Side, what: str) -> str | None:
    if what in side.closed:
        return f"{side.name} is another account's, which does not tell them"
    if side.inventory is None:
        return f"{side.name} has no inventory: its guest could not be inspected, or was not"
    if what in side.inventory.cut:
        return f"{side.name} has more of them than were recorded"
    return None


def _changes(was: Mapping[str, str], now: Mapping[str, str]) -> tuple[Change, ...]:
    return tuple(
        Change(
            kind=Kind.ADDED if name not in was else Kind.REMOVED if name not in now else Kind.CHANGED,
            what=name,
            before=was.get(name),
            after=now.get(name),
        )
        for name in sorted({*was, *now})
        if was.get(name) != now.get(name)
    )


# --- what is compared, each as name -> value --------------------------------------------------------------------------


def _configuration(found: manifest.Manifest) -> dict[str, str]:
    """Without what differs from server to server anyway: names, UUIDs, MAC addresses."""
    recorded, guest = found.configuration, found.guest
    facts: dict[str, object] = {
        "architecture": recorded.architecture,
        "machine type": recorded.machine,
        "CPUs": recorded.cpus,
        "CPU": " ".join(part for part in (recorded.cpu_mode, recorded.cpu_model) if part) or None,
        "memory": units.format_bytes(recorded.memory_bytes),
        "firmware": recorded.firmware.value,
        "secure boot": _yes(recorded.has_secure_boot),
        "guest agent channel": _yes(recorded.has_agent_channel),
        "sealed": _yes(found.sealing.is_sealed),
    }
    for nth, each in enumerate(recorded.interfaces):
        facts[f"interface {nth}"] = ", ".join(part for part in (each.kind, each.source, each.model) if part)
    if guest is not None:
        facts |= {
            "system": guest.product,
            "version": guest.version,
            "boot loader": guest.boot_loader,
            "init": guest.init,
            "network by": guest.network,
            "seed reader": guest.seed_reader,
            "guest agent": _yes(guest.has_guest_agent),
            "generalised": None if guest.is_generalised is None else _yes(guest.is_generalised),
        }
    return {name: str(value) for name, value in facts.items() if value is not None}


def _yes(fact: object) -> str:
    return "yes" if fact else "no"


def _volumes(found: manifest.Manifest) -> dict[str, str]:
    """Volumes, partitions, groups and logical volumes, by our names of them."""
    parts = {
        each.target: [units.format_bytes(each.size_bytes), each.bus, each.format.value]
        for each in found.configuration.volumes
    }
    for name, told in _laid_out(found.layout) if found.layout else ():
        parts.setdefault(name, []).extend(told)
    for system in found.guest.file_systems if found.guest else ():
        if system.mount_point is not None:
            parts.setdefault(system.device, []).append(f"mounted at {system.mount_point}")
    return {name: ", ".join(told) for name, told in parts.items()}


def _laid_out(layout: layouts.Layout) -> Iterator[tuple[str, list[str]]]:
    for volume in layout.volumes:
        yield volume.target, [volume.content or volume.table.value]
        for part in volume.partitions:
            name = layouts.partition_name(volume.target, part.number)
            yield (
                name,
                [part.content, units.format_bytes(part.size_bytes), f"at {units.format_bytes(part.start_bytes)}"],
            )
    for group in layout.groups:
        yield group.name, [f"group of {', '.join(group.physical_volumes)}"]
        for logical in group.logical_volumes:
            told = [logical.content, units.format_bytes(logical.size_bytes), logical.kind]
            yield f"{group.name}/{logical.name}", told


def _packages(found: inventories.Inventory) -> dict[str, str]:
    """Some are there in several versions at once: kernels of RPM's distributions."""
    versions: defaultdict[str, list[str]] = defaultdict(list)
    for each in found.packages:
        versions[f"{each.name}:{each.architecture}" if each.architecture else each.name].append(each.version)
    return {name: ", ".join(sorted(told)) for name, told in versions.items()}


def _users(found: inventories.Inventory) -> dict[str, str]:
    return {each.name: f"{each.uid}, {each.shell}" for each in found.users}


def _services(found: inventories.Inventory) -> dict[str, str]:
    return dict.fromkeys(found.services, "enabled")


def _files(found: inventories.Inventory) -> Mapping[str, str]:
    return found.files


_LISTS: Final = {"packages": _packages, "users": _users, "services": _services, "files": _files}

"""Which identifiers of a guest's volumes can be renewed, and what names them. Nothing is changed here but files, at last.

found on the volumes ──▶ plan: all that may name one is read; what could not follow keeps its identifier
                              ──▶ they are changed on the volumes (`renewing`) ──▶ rewrite: whatever named them names the new ones

Files are not understood but searched: an identifier is like no other word, and is as long as the one that takes its place. So the same holds
for fstab, crypttab, GRUB's configuration and environment, entries of other loaders, units, dracut's and LVM's files, and an initramfs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from estampe import errors
from estampe.guest import base, boot_files, identifiers, initramfs

_ETC: Final = "/etc"
_PATCHED: Final = 4  # a repacked initramfs is not larger by more than a part of this


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was found on the volumes, and what is known of it before a file was read."""

    present: tuple[identifiers.Identifier, ...]
    kept: Mapping[identifiers.Identifier, str] = field(default_factory=dict)  # why these must stay
    boot_group: str | None = None  # the volume group that holds /boot
    why_not: str | None = None  # nothing may be renewed


@dataclass(slots=True)
class Plan:
    """What will be renewed, what is left and why, and which files will follow."""

    renewed: list[identifiers.Identifier]
    left: dict[identifiers.Identifier, str]
    files: set[str] = field(default_factory=set)
    images: set[str] = field(default_factory=set)  # initramfs among what follows

    def leave(self, named: Sequence[identifiers.Identifier], why: str) -> None:
        """Keep these as they are."""
        for each in named:
            if each in self.renewed:
                self.renewed.remove(each)
                self.left[each] = why


def plan(appliance: base.Appliance, found: Found) -> Plan:
    """Raises: errors.ApplianceFailed for what cannot be read though it is there."""
    made = Plan(renewed=list(found.present), left={})
    for identifier, why in found.kept.items():
        made.leave([identifier], why)
    why_not = found.why_not or _why_nothing(appliance)
    if why_not is not None:
        made.leave(found.present, why_not)
        return made
    if boot_files.has_bios_grub(appliance) and found.boot_group is not None:
        groups = [each for each in found.present if each.name == found.boot_group]
        made.leave(groups, "GRUB's image, which finds /boot by it, cannot be changed")
    _look_through_etc(appliance, found, made)
    _look_through_configurations(appliance, found, made)
    _look_through_programs(appliance, found, made)
    _look_through_images(appliance, found, made)
    return made


def rewrite(appliance: base.Appliance, made: Plan, exchange: identifiers.Exchange) -> list[str]:
    """Let what names old identifiers name the new ones; which files were changed. Raises: errors.ApplianceFailed."""
    changed = []
    for path in sorted(made.files | made.images):
        before = appliance.read_bytes(path)
        after = initramfs.exchanged(before, exchange) if path in made.images else exchange(before)
        if after != before:
            appliance.write_bytes(path, after)
            changed.append(path)
    return changed


def _why_nothing(appliance: base.Appliance) -> str | None:
    unified = boot_files.unified(appliance)
    if unified:
        return f"{unified[0]} holds the kernel's command line, and cannot be changed"
    if not boot_files.configurations(appliance):
        return "no configuration of a boot loader that Estampe knows was found, so it is not known what names it"
    return None


def _look_through_etc(appliance: base.Appliance, found: Found, made: Plan) -> None:
    words = [form.decode() for each in found.present for form in identifiers.forms(each, each.old)]
    mentions = appliance.mentions(_ETC, list(dict.fromkeys(words)))
    if mentions.is_cut:
        made.leave(found.present, "/etc holds more than is read, so it is not known what names it")
        return
    for path in mentions.by_path:
        by_name = [each for each in found.present if identifiers.named(path.encode(), each)]
        made.leave(by_name, f"the name of {path} names it")
        if appliance.is_link(path):
            made.leave(_by_words(found, mentions.by_path[path]), f"the link {path} names it")
        elif not by_name:
            made.files.add(path)


def _by_words(found: Found, words: Sequence[str]) -> list[identifiers.Identifier]:
    content = " ".join(words).encode()
    return [each for each in found.present if identifiers.named(content, each)]


def _named(content: bytes, found: Found) -> list[identifiers.Identifier]:
    return [each for each in found.present if identifiers.named(content, each)]


def _look_through_configurations(appliance: base.Appliance, found: Found, made: Plan) -> None:
    for path in boot_files.configurations(appliance):
        named = _named(appliance.read_bytes(path), found)
        if named and boot_files.is_of_bios_grub(path):
            made.leave(named, f"GRUB's image, which cannot be changed, names it (by {path})")
        elif named:
            made.files.add(path)


def _look_through_programs(appliance: base.Appliance, found: Found, made: Plan) -> None:
    for path in boot_files.programs(appliance):
        program = appliance.read_bytes(path)
        named = _named(program, found)
        if not named:
            continue
        if boot_files.is_signed(program):
            made.leave(named, f"{path} names it, and is signed")
        else:
            made.files.add(path)


def _look_through_images(appliance: base.Appliance, found: Found, made: Plan) -> None:
    exchange = identifiers.Exchange([(each, each.old) for each in found.present])
    for path in boot_files.initramfs(appliance):
        image = appliance.read_bytes(path)
        try:
            words = initramfs.named(image, exchange.words)
        except errors.ApplianceFailed as error:
            made.leave(found.present, f"{path} may name it: {error.facts['detail']}")
            continue
        named = _by_words(found, [word.decode() for word in sorted(words)])
        if named and appliance.free_bytes(path) < len(image) // _PATCHED:
            made.leave(named, f"{path} names it, and its file system has no room for a new one")
        elif named:
            made.images.add(path)

r"""The boot loader at the place where UEFI firmware looks by itself: \EFI\BOOT\BOOTX64.EFI (UEFI specification, 3.5.1.1).

A server boots by an entry in its NVRAM, which names the disk. The NVRAM is copied to each new server, and entries that name
a partition by its GUID hold there; one that names the device by its place or serial number does not, and a template may have
no NVRAM that fits the host. The firmware then tries this file on every disk, and many distributions do not put it there.
"""

from __future__ import annotations

from typing import Final

from estampe.guest import base

_SYSTEM_PARTITIONS: Final = ("/boot/efi", "/efi", "/boot")
# The first program, and what it loads from beside itself. Not fbx64.efi: shim would run that first, to make new entries.
_CHAINS: Final = {
    "X64": (("shimx64.efi", ("grubx64.efi", "mmx64.efi")), ("grubx64.efi", ()), ("systemd-bootx64.efi", ())),
    "AA64": (("shimaa64.efi", ("grubaa64.efi", "mmaa64.efi")), ("grubaa64.efi", ()), ("systemd-bootaa64.efi", ())),
}


def ensure(appliance: base.Appliance) -> list[str]:
    """Put the guest's own loader there where none is; what was done, in lines."""
    for partition in _SYSTEM_PARTITIONS:
        efi = _find(appliance, partition, "EFI")
        if efi is not None:
            return [line for architecture in _CHAINS for line in _ensure(appliance, efi, architecture)]
    return []


def _ensure(appliance: base.Appliance, efi: str, architecture: str) -> list[str]:
    name = f"BOOT{architecture}.EFI"
    directory = _find(appliance, efi, "BOOT") or f"{efi}/BOOT"
    if _find(appliance, directory, name) is not None:
        return []
    for first, beside in _CHAINS[architecture]:
        found = [path for path in appliance.glob(f"{efi}/*/{_any_case(first)}") if appliance.is_file(path)]
        if not found:
            continue
        source = found[0].rpartition("/")[0]
        appliance.make_directory(directory)
        appliance.copy(found[0], f"{directory}/{name}")
        for other in beside:
            if path := _find(appliance, source, other):
                appliance.copy(path, f"{directory}/{other}")
        return [f"copied {found[0]} to {directory}/{name}: the guest boots where the firmware has no entry for it, too"]
    return []


def _find(appliance: base.Appliance, directory: str, name: str) -> str | None:
    """What is there under that name, in whatever case: FAT knows none."""
    return next(iter(appliance.glob(f"{directory}/{_any_case(name)}")), None)


def _any_case(name: str) -> str:
    return "".join(f"[{each.lower()}{each.upper()}]" if each.isalpha() else each for each in name)

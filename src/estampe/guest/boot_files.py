"""Where a Linux guest's boot loaders keep what names its volumes, outside /etc."""

from __future__ import annotations

from typing import Final

from estampe import errors
from estampe.guest import base

_SYSTEM_PARTITIONS: Final = ("/boot/efi", "/efi", "/boot")
_EFI: Final = "[eE][fF][iI]"
# What a boot loader reads to know what to boot. A guest without any of them is booted in a way that is not known here.
_CONFIGURATIONS: Final = (
    "/boot/grub*/grub.cfg", "/boot/grub/menu.lst", "/boot/grub*/grub.conf", "/boot/loader/entries/*.conf",
    "/boot/efi/loader/entries/*.conf", "/efi/loader/entries/*.conf", "/boot/extlinux/*.conf", "/boot/syslinux/*.cfg",
    "/extlinux.conf", "/boot/extlinux.conf",
)  # fmt: skip
_FURTHER: Final = (
    "/boot/grub*/*.cfg", "/boot/grub*/grubenv", "/boot/grub*/*/load.cfg", "/boot/loader/*.conf", "/boot/efi/loader/*.conf",
    "/efi/loader/*.conf", "/boot/*.cfg", "/boot/*.conf", "/boot/*.txt", "/boot/firmware/*.txt",
    *(f"{each}/{_EFI}/*/{name}" for each in _SYSTEM_PARTITIONS for name in ("*.cfg", "grubenv", "*.conf")),
)  # fmt: skip
_PROGRAMS: Final = (
    *(f"{each}/{_EFI}/*/*.{_EFI}" for each in _SYSTEM_PARTITIONS),
    *(f"/boot/grub*/*-efi/{name}.efi" for name in ("core", "grub")),
)
_UNIFIED: Final = tuple(f"{each}/{_EFI}/[lL][iI][nN][uU][xX]/*.{_EFI}" for each in _SYSTEM_PARTITIONS)
_INITRAMFS: Final = tuple(
    f"{each}{name}"
    for each in ("/boot/", "/boot/*/*/", "/efi/*/*/", "/boot/efi/*/*/", "/boot/efi/*/*/*/")
    for name in ("initrd*", "initramfs*")
)
_SIGNATURES: Final = 4  # of the data directories: the certificate table (PE format, "Optional Header Data Directories")


def configurations(appliance: base.Appliance) -> list[str]:
    """What boot loaders read, and what they keep beside it; empty where none is known."""
    if not _files(appliance, _CONFIGURATIONS):
        return []
    return _files(appliance, (*_CONFIGURATIONS, *_FURTHER))


def programs(appliance: base.Appliance) -> list[str]:
    """EFI programs; GRUB's has a configuration inside."""
    return [path for path in _files(appliance, _PROGRAMS) if path not in unified(appliance)]


def unified(appliance: base.Appliance) -> list[str]:
    """Unified kernel images: kernel, initramfs and command line in one program."""
    return _files(appliance, _UNIFIED)


def initramfs(appliance: base.Appliance) -> list[str]:
    """Images of initial file systems."""
    return _files(appliance, _INITRAMFS)


def _files(appliance: base.Appliance, patterns: tuple[str, ...]) -> list[str]:
    """Each file once: what a link leads to is found by itself, or is in /etc."""
    return [path for path in appliance.glob(*patterns) if not appliance.is_link(path) and appliance.is_file(path)]


def has_bios_grub(appliance: base.Appliance) -> bool:
    """Whether GRUB for BIOS is there: its image lies outside the file systems, compressed."""
    return bool(appliance.glob("/boot/grub*/i386-pc"))


def is_of_bios_grub(path: str) -> bool:
    """Whether the file's content is in that image, too."""
    return path.endswith("/i386-pc/load.cfg")


def is_signed(program: bytes) -> bool:
    """Whether an EFI program (PE32+) has a signature, which a change would break.

    Raises: errors.ApplianceFailed where it is no such program.
    """
    at = int.from_bytes(program[0x3C:0x40], "little")
    optional = at + 24
    if program[at : at + 4] != b"PE\0\0" or program[optional : optional + 2] != b"\x0b\x02":
        raise errors.ApplianceFailed(detail="it is no EFI program")
    directory = optional + 112 + 8 * _SIGNATURES
    return any(program[directory : directory + 8])

"""UEFI firmware of this host: QEMU's firmware descriptors, and the pairs that libvirt knows without one.

Source: QEMU docs/interop/firmware.json. A descriptor in /etc overrides its namesake in /usr/share; an empty one hides it.
Names begin with a number: the lower, the better.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from estampe.virt import base

_DIRECTORIES: Final = (Path("/etc/qemu/firmware"), Path("/usr/share/qemu/firmware"))
# OVMF with a 2 MiB flash, as servers made before 2022 have; distributions ship it still, but no descriptor for it.
_WITHOUT_DESCRIPTOR: Final = {
    "x86_64": (
        ("/usr/share/OVMF/OVMF_CODE.secboot.fd", "/usr/share/OVMF/OVMF_VARS.fd", True),
        ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd", False),
    )
}


def images(architecture: str, *, directories: Sequence[Path] = _DIRECTORIES) -> tuple[base.FirmwareImage, ...]:
    """UEFI firmware in flash for the architecture, best first; only what is there."""
    described = tuple(_described(architecture, directories))
    known = {image.path for image in described}
    others = (_image(*pair) for pair in _WITHOUT_DESCRIPTOR.get(architecture, ()) if pair[0] not in known)
    return (*described, *(image for image in others if Path(image.path).exists() and image.nvram_size_bytes))


def _described(architecture: str, directories: Sequence[Path]) -> Iterator[base.FirmwareImage]:
    for path in _descriptors(directories):
        try:
            descriptor = json.loads(path.read_text())
            image = _read(descriptor, architecture)
        except (OSError, ValueError, KeyError, TypeError):
            continue  # a descriptor that is empty, broken or of a newer kind offers nothing
        if image is not None and Path(image.path).exists():
            yield image


def _descriptors(directories: Sequence[Path]) -> list[Path]:
    """By file name; of namesakes the one in the directory that comes first."""
    by_name = {path.name: path for directory in reversed(directories) for path in directory.glob("*.json")}
    return [by_name[name] for name in sorted(by_name)]


def _read(descriptor: dict[str, Any], architecture: str) -> base.FirmwareImage | None:
    mapping = descriptor["mapping"]
    fits = any(target["architecture"] == architecture for target in descriptor["targets"])
    features = set(descriptor["features"])
    if not fits or "uefi" not in descriptor["interface-types"] or mapping["device"] != "flash":
        return None
    if mapping.get("mode", "split") != "split" or features & {"amd-sev-es", "amd-sev-snp", "intel-tdx"}:
        return None  # no variable store, or made for confidential guests alone
    if mapping["executable"]["format"] != "raw" or mapping["nvram-template"]["format"] != "raw":
        return None
    return _image(mapping["executable"]["filename"], mapping["nvram-template"]["filename"], "secure-boot" in features)


def _image(path: str, nvram_template: str, has_secure_boot: bool) -> base.FirmwareImage:
    try:
        size: int | None = Path(nvram_template).stat().st_size
    except OSError:
        size = None
    return base.FirmwareImage(
        path=path, has_secure_boot=has_secure_boot, nvram_template=nvram_template, nvram_size_bytes=size
    )

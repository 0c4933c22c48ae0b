"""Backing chains: every layer with its path and its format, never guessed from content.

The domain tells the top layer's format, and often nothing more: libvirt keeps `<backingStore>` in a persistent definition
only where somebody wrote it. What lies below then comes from the qcow2 header of the layer above, under the rules libvirt
itself has since 6.0: a header that names a backing file must name its format too. A header is written by whoever wrote the
image; a guest that owns a raw volume can write a qcow2 header into it, so a format is never probed (CVE-2008-2004 and its
descendants), and a header may name nothing but a plain local file (`json:` and URLs read other things: CVE-2024-4467).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from estampe import errors
from estampe.model import configuration
from estampe.virt import base, qcow2_header

_LONGEST_CHAIN: Final = 200  # libvirt's own limit (VIR_DOMAIN_MAX ... in its storage source code)
_SECTOR_BYTES: Final = 512


def resolve(volume: str, declared: Sequence[tuple[str, str]], *, is_complete: bool) -> tuple[base.Layer, ...]:
    """The layers of a volume, top first.

    `volume` names it in errors; `declared` are the (path, format) that the domain tells, top first, at least one;
    `is_complete` says that the domain tells the chain's end too. Reads headers only.

    Raises: errors.VolumeGone, errors.FormatUnsupported, errors.ChainUnsupported.
    """
    layers: list[base.Layer] = []
    pending: list[tuple[str, str]] = list(declared)
    while pending:
        path, format_name = pending.pop(0)
        layer = _layer(volume, path, format_name)
        _check_no_loop(volume, layer, layers)
        layers.append(layer)
        if layer.format is configuration.VolumeFormat.QCOW2:
            header = read_header(volume, path)
            _check_plain(volume, path, header)
            if not pending and not is_complete and header.backing_file is not None:
                pending.append(_backing(volume, path, header.backing_file, header.backing_format))
        elif pending:
            raise errors.ChainUnsupported(volume=volume, path=path, problem="is raw, and cannot have a backing file")
    return tuple(layers)


def virtual_size(volume: str, layer: base.Layer) -> int:
    """The size in bytes that the layer gives its volume: of raw, the file's, up to whole sectors as QEMU does.

    Raises: errors.VolumeGone, errors.ChainUnsupported.
    """
    if layer.format is configuration.VolumeFormat.QCOW2:
        return read_header(volume, layer.path).size_bytes
    try:
        with Path(layer.path).open("rb", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)  # also right for block devices, whose stat has no size
    except OSError as error:
        raise errors.VolumeGone(volume=volume, path=layer.path, detail=error.strerror) from error
    return -(-size // _SECTOR_BYTES) * _SECTOR_BYTES


def read_header(volume: str, path: str) -> qcow2_header.Header:
    """Raises: errors.VolumeGone, errors.ChainUnsupported where it is no qcow2 file."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(qcow2_header.HEADER_BYTES)
    except OSError as error:
        raise errors.VolumeGone(volume=volume, path=path, detail=error.strerror) from error
    try:
        return qcow2_header.parse(data)
    except ValueError as error:
        problem = f"is told to be qcow2, but {error}"
        raise errors.ChainUnsupported(volume=volume, path=path, problem=problem) from error


def _layer(volume: str, path: str, format_name: str) -> base.Layer:
    try:
        volume_format = configuration.VolumeFormat(format_name)
    except ValueError as error:
        raise errors.FormatUnsupported(volume=volume, format=format_name) from error
    try:
        mode = Path(path).stat().st_mode
    except OSError as error:
        raise errors.VolumeGone(volume=volume, path=path, detail=error.strerror) from error
    if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
        raise errors.ChainUnsupported(volume=volume, path=path, problem="is neither a file nor a block device")
    return base.Layer(path=path, format=volume_format, is_block_device=stat.S_ISBLK(mode))


def _check_no_loop(volume: str, layer: base.Layer, above: Sequence[base.Layer]) -> None:
    if len(above) >= _LONGEST_CHAIN or any(Path(layer.path).samefile(other.path) for other in above):
        raise errors.ChainUnsupported(volume=volume, path=layer.path, problem="makes its backing chain endless")


def _check_plain(volume: str, path: str, header: qcow2_header.Header) -> None:
    if header.is_encrypted:
        raise errors.ChainUnsupported(volume=volume, path=path, problem="is encrypted, and Estampe has no key for it")
    if header.has_external_data:
        problem = "keeps its data in another file that it names itself, which Estampe does not follow; copy it into one file with `qemu-img convert`"
        raise errors.ChainUnsupported(volume=volume, path=path, problem=problem)


def _backing(volume: str, path: str, name: str, format_name: str | None) -> tuple[str, str]:
    """(path, format) of the backing file that the header of `path` names."""
    if format_name is None:
        problem = (
            f"names the backing file {name} without its format; if you know it, write it down with "
            f"`qemu-img rebase -u -b {name} -F FORMAT {path}`"
        )
        raise errors.ChainUnsupported(volume=volume, path=path, problem=problem)
    plain = name.removeprefix("file:")
    if ":" in plain.split("/", 1)[0]:  # QEMU: a colon before the first slash begins a protocol's name
        problem = f"has the backing {name}, and Estampe reads files and block devices only"
        raise errors.ChainUnsupported(volume=volume, path=path, problem=problem)
    return str(Path(path).parent / plain), format_name

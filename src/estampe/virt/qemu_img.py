"""qemu-img: formats always told, never probed; every call with a deadline."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from estampe import errors, process
from estampe.model import configuration
from estampe.virt import base, block_description

_PACKAGE: Final = "qemu-utils"
_DEADLINE_SECONDS: Final = 60.0
_CHECK_DEADLINE_SECONDS: Final = 600.0  # reads all metadata: 1 TiB of qcow2 has 128 MiB of it
_CHECK_FOUND_ERRORS: Final = {2, 3}  # exit status: corruption, leaked clusters


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """What the top layer of a chain is."""

    size_bytes: int  # virtual
    actual_bytes: int  # on disk
    format: configuration.VolumeFormat
    backing_file: str | None
    backing_format: str | None


@dataclass(frozen=True, slots=True)
class MapExtent:
    """A run of one chain's map. Bytes."""

    offset: int
    length: int
    depth: int  # the layer that holds it; 0 is the top
    is_present: bool  # some layer holds it; False: it was never allocated
    is_zero: bool  # reads as zeros
    is_data: bool  # has bytes in a file
    is_compressed: bool  # False where this QEMU does not tell (before 8.2): then host_offset is None all the same
    host_offset: int | None  # where the layer's file holds it as it is


def create(
    path: str,
    *,
    format: configuration.VolumeFormat,
    size_bytes: int | None = None,
    backing: base.Layer | None = None,
    is_preallocated: bool = False,
    deadline_seconds: float = _DEADLINE_SECONDS,
) -> None:
    """Make an image; with `backing` an overlay over it, by default of its size.

    `is_preallocated` gives every cluster of a qcow2 image its place in the file, which stays sparse.

    Raises: errors.ProcessFailed, errors.NoSpace, errors.DeadlineExceeded, errors.ProgramMissing.
    """
    argv = ["create", "-q", "-f", format.value]
    if backing is not None:
        argv += ["-b", backing.path, "-F", backing.format.value]
    if is_preallocated:
        argv += ["-o", "preallocation=metadata"]
    argv.append(path)
    if size_bytes is not None:
        argv.append(str(size_bytes))
    _run(argv, deadline_seconds)


def info(chain: Sequence[base.Layer], *, is_shared: bool = False, deadline_seconds: float = _DEADLINE_SECONDS) -> Info:
    """What the chain's top is; opens the layers given and no other. `is_shared`: also where a server writes to it now.

    Raises: as `create`, and errors.VolumeLocked.
    """
    answer = json.loads(_run(_on("info", chain, is_shared=is_shared), deadline_seconds))
    return Info(
        size_bytes=answer["virtual-size"],
        actual_bytes=answer.get("actual-size", 0),
        format=configuration.VolumeFormat(answer["format"]),
        backing_file=answer.get("backing-filename"),
        backing_format=answer.get("backing-filename-format"),
    )


def map(  # noqa: A001 - qemu-img's own word for it
    chain: Sequence[base.Layer],
    *,
    offset: int = 0,
    length: int | None = None,
    is_shared: bool = False,
    deadline_seconds: float = _DEADLINE_SECONDS,
) -> list[MapExtent]:
    """The map of a range of the chain (None: to its end), ascending, covering it exactly. Raises: as `info`."""
    argv = _on("map", chain, is_shared=is_shared)
    part = [f"--start-offset={offset}", *([] if length is None else [f"--max-length={length}"])]
    answer = json.loads(_run([argv[0], *part, *argv[1:]], deadline_seconds))
    return [_map_extent(entry) for entry in answer]


def check(chain: Sequence[base.Layer], *, deadline_seconds: float = _CHECK_DEADLINE_SECONDS) -> bool:
    """Whether a qcow2 image's metadata is whole; always so of raw. Raises: as `info`."""
    if chain[0].format is configuration.VolumeFormat.RAW:
        return True
    try:
        _run(["check", "-q", block_description.file_name(chain)], deadline_seconds)
    except errors.ProcessFailed as error:
        if error.facts["status"] in _CHECK_FOUND_ERRORS:
            return False
        raise
    return True


def resize(layer: base.Layer, size_bytes: int, *, deadline_seconds: float = _DEADLINE_SECONDS) -> None:
    """Give an image another virtual size, never a smaller one. Raises: as `info`."""
    chain = (layer,)
    if info(chain, deadline_seconds=deadline_seconds).size_bytes > size_bytes:
        raise ValueError(f"{layer.path} is not made smaller")
    _run(["resize", "-q", block_description.file_name(chain), str(size_bytes)], deadline_seconds)


def _on(command: str, chain: Sequence[base.Layer], *, is_shared: bool) -> list[str]:
    return [command, "--output=json", *(["-U"] if is_shared else []), block_description.file_name(chain)]


def _map_extent(entry: dict[str, Any]) -> MapExtent:
    return MapExtent(
        offset=entry["start"],
        length=entry["length"],
        depth=entry["depth"],
        is_present=entry.get("present", True),
        is_zero=entry["zero"],
        is_data=entry["data"],
        is_compressed=entry.get("compressed", False),
        host_offset=entry.get("offset"),
    )


def _run(argv: Sequence[str], deadline_seconds: float) -> bytes:
    program = process.find_program("qemu-img", package=_PACKAGE)
    try:
        return process.run([program, *argv], deadline_seconds=deadline_seconds)
    except errors.ProcessFailed as error:
        raise translate(error, path=_path_in(argv)) from error


def _path_in(argv: Sequence[str]) -> str:
    """The path for errors: the innermost of the description, or the argument that is one."""
    for argument in argv:
        if argument.startswith("json:"):
            return str(json.loads(argument.removeprefix("json:"))["file"]["filename"])
    return next((argument for argument in reversed(argv) if argument.startswith("/")), argv[-1])


def translate(error: errors.ProcessFailed, *, path: str) -> errors.EstampeError:
    """A better error for what QEMU's tools say of an image on standard error."""
    detail = str(error.facts["detail"])
    if "Is another process using the image" in detail or "Failed to get" in detail:
        return errors.VolumeLocked(path=path, detail="it is open in another QEMU")
    if "No such file or directory" in detail or "No such device" in detail:
        return errors.VolumeGone(volume=path, path=path, detail="it does not exist")
    if "No space left on device" in detail:
        return errors.NoSpace(where=path, needed="more", available="nothing")
    return error

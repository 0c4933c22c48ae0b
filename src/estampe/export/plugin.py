"""The nbdkit plugin: serves a volume out of the chunk store, read-only. Run by `export.nbdkit`, never imported by Estampe.

nbdkit embeds the system's Python and runs this file as `__main__`; the launcher puts Estampe and its libraries on
PYTHONPATH. Callbacks and their order: nbdkit-python-plugin(3). A callback's name is fixed by nbdkit.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import nbdkit

from estampe import errors
from estampe.export import location, report, volume
from estampe.model import extent
from estampe.store import allocator

API_VERSION: Final = 2
_settings: dict[str, str] = {}
_opened: list[volume.ExportedVolume] = []  # one, from get_ready on

_FLAGS: Final = {extent.Kind.DATA: 0, extent.Kind.HOLE: nbdkit.EXTENT_HOLE | nbdkit.EXTENT_ZERO}


def thread_model() -> int:
    """Requests at once: decompression and BLAKE3 release the GIL (measured: eight 10 ms requests in 10 ms)."""
    return int(nbdkit.THREAD_MODEL_PARALLEL)


def config(key: str, value: str) -> None:
    """One `key=value` of the command line."""
    _settings[key] = value


def get_ready() -> None:
    """Open everything: what is wrong ends nbdkit with the reason, before there is a socket.

    Not in after_fork, which nbdkit calls with the socket already there: a client could connect to a server that is about to
    fail. We run in the foreground, so nothing forks after this.
    """
    allocator.keep_freed_memory()
    load = location.open_loader(_settings["store"])
    _opened.append(
        volume.ExportedVolume(
            Path(_settings["table"]),
            load,
            size_bytes=int(_settings["size"]),
            chunk_size_bytes=int(_settings["chunk_size"]),
            cache_bytes=int(_settings["cache"]),
        )
    )


def open(readonly: bool) -> volume.ExportedVolume:  # noqa: A001, ARG001 - nbdkit's name and signature
    """A client: all share the volume."""
    return _opened[0]


def get_size(handle: volume.ExportedVolume) -> int:
    """Bytes."""
    return handle.size_bytes


def can_multi_conn(handle: volume.ExportedVolume) -> bool:  # noqa: ARG001 - nbdkit's signature
    """Read-only, so every connection sees the same."""
    return True


def pread(handle: volume.ExportedVolume, buffer: bytearray, offset: int, flags: int) -> None:  # noqa: ARG001
    """Fill the buffer. What cannot be loaded, or is not what its id says, is EIO, and is told on standard error."""
    try:
        handle.read_into(memoryview(buffer), offset)
    except errors.EstampeError as error:
        sys.stderr.write(report.line(error))
        nbdkit.set_error(errno.EIO)
        raise


def extents(handle: volume.ExportedVolume, count: int, offset: int, flags: int) -> Iterator[tuple[int, int, int]]:  # noqa: ARG001
    """(offset, length, type) of data and holes."""
    return ((each.offset, each.length, _FLAGS[each.kind]) for each in handle.extents(offset, count))

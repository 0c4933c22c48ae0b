"""A volume read and written where its bytes lie: qcow2 (and chains of it) by its map, without a QEMU in between.

    volume offset ──map──▶ layer file, host offset ──pread, pwrite──▶ bytes

Whoever opens it for reading holds a fence: the map is true only while nobody writes. The map is asked for window by window, so
that memory does not grow with the volume (a fragmented TiB has millions of runs). What the map cannot place (compressed
clusters) is read through another reader, which also tells the extents.

Whoever opens it for writing holds QEMU's lock for a writer, and has a place for every byte: metadata is never written here.
"""

from __future__ import annotations

import bisect
import collections
import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self

from estampe import errors, units
from estampe.block import base, file
from estampe.model import extent

# At most 16384 clusters of 64 KiB: some MiB of runs, and one look (20 ms) for seconds of copying.
WINDOW_BYTES: Final = units.GIB
_KEPT_WINDOWS: Final = 4  # threads that copy in order are never further apart


@dataclass(frozen=True, slots=True)
class Placed:
    """A run of the volume: where its bytes lie, or None where they cannot be read in place."""

    extent: extent.Extent
    layer: int
    host_offset: int | None


LookUp = Callable[[int, int], Sequence[Placed]]  # (offset, length) -> runs that cover the range, ascending


class MappedReader:
    """Reads through maps of windows; `layers` are the files, top first. Owns `other` and closes it."""

    def __init__(
        self, other: base.VolumeReader, layers: Sequence[str], look_up: LookUp, *, window_bytes: int = WINDOW_BYTES
    ) -> None:
        self._other, self._look_up, self._window_bytes = other, look_up, window_bytes
        self._windows: collections.OrderedDict[int, Sequence[Placed]] = collections.OrderedDict()
        self._lock = threading.Lock()
        self._stack = contextlib.ExitStack()
        with contextlib.ExitStack() as opening:
            opening.callback(other.close)
            self._files = [opening.enter_context(file.FileReader(path)) for path in layers]
            self._stack = opening.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def size_bytes(self) -> int:
        """The volume's virtual size."""
        return self._other.size_bytes

    def extents(self, offset: int = 0, length: int | None = None) -> Iterator[extent.Extent]:
        """As the other reader tells."""
        return self._other.extents(offset, length)

    def read(self, offset: int, length: int) -> bytes:
        """Pread in place; a run of zeros costs nothing."""
        if offset < 0 or offset + length > self.size_bytes:
            told = {"action": "reading", "length": length, "offset": offset, "where": "a mapped volume"}
            raise errors.BlockIOFailed(**told, detail=f"outside the volume of {self.size_bytes} bytes")
        pieces = [self._piece(run, part) for run, part in self._parts(offset, length)]
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _parts(self, offset: int, length: int) -> Iterator[tuple[Placed, extent.Extent]]:
        """The runs that touch the range, each with its part of it."""
        for nth in range(offset // self._window_bytes, -(-(offset + length) // self._window_bytes)):
            yield from _parts_of(self._window(nth), offset, length)

    def _window(self, nth: int) -> Sequence[Placed]:
        with self._lock:  # whoever comes second to a window waits for its map
            if nth not in self._windows:
                start = nth * self._window_bytes
                self._windows[nth] = self._look_up(start, min(self._window_bytes, self.size_bytes - start))
            self._windows.move_to_end(nth)
            while len(self._windows) > _KEPT_WINDOWS:
                self._windows.popitem(last=False)
            return self._windows[nth]

    def _piece(self, run: Placed, part: extent.Extent) -> bytes:
        if run.extent.kind is not extent.Kind.DATA:
            return bytes(part.length)
        if run.host_offset is None:
            return self._other.read(part.offset, part.length)
        return self._files[run.layer].read(run.host_offset + part.offset - run.extent.offset, part.length)

    def close(self) -> None:
        """Close the files and the other reader."""
        self._stack.close()


class MappedWriter:
    """Writes into the file at `path` at the places that `runs` tell: all of the volume's, ascending.

    Every run must lie in clusters of the volume alone (no snapshot, no compression, not marked as zeros): a volume that was
    made with preallocated metadata. What was never written there reads as zeros, being a hole of the file.
    """

    def __init__(self, path: str, runs: Sequence[Placed], *, is_zeroed: bool) -> None:
        self._path, self._runs = path, runs
        self._size = runs[-1].extent.end if runs else 0
        self._file = file.FileWriter(path, is_zeroed=is_zeroed)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def size_bytes(self) -> int:
        """The volume's virtual size."""
        return self._size

    @property
    def is_zeroed(self) -> bool:
        """The caller's knowledge: whether every byte read as zero when it was opened."""
        return self._file.is_zeroed

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Pwrite in place."""
        self._check("writing", offset, len(data))
        view = memoryview(data)
        for run, part in _parts_of(self._runs, offset, len(data)):
            self._file.write(_host_offset(run, part), view[part.offset - offset : part.end - offset])

    def zero(self, offset: int, length: int) -> None:
        """Punch holes in the file; the places stay the volume's."""
        self._check("zeroing", offset, length)
        for run, part in _parts_of(self._runs, offset, length):
            self._file.zero(_host_offset(run, part), part.length)

    def _check(self, action: str, offset: int, length: int) -> None:
        if offset < 0 or offset + length > self._size:
            told = {"action": action, "length": length, "offset": offset, "where": self._path}
            raise errors.BlockIOFailed(**told, detail=f"outside the volume of {self._size} bytes")

    def flush(self) -> None:
        """Fdatasync of the file, which covers the metadata that others wrote into it."""
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _parts_of(runs: Sequence[Placed], offset: int, length: int) -> Iterator[tuple[Placed, extent.Extent]]:
    """Those of `runs` (ascending, without gaps) that touch the range, each with its part of it."""
    at = max(0, bisect.bisect_right(runs, offset, key=lambda run: run.extent.offset) - 1)
    while at < len(runs) and runs[at].extent.offset < offset + length:
        for part in extent.clip([runs[at].extent], offset, length):
            yield runs[at], part
        at += 1


def _host_offset(run: Placed, part: extent.Extent) -> int:
    assert run.host_offset is not None  # noqa: S101 - the class asks for it
    return run.host_offset + part.offset - run.extent.offset

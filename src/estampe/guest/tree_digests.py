"""What is told of each file of a tree that comes as a tar stream: read as it comes, with bounds, and nothing of it kept.

By default its digest; what a search tells is which words stand in it.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import threading
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath
from typing import IO, Final

from estampe import errors
from estampe.guest import base, text

_PIECE_BYTES: Final = 256 * 1024


Look = Callable[[IO[bytes]], str]  # what is told of one file


def digest(content: IO[bytes]) -> str:
    """SHA-256, hexadecimal."""
    found = hashlib.sha256()
    while piece := content.read(_PIECE_BYTES):
        found.update(piece)
    return found.hexdigest()


def search(words: Sequence[str]) -> Look:
    """Those that stand in the content, each in a line; words may lie across two pieces."""
    sought = {word: word.encode() for word in words}
    longest = max((len(word) for word in sought.values()), default=0)

    def look(content: IO[bytes]) -> str:
        found, before = set(), b""
        while piece := content.read(_PIECE_BYTES):
            before = before[-longest:] + piece
            found |= {word for word, plain in sought.items() if plain in before}
        return "\n".join(word for word in words if word in found)

    return look


def read(send: Callable[[str], None], top: str, look: Look = digest) -> base.Digests:
    """What `look` tells of what `send` writes as tar into the file it is given, with paths below `top`.

    When a bound is reached the pipe is closed: `send` then fails, which is expected. Raises: what `send` raises before that,
    errors.ApplianceFailed where it was no tar.
    """
    ours, theirs = os.pipe()
    reader = _Reader(ours, top, look)
    thread = threading.Thread(target=reader.run, name="tree-digests", daemon=True)
    thread.start()
    failure: Exception | None = None
    try:
        send(f"/dev/fd/{theirs}")
    except RuntimeError as error:
        failure = error
    finally:
        os.close(theirs)
        thread.join()
    if failure is not None and not reader.is_cut and reader.problem is None:
        raise failure
    if reader.problem is not None:
        raise errors.ApplianceFailed(detail=text.plain(f"{top} could not be read: {reader.problem}"))
    return base.Digests(by_path=reader.by_path, is_cut=reader.is_cut)


class _Reader:
    """Reads in a thread of its own, so that the sender need not know where the stream ends."""

    def __init__(self, fd: int, top: str, look: Look) -> None:
        self._fd, self._top, self._look = fd, top, look
        self._members = self._bytes = 0
        self.by_path: dict[str, str] = {}
        self.is_cut = False
        self.problem: Exception | None = None

    def run(self) -> None:
        with os.fdopen(self._fd, "rb") as stream:
            try:
                with tarfile.open(fileobj=stream, mode="r|") as tar:
                    self._read(tar)
                while not self.is_cut and stream.read(_PIECE_BYTES):
                    pass  # tar fills its last record up; unread, the sender would fail
            except (tarfile.TarError, OSError, ValueError, EOFError) as error:
                self.problem = error

    def _read(self, tar: tarfile.TarFile) -> None:
        for member in tar:
            self._members += 1  # directories, too: tarfile keeps each in memory
            self._bytes += member.size
            if self._members > base.MOST_DIGESTED_FILES or self._bytes > base.MOST_DIGESTED_BYTES:
                self.is_cut = True
                return
            if member.isreg() or member.issym() or member.islnk():
                self.by_path[self._path(member.name)] = self._told(tar, member)

    def _path(self, name: str) -> str:
        return text.plain(f"{self._top}/{PurePosixPath(name)}")

    def _told(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> str:
        if member.islnk():  # a further name of a file that came before
            return self.by_path.get(self._path(member.linkname), "")
        if member.issym():
            return self._look(io.BytesIO(member.linkname.encode(errors="surrogateescape")))
        return self._look(tar.extractfile(member) or io.BytesIO())

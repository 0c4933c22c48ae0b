"""Digests of a tree that comes as a tar stream: read as it comes, with bounds, and nothing of it kept."""

from __future__ import annotations

import hashlib
import os
import tarfile
import threading
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import IO, Final

from estampe import errors
from estampe.guest import base, text

_PIECE_BYTES: Final = 256 * 1024


def read(send: Callable[[str], None], top: str) -> base.Digests:
    """Digests of what `send` writes as tar into the file it is given, with paths below `top`.

    When a bound is reached the pipe is closed: `send` then fails, which is expected. Raises: what `send` raises before that,
    errors.ApplianceFailed where it was no tar.
    """
    ours, theirs = os.pipe()
    reader = _Reader(ours, top)
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

    def __init__(self, fd: int, top: str) -> None:
        self._fd, self._top = fd, top
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
                self.by_path[self._path(member.name)] = self._digest(tar, member)

    def _path(self, name: str) -> str:
        return text.plain(f"{self._top}/{PurePosixPath(name)}")

    def _digest(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> str:
        if member.islnk():  # a further name of a file that came before
            return self.by_path.get(self._path(member.linkname), "")
        if member.issym():
            return hashlib.sha256(member.linkname.encode(errors="surrogateescape")).hexdigest()
        content: IO[bytes] | None = tar.extractfile(member)
        digest = hashlib.sha256()
        while content is not None and (piece := content.read(_PIECE_BYTES)):
            digest.update(piece)
        return digest.hexdigest()

"""Where things lie in a local store. Bytes and musts: docs/format.md.

format.json              what this is: version, chunk size; written last at creation
chunks/ab/ab...          one body per file, in 256 directories by the first byte of the id
manifests/<template id>  one manifest per file
tmp/<run>.lock, <run>/   files on their way to a name; the lock is held while their process lives
aside/<id>.<random>      chunks that a sweep has taken out of reach and has not removed yet
damaged/<id>.<random>    chunks that a check found damaged; made with the first one, and nothing reads it
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from estampe import errors
from estampe.store import base, durable, local_scratch

FORMAT: Final = "estampe-store"
FORMAT_VERSION: Final = 1
_OURS: Final = frozenset({"chunks", "manifests", "tmp", "aside", "damaged"})
_FOREIGN_FINE: Final = frozenset({"lost+found"})  # a file system made for the store
_HEX: Final = frozenset("0123456789abcdef")
FAN_OUT: Final = tuple(f"{byte:02x}" for byte in range(256))
# 256 directories: made once, so no put makes one. With 10 million chunks (2.5 TiB of data in 256 KiB chunks) each holds 40 000
# names, which ext4's and XFS' hashed directories look up in a few microseconds, and which a listing sorts in a few MiB. More
# directories would only spread a batch's new names over more metadata blocks.


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths of a store at `root`."""

    root: str

    @property
    def format_file(self) -> str:
        """What makes the directory a store."""
        return f"{self.root}/format.json"

    @property
    def manifests(self) -> str:
        """Directory of manifests."""
        return f"{self.root}/manifests"

    @property
    def tmp(self) -> str:
        """Directory of unfinished files."""
        return f"{self.root}/tmp"  # noqa: S108 - the store's own

    @property
    def aside(self) -> str:
        """Directory of chunks being removed."""
        return f"{self.root}/aside"

    @property
    def damaged(self) -> str:
        """Directory of chunks set aside."""
        return f"{self.root}/damaged"

    def chunk(self, chunk_id: bytes) -> str:
        """The chunk's file."""
        name = chunk_id.hex()
        return f"{self.root}/chunks/{name[:2]}/{name}"

    def manifest(self, template_id: uuid.UUID) -> str:
        """The manifest's file."""
        return f"{self.manifests}/{template_id}"

    def renew(self, chunk_id: bytes) -> bool:
        """Set the chunk's age to now; False where there is none (any more).

        The look after the touch is what makes this safe beside a sweep: where it still finds the name, the sweep's rename
        comes later, and the sweep's second look at the age, later still, sees the touch. Without it the touch could reach
        a file whose path was resolved before the rename, after the sweep's second look.
        """
        path = self.chunk(chunk_id)
        try:
            os.utime(path)
            os.stat(path)
        except FileNotFoundError:
            return False
        return True

    def stored_chunks(self) -> Iterator[base.StoredChunk]:
        """All chunks by ascending id; memory for the names of one directory at a time."""
        for prefix in FAN_OUT:
            directory = f"{self.root}/chunks/{prefix}"
            for name in sorted(filter(_is_chunk_name, os.listdir(directory))):
                with contextlib.suppress(FileNotFoundError):  # swept meanwhile
                    state = os.stat(f"{directory}/{name}")
                    yield base.StoredChunk(bytes.fromhex(name), state.st_size, state.st_mtime)

    def make(self, *, chunk_size_bytes: int) -> None:
        """Make the directories, then format.json. What an interrupted creation left is completed.

        Raises: OSError, errors.StoreMismatch.
        """
        os.makedirs(self.root, mode=0o700, exist_ok=True)
        foreign = set(os.listdir(self.root)) - _OURS - _FOREIGN_FINE
        if foreign:
            what = "holds a store already" if "format.json" in foreign else "is not empty: choose an empty directory"
            raise errors.StoreMismatch(path=self.root, problem=what)
        os.chmod(self.root, 0o700)
        for name in ("chunks", "manifests", "tmp", "aside", *(f"chunks/{prefix}" for prefix in FAN_OUT)):
            with contextlib.suppress(FileExistsError):
                os.mkdir(f"{self.root}/{name}", 0o700)
        self._write_format(chunk_size_bytes)

    def _write_format(self, chunk_size_bytes: int) -> None:
        created_at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        facts = {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "chunk_size_bytes": chunk_size_bytes,
            "created_at": created_at,
        }
        with local_scratch.Scratch(self.tmp) as scratch:
            durable.write_file(f"{scratch.path}/format", json.dumps(facts, indent=2).encode() + b"\n", is_synced=True)
            try:
                os.link(f"{scratch.path}/format", self.format_file)
            except FileExistsError as error:  # somebody else made the same store just now
                raise errors.StoreMismatch(path=self.root, problem="holds a store already") from error
        durable.sync_file_system(self.root)

    def _require_private(self) -> None:
        """Templates hold their servers' secrets: nobody else may enter."""
        with contextlib.suppress(FileNotFoundError):
            mode = os.stat(self.root).st_mode & 0o777
            if mode & 0o077:
                problem = f"can be entered by others (mode {mode:04o}): chmod 0700 it"
                raise errors.StoreMismatch(path=self.root, problem=problem)

    def read_format(self) -> int:
        """The store's chunk size. Raises: OSError, errors.StoreMismatch."""
        self._require_private()
        try:
            with open(self.format_file, "rb") as file:
                facts: Any = json.loads(file.read(65536))
            is_store = facts["format"] == FORMAT
            version, chunk_size_bytes = facts["version"], facts["chunk_size_bytes"]
        except FileNotFoundError as error:
            raise errors.StoreMismatch(path=self.root, problem="is not a store: it has no format.json") from error
        except (ValueError, KeyError, TypeError) as error:
            raise errors.StoreMismatch(path=self.root, problem=f"has a damaged format.json ({error})") from error
        if not is_store or not isinstance(version, int):
            raise errors.StoreMismatch(path=self.root, problem="is not a store: its format.json is of something else")
        if version > FORMAT_VERSION:
            problem = f"has format version {version}, this Estampe reads up to {FORMAT_VERSION}: upgrade Estampe"
            raise errors.StoreMismatch(path=self.root, problem=problem)
        if not isinstance(chunk_size_bytes, int) or not base.is_chunk_size(chunk_size_bytes):
            problem = f"has a chunk size that cannot be: {chunk_size_bytes}"
            raise errors.StoreMismatch(path=self.root, problem=problem)
        return chunk_size_bytes


def _is_chunk_name(name: str) -> bool:
    return len(name) == 64 and _HEX.issuperset(name)

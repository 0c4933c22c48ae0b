"""A store in a local directory: own files, group commit, no daemon. Why not a library's: docs/adr/0003-store.md."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

from estampe import durability, errors
from estampe.store import base, durable, local_layout, local_scratch, local_writer

_BODY_OVERHEAD: Final = 4096  # more than any codec's header: a longer file is not a body, and is not read into memory


class LocalStore:
    """See base.Store. Holds nothing open: nothing to close."""

    def __init__(self, layout: local_layout.Layout, chunk_size_bytes: int) -> None:
        self._layout, self._chunk_size_bytes = layout, chunk_size_bytes

    @classmethod
    def create(cls, path: Path, *, chunk_size_bytes: int = base.DEFAULT_CHUNK_SIZE_BYTES) -> Self:
        """Make a store in a new or empty directory, private to its owner.

        Raises: errors.StoreMismatch (something is there), errors.InvalidSetting (chunk size), errors.NoSpace,
            errors.StoreUnavailable, errors.KernelTooOld.
        """
        if not base.is_chunk_size(chunk_size_bytes):
            raise errors.InvalidSetting(setting="chunk size", problem=base.CHUNK_SIZE_RULE)
        layout = local_layout.Layout(str(path))
        with durable.store_errors(layout.root, "be made"):
            layout.make(chunk_size_bytes=chunk_size_bytes)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open a store, and clear what dead processes left.

        Raises: errors.StoreMismatch (not a store, a newer version), errors.StoreUnavailable, errors.KernelTooOld.
        """
        durable.require_syncfs()
        layout = local_layout.Layout(str(path))
        with durable.store_errors(layout.root, "be opened"):
            store = cls(layout, layout.read_format())
            local_scratch.clear_dead(layout.tmp)
            store._put_back_all()
        return store

    @classmethod
    def ensure(cls, path: Path, *, chunk_size_bytes: int = base.DEFAULT_CHUNK_SIZE_BYTES) -> Self:
        """Open the store at `path`, made first where there is none. An existing one keeps its own chunk size."""
        if os.path.exists(local_layout.Layout(str(path)).format_file):
            return cls.open(path)
        return cls.create(path, chunk_size_bytes=chunk_size_bytes)

    @property
    def chunk_size_bytes(self) -> int:
        """See base.Store."""
        return self._chunk_size_bytes

    def writer(self) -> local_writer.LocalWriter:
        """See base.Store."""
        return local_writer.LocalWriter(self._layout)

    def get_chunk(self, chunk_id: bytes) -> bytes:
        """See base.Store."""
        limit = self._chunk_size_bytes + _BODY_OVERHEAD
        with self._chunk_errors(chunk_id, "read a chunk"):
            fd = os.open(self._layout.chunk(chunk_id), os.O_RDONLY | os.O_CLOEXEC)
            try:
                size = os.fstat(fd).st_size
                if size <= limit:
                    return os.read(fd, size)  # never short on a regular file but at its end (read(2))
            finally:
                os.close(fd)
        detail = f"its file of {size} bytes is longer than any chunk's"
        raise errors.ChunkCorrupt(chunk=chunk_id.hex(), detail=detail, kind="flipped")

    def stat_chunk(self, chunk_id: bytes) -> base.StoredChunk:
        """See base.Store."""
        with self._chunk_errors(chunk_id, "look for a chunk"):
            state = os.stat(self._layout.chunk(chunk_id))
        return base.StoredChunk(chunk_id, state.st_size, state.st_mtime)

    def list_chunks(self) -> Iterator[base.StoredChunk]:
        """See base.Store."""
        with self._errors("list chunks"):
            yield from self._layout.stored_chunks()

    def delete_chunk_if_older(self, chunk_id: bytes, than: float) -> bool:
        """See base.Store.

        Out of reach first (rename), then a second look at the age, then either back or gone. Whoever touched it before the
        rename is seen by the second look; whoever looks after the rename finds nothing and stores it anew
        (Layout.renew). Every name in `aside` is used once, so two sweeps never remove each other's.
        """
        path, aside = self._layout.chunk(chunk_id), f"{self._layout.aside}/{chunk_id.hex()}.{uuid.uuid4().hex}"
        with self._errors("remove a chunk"):
            try:
                if os.stat(path).st_mtime >= than:
                    return False
                os.rename(path, aside)
                if os.stat(aside).st_mtime >= than:
                    self._put_back(aside)
                    return False
                os.unlink(aside)
            except FileNotFoundError:  # swept by another, or put back by one that opened the store
                return False
        return True

    def set_aside(self, chunk_id: bytes) -> bool:
        """See base.Store."""
        with self._errors("set a chunk aside"):
            os.makedirs(self._layout.damaged, mode=0o700, exist_ok=True)
            try:
                os.rename(self._layout.chunk(chunk_id), f"{self._layout.damaged}/{chunk_id.hex()}.{uuid.uuid4().hex}")
            except FileNotFoundError:
                return False
        return True

    def _put_back_all(self) -> None:
        """Give chunks that a dead sweep left aside their names again; the next sweep decides anew."""
        for name in os.listdir(self._layout.aside):
            with contextlib.suppress(FileNotFoundError, ValueError):  # a sweep that lives has ended it; not ours
                self._put_back(f"{self._layout.aside}/{name}")

    def _put_back(self, aside: str) -> None:
        chunk_id = bytes.fromhex(os.path.basename(aside).partition(".")[0])
        with contextlib.suppress(FileExistsError):  # stored anew meanwhile, and so younger
            os.link(aside, self._layout.chunk(chunk_id))
        os.unlink(aside)

    def put_manifest(self, template_id: uuid.UUID, data: bytes) -> None:
        """See base.Store."""
        path = self._layout.manifest(template_id)
        with (
            self._errors("store a manifest", needed_bytes=len(data)),
            local_scratch.Scratch(self._layout.tmp) as scratch,
        ):
            temporary = f"{scratch.path}/manifest"
            durable.write_file(temporary, data, is_synced=True)
            try:
                os.link(temporary, path)
            except FileExistsError:
                if self.get_manifest(template_id) != data:
                    raise errors.ManifestExists(template=template_id) from None
            durability.sync_directory(self._layout.manifests)

    def get_manifest(self, template_id: uuid.UUID) -> bytes:
        """See base.Store."""
        with self._errors("read a manifest"):
            try:
                return Path(self._layout.manifest(template_id)).read_bytes()
            except FileNotFoundError as error:
                raise errors.ManifestNotFound(template=template_id) from error

    def list_manifests(self) -> Iterator[uuid.UUID]:
        """See base.Store."""
        with self._errors("list manifests"):
            names = sorted(os.listdir(self._layout.manifests))
        for name in names:
            with contextlib.suppress(ValueError):  # not ours
                yield uuid.UUID(name)

    def delete_manifest(self, template_id: uuid.UUID) -> bool:
        """See base.Store."""
        with self._errors("remove a manifest"):
            try:
                os.unlink(self._layout.manifest(template_id))
            except FileNotFoundError:
                return False
            finally:
                # Also where an earlier try removed it and was cut off.
                durability.sync_directory(self._layout.manifests)
        return True

    def available_bytes(self) -> int | None:
        """See base.Store."""
        with self._errors("tell its free space"):
            state = os.statvfs(self._layout.root)
        return state.f_bavail * state.f_frsize

    def _errors(self, action: str, *, needed_bytes: int = 0) -> contextlib.AbstractContextManager[None]:
        return durable.store_errors(self._layout.root, action, needed_bytes=needed_bytes)

    @contextlib.contextmanager
    def _chunk_errors(self, chunk_id: bytes, action: str) -> Iterator[None]:
        with self._errors(action):
            try:
                yield
            except FileNotFoundError as error:
                raise errors.ChunkNotFound(chunk=chunk_id.hex()) from error

"""Plain chunks in and out of a store: identified, compressed, verified."""

from __future__ import annotations

from dataclasses import dataclass

from estampe import errors
from estampe.model import manifest
from estampe.store import base, codec


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of a chunk that was put."""

    chunk_id: bytes | None  # None: all zeros, never stored
    is_new: bool  # this put stored it
    stored_bytes: int  # what it added to the store


_ZEROS = Stored(None, is_new=False, stored_bytes=0)


class Chunks:
    """Chunks over a store. Thread-safe; the heavy work (hash, zstd, file) releases the GIL.

    Call `allocator.keep_freed_memory` once in a process that moves volumes: without it the C library gives the memory of
    every chunk back to the kernel, and threads decode at a third of the speed.
    """

    def __init__(self, store: base.Store, *, level: int = codec.DEFAULT_LEVEL) -> None:
        self.store, self._level = store, level
        self._zeros = bytes(store.chunk_size_bytes)

    @property
    def chunk_size_bytes(self) -> int:
        """The store's."""
        return self.store.chunk_size_bytes

    def identify(self, plain: bytes) -> bytes | None:
        """The id that `put` would give; None for zeros."""
        return None if self._is_zero(plain) else codec.identify(plain)

    def put(self, writer: base.ChunkWriter, plain: bytes) -> Stored:
        """Store one chunk unless the store has it: then it is only hashed, not compressed.

        Raises: errors.NoSpace, errors.StoreUnavailable.
        """
        return _ZEROS if self._is_zero(plain) else self.put_always(writer, plain)

    def estimate(self, plain: bytes) -> int:
        """Bytes that `put` would add to the store; nothing is written. Raises: errors.StoreUnavailable."""
        chunk_id = self.identify(plain)
        if chunk_id is None:
            return 0
        try:
            self.store.stat_chunk(chunk_id)
        except errors.ChunkNotFound:
            return len(codec.encode(plain, level=self._level))
        return 0

    def get(self, chunk_id: bytes, plain_length: int | None = None) -> bytes:
        """The plain bytes, verified by id; of exactly `plain_length` where that is known.

        Raises: errors.ChunkMissing, errors.ChunkCorrupt, errors.ChunkVersionUnsupported, errors.StoreUnavailable.
        """
        try:
            body = self.store.get_chunk(chunk_id)
        except errors.ChunkNotFound as error:
            raise errors.ChunkMissing(chunk=chunk_id.hex()) from error
        return verified(body, chunk_id=chunk_id, most_bytes=self.chunk_size_bytes, plain_length=plain_length)

    def put_always(self, writer: base.ChunkWriter, plain: bytes) -> Stored:
        """As `put`, but zeros are stored too: for what has no table to say that a piece is zeros."""
        if len(plain) > self.chunk_size_bytes:
            raise ValueError(f"{len(plain)} bytes are more than a chunk")
        chunk_id = codec.identify(plain)
        if writer.has(chunk_id):
            return Stored(chunk_id, is_new=False, stored_bytes=0)
        body = codec.encode(plain, level=self._level)
        is_new = writer.put(chunk_id, body)
        return Stored(chunk_id, is_new=is_new, stored_bytes=len(body) if is_new else 0)

    def _is_zero(self, plain: bytes) -> bool:
        # memcmp against zeros that are kept: the first differing byte ends it, 10 us where all are zero
        return plain == (self._zeros if len(plain) == len(self._zeros) else self._zeros[: len(plain)])


def verified(body: bytes, *, chunk_id: bytes, most_bytes: int, plain_length: int | None = None) -> bytes:
    """The plain bytes of a body that came from anywhere. Raises: errors.ChunkCorrupt with fact `kind`, errors.ChunkVersionUnsupported."""
    plain = codec.decode(body, chunk_id=chunk_id, most_bytes=most_bytes)
    if codec.identify(plain) != chunk_id:
        raise codec.damaged(chunk_id, codec.Damage.FLIPPED, "its content does not fit its id")
    if plain_length is not None and len(plain) != plain_length:
        detail = f"it holds {len(plain)} bytes where its template needs {plain_length}"
        raise codec.damaged(chunk_id, codec.Damage.FLIPPED, detail)
    return plain


def put_blob(chunks: Chunks, writer: base.ChunkWriter, data: bytes) -> manifest.Blob:
    """Store a small file in chunk-sized pieces. Raises: errors.NoSpace, errors.StoreUnavailable."""
    size = chunks.chunk_size_bytes
    stored = [chunks.put_always(writer, data[at : at + size]) for at in range(0, len(data), size)]
    return manifest.Blob(size_bytes=len(data), chunk_ids=tuple(one.chunk_id.hex() for one in stored if one.chunk_id))


def get_blob(chunks: Chunks, blob: manifest.Blob) -> bytes:
    """The file, verified. Raises: as `Chunks.get`."""
    lengths = blob.piece_lengths(chunks.chunk_size_bytes)
    return b"".join(
        chunks.get(bytes.fromhex(text), length) for text, length in zip(blob.chunk_ids, lengths, strict=True)
    )

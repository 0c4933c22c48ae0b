"""From a store's location, a line of text that one process can give another, to the chunks in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from estampe import errors
from estampe.store import base, chunks, local


def open_store(location: str) -> base.Store:
    """The store at `location`: an absolute path is a local one. Another kind of store adds its scheme here.

    Raises: errors.InvalidSetting, errors.StoreMismatch, errors.StoreUnavailable.
    """
    if location.startswith("/"):
        return local.LocalStore.open(Path(location))
    problem = f"{location!r} is not a store's location: an absolute path"
    raise errors.InvalidSetting(setting="store", problem=problem)


def open_loader(location: str) -> Callable[[bytes, int], bytes]:
    """`load(chunk_id, plain_length)` for verified plain chunks.

    The result raises: errors.ChunkMissing, errors.ChunkCorrupt, errors.StoreUnavailable.
    """
    return chunks.Chunks(open_store(location)).get

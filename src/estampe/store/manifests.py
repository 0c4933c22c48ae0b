"""Manifests over a store: encoded, decoded, and only ever put when everything they name is there."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from estampe import errors
from estampe.model import manifest
from estampe.store import base


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A manifest that is there and cannot be used."""

    template_id: uuid.UUID
    error: errors.EstampeError


def put(store: base.Store, made: manifest.Manifest) -> None:
    """Store a manifest, durable on return. Putting the same one again is fine.

    Looks for every chunk first, by a writer's `has` and `flush`: that makes what it finds durable, and renews its age, so
    that a sweep which has not seen the manifest yet spares it, however long ago the chunks were put. What remains for the
    grace period of a sweep is to be longer than this function takes (5 us for each chunk of a local store).

    Raises: errors.ChunkMissing, errors.ManifestExists, errors.NoSpace, errors.StoreUnavailable.
    """
    if made.chunk_size_bytes != store.chunk_size_bytes:
        raise ValueError(f"a manifest of {made.chunk_size_bytes} byte chunks does not fit the store")
    with store.writer() as writer:
        for chunk_id in made.chunk_ids():
            if not writer.has(chunk_id):
                raise errors.ChunkMissing(chunk=chunk_id.hex())
        writer.flush()
    store.put_manifest(made.template_id, manifest.encode(made))


def get(store: base.Store, template_id: uuid.UUID) -> manifest.Manifest:
    """The manifest. Raises: errors.ManifestNotFound, errors.ManifestCorrupt, errors.ManifestVersionUnsupported, errors.StoreUnavailable."""
    name = str(template_id)
    found = manifest.decode(store.get_manifest(template_id), template=name)
    if found.template_id != template_id:
        raise errors.ManifestCorrupt(template=name, detail=f"it is the manifest of {found.template_id}")
    if found.chunk_size_bytes != store.chunk_size_bytes:
        detail = f"its chunks are {found.chunk_size_bytes} bytes, the store's {store.chunk_size_bytes}"
        raise errors.ManifestCorrupt(template=name, detail=detail)
    return found


def each(store: base.Store) -> Iterator[manifest.Manifest]:
    """All manifests, one in memory at a time; one that goes meanwhile is left out. Raises: as `get`, at the first that cannot be read."""
    for template_id in store.list_manifests():
        with contextlib.suppress(errors.ManifestNotFound):
            yield get(store, template_id)


def each_or_why_not(store: base.Store) -> Iterator[manifest.Manifest | Unreadable]:
    """As `each`, with what cannot be read told in its place."""
    for template_id in store.list_manifests():
        try:
            yield get(store, template_id)
        except errors.ManifestNotFound:
            continue
        except errors.EstampeError as error:
            yield Unreadable(template_id=template_id, error=error)

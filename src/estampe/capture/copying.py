"""The part of a capture for which the server is offline: its volumes, its NVRAM and, if asked for, what its TPM keeps, into the store."""

from __future__ import annotations

import array
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from estampe import errors
from estampe.capture import examine, source, volume, workspace
from estampe.jobs import progress
from estampe.model import chunk, extent, manifest
from estampe.model import inventory as inventories
from estampe.store import base as stores
from estampe.store import chunks as store_chunks
from estampe.virt import base as virt


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """What the copy of all volumes read and added; recorded by its step."""

    read_bytes: int
    new_bytes: int
    nvram: manifest.Blob | None
    vtpm: manifest.Vtpm | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Copying:
    """Copies servers of one host into one store."""

    host: virt.Host
    store: stores.Store
    chunks: store_chunks.Chunks
    threads: int

    def copy(self, seen: examine.Seen, place: workspace.Workspace, reporter: progress.Reporter) -> Total:
        """Copy everything, fenced; durable on return.

        Raises: errors.VolumeLocked, errors.VolumeGone, errors.ServerStarted, errors.ServerChanged, errors.NoSpace,
        errors.BlockIOFailed.
        """
        place.make()
        read_bytes, copied = 0, volume.Copied()
        with (
            source.open_all(
                seen.server_name, seen.volumes, writable_devices=seen.writable_devices, socket_directory=place.sockets
            ) as sources,
            self.store.writer() as writer,
        ):
            self._check_still_off(seen)
            self._check_unchanged(seen)
            copier = self.copier(writer, advance=reporter.advance, check_cancelled=reporter.check_cancelled)
            for opened, volume_seen in zip(sources, seen.volumes, strict=True):
                _check_size(seen, volume_seen, opened.reader.size_bytes)
                indexes = array.array("Q", extent.data_chunks(opened.reader.extents(), self.store.chunk_size_bytes))
                reporter.phase(f"copying {opened.target}", len(indexes) * self.store.chunk_size_bytes)
                read_bytes += len(indexes) * self.store.chunk_size_bytes
                copied += self._copy_volume(copier, opened, indexes, place)
            nvram, vtpm = self._copy_nvram(seen, writer), self._copy_tpm_state(seen, writer)
            reporter.phase("making the copy durable")
            writer.flush()
            self._check_still_off(seen)
        return Total(read_bytes=read_bytes, new_bytes=copied.new_bytes, nvram=nvram, vtpm=vtpm)

    def copier(
        self, writer: stores.ChunkWriter, *, advance: Callable[[int], None], check_cancelled: Callable[[], None]
    ) -> volume.Copier:
        """A copier through `writer` with this store's figures."""
        return volume.Copier(
            chunks=self.chunks,
            writer=writer,
            chunk_size_bytes=self.store.chunk_size_bytes,
            threads=self.threads,
            advance=advance,
            check_cancelled=check_cancelled,
        )

    def _copy_volume(
        self, copier: volume.Copier, opened: source.Source, indexes: array.array[int], place: workspace.Workspace
    ) -> volume.Copied:
        size = opened.reader.size_bytes
        path: Path = place.copy_of(opened.target, size).table
        with chunk.TableFile(path, chunk.chunk_count(size, self.store.chunk_size_bytes), is_new=True) as table:
            copied = copier.copy(opened.reader, indexes, table)
            table.sync()
        return copied

    def _copy_nvram(self, seen: examine.Seen, writer: stores.ChunkWriter) -> manifest.Blob | None:
        data = self.host.read_nvram(seen.nvram_path) if seen.nvram_path else None
        return None if data is None else store_chunks.put_blob(self.chunks, writer, data)

    def _copy_tpm_state(self, seen: examine.Seen, writer: stores.ChunkWriter) -> manifest.Vtpm | None:
        if seen.tpm_version is None:
            return None
        data = self.host.read_tpm_state(seen.domain_uuid, seen.tpm_version)
        if data is None:
            raise errors.ServerChanged(server=seen.server_name, what="its TPM keeps nothing any more")
        return manifest.Vtpm(version=seen.tpm_version, state=store_chunks.put_blob(self.chunks, writer, data))

    def store_inventory(self, taken: inventories.Inventory, writer: stores.ChunkWriter) -> manifest.Blob:
        """Put a guest's inventory; durable once the writer is flushed."""
        return store_chunks.put_blob(self.chunks, writer, inventories.encode(taken))

    def _check_still_off(self, seen: examine.Seen) -> None:
        """Beside the fence: somebody may have started the server between the steps."""
        if self.host.power_state(seen.domain_uuid).is_active:
            raise errors.ServerStarted(server=seen.server_name, volume=seen.volumes[0].target)

    def _check_unchanged(self, seen: examine.Seen) -> None:
        """What was seen before the shutdown is still the server: a snapshot since then lays another file on top.

        Looked at inside the fence, where nobody writes to what is then read.
        """
        now = {volume.target: volume for volume in self.host.get_domain(seen.domain_uuid).volumes}
        for was in seen.volumes:
            found = now.get(was.target)
            if found is None:
                raise errors.ServerChanged(server=seen.server_name, what=f"it has no volume {was.target} any more")
            if found.chain != was.chain:
                what = f"volume {was.target} was {_files(was)}, and is {_files(found)} now"
                raise errors.ServerChanged(server=seen.server_name, what=what)
            _check_size(seen, was, found.size_bytes)


def _files(volume: virt.DomainVolume) -> str:
    return " over ".join(layer.path for layer in volume.chain)


def _check_size(seen: examine.Seen, was: virt.DomainVolume, size_bytes: int) -> None:
    """The manifest and every step to come go by the size that was seen."""
    if size_bytes != was.size_bytes:
        what = f"volume {was.target} had {was.size_bytes} bytes, and has {size_bytes} now"
        raise errors.ServerChanged(server=seen.server_name, what=what)

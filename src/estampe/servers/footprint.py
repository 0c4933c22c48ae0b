"""What the servers of an account have, by the host: the figures that quotas count."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from estampe import errors
from estampe.db import servers as server_rows
from estampe.model import server as servers
from estampe.virt import base as virt


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """Looks at the servers of one host."""

    host: virt.Host
    rows: server_rows.Servers

    def measure(self, owner_id: uuid.UUID) -> frozenset[uuid.UUID]:
        """Keep what the host says by now; returns the ids of servers that it does not have.

        CPUs and memory come from one list; the sizes of volumes take a look at each server, so they are read once: a
        volume that is made larger behind Estampe's back counts as it was.
        """
        domains = {uuid.UUID(each.uuid): each for each in self.host.list_domains()}
        absent, changed = set(), []
        for row in self.rows.list(owner_id):
            summary = domains.get(row.domain_uuid)
            if summary is None:
                absent.add(row.id)
                continue
            size = self._size(row, summary)
            if (size.cpus, size.memory_bytes, size.volume_bytes) != (row.cpus, row.memory_bytes, row.volume_bytes):
                changed.append(size)
        if changed:
            self.rows.measure(changed)
        return frozenset(absent)

    def absent(self, owner_id: uuid.UUID) -> list[uuid.UUID]:
        """Ids of the account's servers that the host does not have (any more)."""
        present = {uuid.UUID(each.uuid) for each in self.host.list_domains()}
        return [row.id for row in self.rows.list(owner_id) if row.domain_uuid not in present]

    def _size(self, row: servers.Server, summary: virt.DomainSummary) -> servers.Size:
        volume_bytes = self._volume_bytes(summary) if row.volume_bytes is None else row.volume_bytes
        return servers.Size(
            server_id=row.id, cpus=summary.cpus, memory_bytes=summary.memory_bytes, volume_bytes=volume_bytes
        )

    def _volume_bytes(self, summary: virt.DomainSummary) -> int | None:
        """None: it cannot be told now (volumes are gone, it is a container), and is looked at again next time."""
        try:
            volumes = self.host.get_domain(summary.uuid).volumes
        except (errors.NotFound, errors.Invalid, errors.Unsupported, errors.Conflict):
            return None
        return sum(volume.size_bytes for volume in volumes)

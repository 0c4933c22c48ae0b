"""The seeds of deployed servers: files in one directory of the host, attached read-only for the server's whole life.

A seed that was taken away after the first boot would make cloud-init find another data source, take the server for a new
one and renew its SSH host keys; so it stays until the server is deleted.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from estampe.deploy import request as requests
from estampe.deploy import resolved as decisions
from estampe.guest import seed


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeds:
    """Seeds by file name in `directory` (which QEMU's user may traverse; libvirt gives it the file at start)."""

    directory: Path

    def path(self, name: str) -> Path:
        """Where the seed of that name lies."""
        return self.directory / name

    def write(self, server: decisions.ResolvedServer, request: requests.DeployRequest) -> None:
        """Make the server's seed, replacing one that a cut-off step left; user data may hold secrets, so only root reads it."""
        if server.seed_name is None:
            raise ValueError(f"{server.name} takes no seed")
        target, draft = self.path(server.seed_name), self._draft(server.seed_name)
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(seed.build(content(server, request)))
            stream.flush()
            os.fsync(stream.fileno())
        draft.rename(target)

    def remove(self, name: str) -> None:
        """Remove the seed, and the draft of one that was cut off; missing ones are fine."""
        for path in (self._draft(name), self.path(name)):
            path.unlink(missing_ok=True)

    def _draft(self, name: str) -> Path:
        return self.path(name).with_suffix(".new")


def content(server: decisions.ResolvedServer, request: requests.DeployRequest) -> seed.Seed:
    """What the seed says: identity, host name, keys, network by MAC address, user data."""
    asked = request.wished_interfaces(len(server.interfaces))
    return seed.Seed(
        instance_id=str(server.uuid),
        hostname=server.hostname,
        ssh_keys=request.ssh_keys,
        user_data=request.user_data,
        interfaces=tuple(
            seed.Interface(mac=made.mac, addresses=wish.addresses, gateways=wish.gateways, dns=wish.dns)
            for made, wish in zip(server.interfaces, asked, strict=True)
        ),
    )

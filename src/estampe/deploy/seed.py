"""The seeds of deployed servers: files in one directory of the host, attached read-only for the server's whole life.

A seed that was taken away after the first boot would make cloud-init find another data source, take the server for a new
one and renew its SSH host keys; so it stays until the server is deleted.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from estampe.deploy import means as ways
from estampe.deploy import resolved as decisions
from estampe.guest import seed, seed_readers


@dataclass(frozen=True, slots=True, kw_only=True)
class Seeds:
    """Seeds by file name in `directory` (which QEMU's user may traverse; libvirt gives it the file at start)."""

    directory: Path

    def path(self, name: str) -> Path:
        """Where the seed of that name lies."""
        return self.directory / name

    def write(self, server: decisions.ResolvedServer, means: ways.Means) -> None:
        """Make the server's seed, replacing one that a cut-off step left; user data may hold secrets, so only root reads it."""
        if server.seed_name is None or means.seed_format is None or means.reader is None:
            raise ValueError(f"{server.name} takes no seed")
        target, draft = self.path(server.seed_name), self._draft(server.seed_name)
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            reader = seed_readers.get(means.reader)
            stream.write(seed.build(server.wish, seed_format=means.seed_format, reader=reader))
            stream.flush()
            os.fsync(stream.fileno())
        draft.rename(target)

    def remove(self, name: str) -> None:
        """Remove the seed, and the draft of one that was cut off; missing ones are fine."""
        for path in (self._draft(name), self.path(name)):
            path.unlink(missing_ok=True)

    def _draft(self, name: str) -> Path:
        return self.path(name).with_suffix(".new")

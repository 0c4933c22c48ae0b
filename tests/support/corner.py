"""A corner of libvirt: one pool, one network and some domains whose names begin alike, and nothing else."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support import shell


@dataclass(frozen=True)
class Corner:
    """Pool and network bear the prefix as their names. `directory` must be under /var: QEMU's user walks there."""

    prefix: str
    directory: Path
    bridge: str  # at most 15 characters, as every interface

    @property
    def pool(self) -> str:
        return self.prefix

    @property
    def network(self) -> str:
        return self.prefix

    @property
    def pool_directory(self) -> Path:
        return self.directory / "pool"

    def ensure(self) -> None:
        """Make directories, pool and network where they are missing."""
        for place in (self.directory, self.pool_directory):
            place.mkdir(parents=True, exist_ok=True)
            place.chmod(0o755)
        if self.pool not in _names("pool-list"):
            shell.virsh("pool-create-as", self.pool, "dir", "--target", str(self.pool_directory))
        if self.network not in _names("net-list"):
            # No <ip>, no <forward>: the guests see each other, nobody else, and the host does not even have an address.
            path = self.directory / "network.xml"
            path.write_text(f"<network><name>{self.network}</name><bridge name='{self.bridge}' stp='off'/></network>")
            shell.virsh("net-create", str(path))

    def domains(self) -> list[str]:
        """Names of its domains."""
        return [name for name in _names("list", "--all") if name.startswith(f"{self.prefix}-")]

    def state(self, name: str) -> str:
        """`running`, `shut off`, `paused` ..."""
        return shell.virsh("domstate", name)

    def remove_domain(self, name: str) -> None:
        """Power off and forget; its volumes stay."""
        with contextlib.suppress(shell.Failed):
            shell.virsh("destroy", name)
        shell.virsh("undefine", name, "--nvram", "--managed-save", "--checkpoints-metadata", "--snapshots-metadata")

    def remove(self) -> None:
        """Everything in it, whatever state it is in. The directory goes, too."""
        for name in self.domains():
            self.remove_domain(name)
        for kind, name in (("pool", self.pool), ("net", self.network)):
            if name in _names(f"{kind}-list"):
                shell.virsh(f"{kind}-destroy", name)
        shutil.rmtree(self.directory, ignore_errors=True)


@contextlib.contextmanager
def made(kind: str) -> Iterator[Corner]:
    """A new one for tests of this kind (a word of at most four letters), all of which is removed at the end."""
    short = uuid.uuid4().hex[:6]
    directory = Path(tempfile.mkdtemp(prefix=f"estampe-{kind}-{short}-", dir="/var/tmp"))  # QEMU's user walks there
    place = Corner(f"estampe-{kind}-{short}", directory, f"est{kind}{short}")
    try:
        place.ensure()
        yield place
    finally:
        place.remove()


def _names(*listing: str) -> list[str]:
    return shell.virsh(*listing, "--name").split()

"""Real libvirt, a real daemon and real guests, in a corner of their own; all of it is removed at the end."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.support import agent, corner, guests, installation, shell

MINI_BOOT_SECONDS = 120.0  # 5 s under full emulation, on a busy machine several times that


@pytest.fixture(scope="session")
def our_corner() -> Iterator[corner.Corner]:
    with corner.made("e2e") as made:
        yield made


@pytest.fixture(scope="session")
def daemon(our_corner) -> Iterator[installation.Installation]:
    """Running; its default pool and network are the corner's."""
    # A guest that ignores a shutdown is watched by a test no longer.
    with installation.working_in(our_corner, late_shutdown_seconds="10") as made:
        yield made


@pytest.fixture(scope="session")
def has_kvm(daemon) -> bool:
    return daemon.settings["accelerator"] == "kvm"


@dataclass
class Stage:
    """What one test plays on: servers that are gone when it ends."""

    corner: corner.Corner
    daemon: installation.Installation
    has_kvm: bool
    mini: Path
    _number: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _files: list[Path] = field(default_factory=list)

    def name(self, what: str = "server") -> str:
        """A domain's name that no other has."""
        return f"{self.corner.prefix}-{what}-{uuid.uuid4().hex[:6]}"

    def file(self, name: str) -> Path:
        """A path for a volume, removed at the end of the test."""
        path = self.corner.directory / name
        self._files.append(path)
        return path

    def volume(self, name: str, *, size_mib: int, format: str = "raw", data_mib: int = 0) -> Path:
        """A volume whose first part is random."""
        path = self.file(name)
        if data_mib:
            shell.run(
                ["dd", "if=/dev/urandom", f"of={path}", "bs=1M", f"count={data_mib}", "status=none"],
                deadline_seconds=120,
            )
            path.chmod(0o644)
            shell.run(["truncate", f"--size={size_mib}M", str(path)])
            if format != "raw":
                raw = path.rename(path.with_suffix(".raw"))
                shell.run(["qemu-img", "convert", "-f", "raw", "-O", format, str(raw), str(path)], deadline_seconds=120)
                raw.unlink()
        else:
            shell.run(["qemu-img", "create", "-q", "-f", format, str(path), f"{size_mib}M"])
        return path

    def add(self, *disks: guests.Disk, name: str | None = None, **given) -> str:
        """Define a domain; its name."""
        machine = guests.Machine(name=name or self.name(), disks=disks, has_kvm=self.has_kvm, **given)
        machine.define()
        return machine.name

    def add_mini(self, *more: guests.Disk, is_started: bool = False, **given) -> str:
        """A domain of the mini guest, on a copy of its volume."""
        name = given.pop("name", None) or self.name("mini")
        disk = guests.Disk(path=guests.copy(self.mini, self.file(f"{name}.raw")))
        log = self.file(f"{name}.log")
        self.add(disk, *more, name=name, console_log=log, **given)
        if is_started:
            shell.virsh("start", name)
            self.wait_ready(name)
        return name

    def console(self, name: str) -> str:
        """What the guest has written on its serial console since it was started."""
        path = self.corner.directory / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def wait_ready(self, name: str) -> None:
        """Until a mini guest with a console log of its own says that it is up."""
        what = f"{name} to come up"
        shell.wait_for(what, lambda: "mini ready" in self.console(name), deadline_seconds=MINI_BOOT_SECONDS)

    def wait_agent(self, name: str) -> None:
        """Until a mini guest's agent answers."""
        shell.wait_for(f"the agent of {name}", lambda: agent.answers(name), deadline_seconds=MINI_BOOT_SECONDS)

    def volume_path(self, name: str, target: str = "vda") -> Path:
        """The file or device of a domain's volume."""
        rows = [line.split(maxsplit=1) for line in shell.virsh("domblklist", name).splitlines()]
        return Path(next(source.strip() for found, source in rows if found == target))

    def pool_volumes(self) -> list[str]:
        """Names of the volumes in the corner's pool."""
        shell.virsh("pool-refresh", self.corner.pool)
        return [line.split()[0] for line in shell.virsh("vol-list", self.corner.pool).splitlines()]

    def templates(self, name: str) -> list[dict]:
        """All versions of that name."""
        return self.daemon.command("template", "list", name)["templates"]

    def close(self) -> None:
        for name in self.corner.domains():
            with contextlib.suppress(shell.Failed):
                self.corner.remove_domain(name)
        for path in self._files:
            path.unlink(missing_ok=True)
        for path in self.corner.pool_directory.iterdir():
            path.unlink()


@pytest.fixture(scope="session")
def mini() -> Path:
    return guests.build("mini")


@pytest.fixture
def stage(our_corner, daemon, has_kvm, mini) -> Iterator[Stage]:
    made = Stage(our_corner, daemon, has_kvm, mini)
    yield made
    made.close()


@pytest.fixture
def fails(daemon) -> Callable[..., installation.CommandFailed]:
    """Run a command that must fail; its error."""

    def run(*arguments: str, deadline_seconds: float = 120.0) -> installation.CommandFailed:
        with pytest.raises(installation.CommandFailed) as caught:
            daemon.command(*arguments, deadline_seconds=deadline_seconds)
        return caught.value

    return run


@pytest.fixture
def small_place(our_corner) -> Iterator[Callable[[int], tuple[str, Path]]]:
    """Make a pool with that many MiB of space; its name and directory."""
    with contextlib.ExitStack() as undo:

        def make(size_mib: int) -> tuple[str, Path]:
            name = f"{our_corner.prefix}-small-{uuid.uuid4().hex[:6]}"
            directory = our_corner.directory / name
            directory.mkdir(mode=0o755)
            undo.callback(shutil.rmtree, directory, ignore_errors=True)
            shell.run(["mount", "-t", "tmpfs", "-o", f"size={size_mib}M,mode=0755", "tmpfs", str(directory)])
            undo.callback(shell.run, ["umount", "--lazy", str(directory)])
            shell.virsh("pool-create-as", name, "dir", "--target", str(directory))
            undo.callback(shell.virsh, "pool-destroy", name)
            return name, directory

        yield make

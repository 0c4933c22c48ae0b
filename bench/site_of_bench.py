"""A pool, domains and a daemon of the benchmark's own, on the libvirt of this host; all of it goes at the end."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import libvirt
from estampe.model import configuration
from estampe.virt import base as virt
from estampe.virt import domain_xml

NAME = "estampe-bench"


class Daemon:
    """bench/worker.py with its own state. No server is started, so nothing probes for KVM (10 s where it does not work)."""

    def __init__(self, work: Path, **settings: Any) -> None:
        self.store = work / "state" / "store"
        given = {
            "state_directory": work / "state",
            "run_directory": f"/run/{NAME}",
            "default_pool": NAME,
            "accelerator": "tcg",
            **settings,
        }
        argv = [sys.executable, str(Path(__file__).with_name("worker.py")), json.dumps(given, default=str)]
        self._child = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise RuntimeError(f"the worker ended with status {self._child.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def ask(self, **command: Any) -> dict[str, Any]:
        assert self._child.stdin is not None
        print(json.dumps(command), file=self._child.stdin, flush=True)
        answer = self._answer()
        if answer.get("error"):
            raise RuntimeError(answer["error"])
        return answer

    def peak_bytes(self) -> int:
        return int(self.ask(memory=True)["peak_bytes"])

    def close(self) -> None:
        assert self._child.stdin is not None
        self._child.stdin.close()
        self._child.wait(60)


class Site:
    """Where the benchmark works."""

    def __init__(self, work: Path) -> None:
        self.work, self.pool = work, work / "pool"
        self.pool.mkdir(parents=True, exist_ok=True)
        self._libvirt = libvirt.open("qemu:///system")

    def start_pool(self) -> None:
        xml = f"<pool type='dir'><name>{NAME}</name><target><path>{self.pool}</path></target></pool>"
        self._libvirt.storagePoolCreateXML(xml)

    def define(self, name: str, path: Path, format: configuration.VolumeFormat) -> None:
        """A server that is shut off, with one volume."""
        volume = virt.NewVolume(
            target="vda",
            bus="virtio",
            path=str(path),
            format=format,
            is_block_device=False,
            serial=None,
            boot_order=None,
        )
        self._libvirt.defineXML(domain_xml.plain(name, str(uuid.uuid4()), [volume]))

    def undefine(self, name: str) -> None:
        with contextlib.suppress(libvirt.libvirtError):
            self._libvirt.lookupByName(name).undefine()

    def empty_pool(self, prefix: str) -> None:
        """Drop what deploys made."""
        for path in self.pool.glob(f"{prefix}*"):
            path.unlink()
        self._libvirt.storagePoolLookupByName(NAME).refresh(0)

    def close(self) -> None:
        for domain in self._libvirt.listAllDomains():
            if domain.name().startswith(NAME):
                domain.undefine()
        with contextlib.suppress(libvirt.libvirtError):
            self._libvirt.storagePoolLookupByName(NAME).destroy()
        self._libvirt.close()


@contextlib.contextmanager
def site(work: Path, *, in_memory_bytes: int = 0) -> Iterator[Site]:
    """A clean place at `work`, removed at the end; a tmpfs of that size where one is asked for."""
    _clear(work)
    work.mkdir(parents=True)
    if in_memory_bytes:
        options = f"size={in_memory_bytes},mode=711"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, NAME, work], check=True)
    work.chmod(0o711)
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    made = Site(work)
    try:
        made.close()
        made = Site(work)
        made.start_pool()
        yield made
    finally:
        made.close()
        _clear(work)
        shutil.rmtree(f"/run/{NAME}", ignore_errors=True)


def _clear(work: Path) -> None:
    if work.is_mount():
        # lazily: a QEMU under libvirt may hold the mount in a namespace of its own for a moment
        subprocess.run(["umount", "--lazy", work], check=True)
    shutil.rmtree(work, ignore_errors=True)

"""A place for fault tests on a real libvirt host: state and run directories, pool, network and servers of its own."""

from __future__ import annotations

import contextlib
import hashlib
import random
import shutil
import subprocess
import tempfile
import time
import uuid as uuids
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import installation

from estampe import config, errors
from estampe.model import configuration
from estampe.virt import base as virt
from estampe.virt import domain_xml, libvirt_host

URI = "qemu:///system"
MIB = 1024 * 1024
RAW, QCOW2 = configuration.VolumeFormat.RAW, configuration.VolumeFormat.QCOW2
NVRAM = Path("/var/lib/libvirt/qemu/nvram")
_OVMF = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
_TAIL = 4096  # so that the last chunk is a short one; libvirt rounds qcow2 volumes up to whole KiB


def virsh(*arguments: str) -> str:
    ran = subprocess.run(
        ["virsh", "-q", "-c", URI, *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@dataclass(frozen=True)
class Server:
    """A source server, with all of it that a capture must leave as it was."""

    name: str
    uuid: str
    paths: tuple[Path, ...]
    contents: tuple[str, ...]  # SHA-256 of what each volume reads as
    files: tuple[str, ...]  # SHA-256 of each volume's file
    is_uefi: bool


class Site:
    """Made in its own directories; `close` removes all of it."""

    def __init__(
        self,
        *,
        state: Path | None = None,
        store: Path | None = None,
        pool: Path | None = None,
        appliance: Path | None = None,
    ) -> None:
        """Places that are not given are made in the site's own directory; an appliance is built there by who launches it."""
        self.token = f"estampe-f-{uuids.uuid4().hex[:8]}"
        # Not below pytest's own temporary directory, which QEMU's user may not walk through.
        self.directory = Path(tempfile.mkdtemp(prefix=f"{self.token}-", dir="/var/tmp"))
        self.directory.chmod(0o711)
        self.run_directory = Path("/run") / self.token
        self.state = state or self.directory / "state"
        self.pool = pool or self.directory / "pool"
        self.sources = self.directory / "sources"
        for made in (self.pool, self.sources):
            made.mkdir(mode=0o711, exist_ok=True)
        if appliance is not None:
            installation.share_appliance(appliance, self.state)
        self._devices: list[Path] = []
        self._undo = contextlib.ExitStack()
        self._undo.callback(shutil.rmtree, self.directory, ignore_errors=True)
        self._undo.callback(shutil.rmtree, self.run_directory, ignore_errors=True)
        self._undo.callback(self._remove_nvram)
        self._undo.callback(self._remove_devices)
        self._undo.callback(self._remove_domains)
        virsh("pool-create-as", self.token, "dir", "--target", str(self.pool))
        self._undo.callback(virsh, "pool-destroy", self.token)
        network = self.directory / "network.xml"
        network.write_text(f"<network><name>{self.token}</name><bridge name='ef{self.token[-8:]}'/></network>")
        virsh("net-create", str(network))
        self._undo.callback(virsh, "net-destroy", self.token)
        self.host = libvirt_host.LibvirtHost(URI, has_kvm=lambda: False)
        self._undo.callback(self.host.close)
        self.settings: dict[str, Any] = {
            "state_directory": str(self.state), "run_directory": str(self.run_directory),
            "socket": str(self.run_directory / "estampe.sock"), "default_pool": self.token,
            "default_network": self.token, "accelerator": "tcg", "copy_threads": 1, "concurrent_captures": 2,
            "confirm_timeout_seconds": 5.0,
            "trash_days": 0,  # what a test deletes is to be gone
        }  # fmt: skip
        if store is not None:
            self.settings["store_directory"] = str(store)

    @property
    def store(self) -> Path:
        return config.Settings(**self.settings).store

    def close(self) -> None:
        self._undo.close()

    def _remove_domains(self) -> None:
        for summary in self.host.list_domains():
            if summary.name.startswith(self.token):
                self.host.power_off(summary.uuid)
                self.host.undefine(summary.uuid)

    def _remove_devices(self) -> None:
        for device in self._devices:
            subprocess.run(["losetup", "--detach", device], check=True, timeout=60)

    def _remove_nvram(self) -> None:
        for path in self.nvram():
            path.unlink()

    def nvram(self) -> set[Path]:
        """Every NVRAM file of this site's servers, drafts included."""
        return set(NVRAM.glob(f"*{self.token}*")) | set(NVRAM.glob(f".*{self.token}*"))

    # --- servers ------------------------------------------------------------------------------------------------------

    def add_server(
        self, name: str, *volumes: Callable[[Path], Path], is_uefi: bool = False, is_running: bool = False,
        memory_mib: int = 64,
    ) -> Server:  # fmt: skip
        """A server with volumes that `volumes` make; without a guest on them it sits in its firmware when it runs."""
        full_name, uuid = f"{self.token}-{name}", str(uuids.uuid4())
        paths = [make(self.sources / f"{name}-{nth}") for nth, make in enumerate(volumes)]
        self._devices += [path for path in paths if path.is_block_device()]
        attached = [
            virt.NewVolume(
                target=f"vd{'abcdef'[nth]}", bus="virtio", path=str(path), format=format_of(path),
                is_block_device=path.is_block_device(), serial=None, boot_order=None,
            )
            for nth, path in enumerate(paths)
        ]  # fmt: skip
        xml = domain_xml.plain(full_name, uuid, attached, memory_mib=memory_mib)
        self.host.define(_with_uefi(xml, full_name) if is_uefi else xml)
        if is_uefi:
            self.host.write_nvram(str(NVRAM / f"{full_name}.fd"), Path("/usr/share/OVMF/OVMF_VARS_4M.fd").read_bytes())
        contents, files = tuple(content(path) for path in paths), tuple(digest(path) for path in paths)
        if is_running:
            self.host.start(uuid)
        return Server(name=full_name, uuid=uuid, paths=tuple(paths), contents=contents, files=files, is_uefi=is_uefi)

    def definition(self, server: Server) -> str:
        return virsh("dumpxml", "--inactive", server.uuid)

    def agent_answers(self, server: Server) -> bool:
        """Whether the guest in it is up."""
        try:
            self.host.agent_command(server.uuid, "guest-ping", timeout_seconds=2)
        except errors.AgentUnavailable:
            return False
        return True

    def power_state(self, server: Server) -> str:
        return str(self.host.power_state(server.uuid))


def _with_uefi(xml: str, name: str) -> str:
    root = ET.fromstring(xml)  # noqa: S314 - our own
    system = root.find("os")
    assert system is not None
    ET.SubElement(system, "loader", readonly="yes", type="pflash").text = str(_OVMF)
    ET.SubElement(system, "nvram").text = str(NVRAM / f"{name}.fd")
    return ET.tostring(root, encoding="unicode")


# --- volumes --------------------------------------------------------------------------------------------------------------


def data(seed: object, length: int) -> bytes:
    """Bytes that compress to about the half: random ones, and the same again as text."""
    half = random.Random(str(seed)).randbytes(length // 2)
    return half[: length // 4] + half[: length // 8].hex().encode() + half[length // 4 :] + bytes(length % 2)


def raw(seed: object, *, size_mib: int = 16, data_mib: int = 3) -> Callable[[Path], Path]:
    """A sparse raw volume: data in pieces of up to 8 MiB, with holes between them, the last one at its end."""

    def make(stem: Path) -> Path:
        path = stem.with_name(stem.name + ".raw")
        pieces = max(2, data_mib // 8)
        length = data_mib * MIB // pieces
        with path.open("wb") as stream:
            stream.truncate(size_mib * MIB + _TAIL)
            for nth in range(pieces):
                stream.seek((size_mib * MIB + _TAIL - length) * nth // (pieces - 1))
                stream.write(data((seed, nth), length)[:length])
        return path

    return make


def qcow2(seed: object, *, is_compressed: bool = False, **sizes: int) -> Callable[[Path], Path]:
    """The same as qcow2; compressed clusters are read through a qemu-nbd."""

    def make(stem: Path) -> Path:
        source, path = raw(seed, **sizes)(stem), stem.with_name(stem.name + ".qcow2")
        compression = ["-c"] if is_compressed else []
        argv = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", *compression, str(source), str(path)]
        subprocess.run(argv, check=True, timeout=300)
        source.unlink()
        return path

    return make


def device(seed: object, **sizes: int) -> Callable[[Path], Path]:
    """The same as a block device."""

    def make(stem: Path) -> Path:
        argv = ["losetup", "--find", "--show", str(raw(seed, **sizes)(stem))]
        return Path(subprocess.run(argv, check=True, capture_output=True, text=True, timeout=60).stdout.strip())

    return make


def format_of(path: Path) -> configuration.VolumeFormat:
    return QCOW2 if path.suffix == ".qcow2" else RAW


def digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def content(path: Path) -> str:
    """SHA-256 of what the volume reads as, also while a server runs on it."""
    if format_of(path) is RAW:
        return digest(path)
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="estampe-faults-") as directory:
        plain = Path(directory) / "plain"
        argv = ["qemu-img", "convert", "--force-share", "-f", "qcow2", "-O", "raw", str(path), str(plain)]
        subprocess.run(argv, check=True, timeout=300)
        return digest(plain)


def eventually(condition: Callable[[], object], *, timeout_seconds: float = 10.0) -> bool:
    """Whether it becomes true within the time."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


_DEBIAN = {
    "etc/os-release": 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
    "etc/debian_version": "12.5\n",
    "etc/fstab": "",
    "etc/hostname": "engraved\n",
    "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\n",
    "bin/true": "",
    "var/lib/dpkg/status": "",
}


def debian(stem: Path) -> Path:
    """The root file system of what inspection takes for a Debian, with something to seal; it cannot boot."""
    path, tree = stem.with_name(stem.name + ".raw"), stem.with_name(stem.name + ".tree")
    for name, text in _DEBIAN.items():
        file = tree / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    with path.open("wb") as stream:
        stream.truncate(64 * MIB)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", tree, path], check=True, timeout=60)
    shutil.rmtree(tree)
    return path


def guest_file(volume: Path, name: str) -> str:
    """A file of an ext file system, read without mounting it; empty where there is none."""
    ran = subprocess.run(
        ["debugfs", "-R", f"cat {name}", volume], capture_output=True, text=True, check=True, timeout=60
    )
    return ran.stdout


def mini(stem: Path) -> Path:
    """A guest that boots within seconds and obeys the power button."""
    path = stem.with_name(stem.name + ".raw")
    script = Path(__file__).parents[2] / "script" / "build-guest"
    subprocess.run([script, "mini", "--output", path], check=True, timeout=600, stdout=subprocess.DEVNULL)
    return path

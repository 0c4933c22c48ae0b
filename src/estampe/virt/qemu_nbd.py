"""Volumes served over NBD on a unix socket by qemu-nbd: the way to read and write any format QEMU knows.

Read-only by default, over a chain told in full; a fence keeps servers from being started on it meanwhile, unless it is shared.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Literal

from estampe import errors, process
from estampe.virt import base, block_description, image_lock, qemu_img

_START_DEADLINE_SECONDS: Final = 15.0
_POLL_SECONDS: Final = 0.01  # qemu-nbd serves within 20-40 ms
_GREETING: Final = b"NBDMAGIC"  # the first bytes of every server (NBD protocol, newstyle negotiation)
_GREETING_SECONDS: Final = 2.0
_LONGEST_SOCKET_PATH: Final = 107  # sockaddr_un's 108 bytes with the closing zero


@dataclass(frozen=True, slots=True)
class Export:
    """A volume being served. The export's name is empty."""

    socket_path: str
    child: subprocess.Popen[bytes]

    @property
    def uri(self) -> str:
        """The address, as libnbd and libguestfs take it."""
        return f"nbd+unix:///?socket={self.socket_path}"

    @property
    def is_alive(self) -> bool:
        """Whether the server still runs; a client that lost its connection asks this to tell why."""
        return self.child.poll() is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """How qemu-nbd opens the chain. The defaults read through the page cache, which a deploy or a second pass finds warm."""

    cache: Literal["none", "writeback", "writethrough", "directsync", "unsafe"] = "writeback"
    aio: Literal["threads", "native", "io_uring"] = "threads"  # native needs cache none or directsync
    discard: Literal["ignore", "unmap"] = "unmap"
    detect_zeroes: Literal["off", "on", "unmap"] = "off"  # the copy pipeline finds zeros itself


_DEFAULT_TUNING: Final = Tuning()


@contextlib.contextmanager
def export(
    chain: Sequence[base.Layer],
    *,
    socket_dir: Path,
    is_read_only: bool = True,
    is_shared: bool = False,
    connections: int = 8,
    tuning: Tuning = _DEFAULT_TUNING,
) -> Iterator[Export]:
    """Serve the chain until the block is left. Writes go to the top layer alone.

    `is_shared` (read-only): without a fence and without QEMU's locks. Nobody is kept from writing, and what is read beside a
    writer is no state that the volume ever had.

    The server dies with the calling thread (see process.start): call it from one that lives as long as the export.

    Raises: errors.VolumeLocked where a server or another program writes to a layer, errors.VolumeGone,
    errors.ProcessFailed, errors.DeadlineExceeded, errors.ProgramMissing.
    """
    fenced = chain if is_read_only else chain[1:]  # qemu-nbd itself holds the top layer that it writes to
    socket_path = _socket_path(socket_dir)
    with contextlib.ExitStack() as undo:
        undo.enter_context(image_lock.fence([] if is_shared else [layer.path for layer in fenced]))
        messages = undo.enter_context(tempfile.TemporaryFile())
        child = process.start(
            _argv(
                block_description.file_name(chain, is_shared=is_shared),
                socket_path,
                is_read_only=is_read_only,
                connections=connections,
                tuning=tuning,
            ),
            stdout=subprocess.DEVNULL,
            stderr=messages.fileno(),
        )
        undo.callback(Path(socket_path).unlink, missing_ok=True)
        undo.callback(process.end, child)
        _wait_until_serving(child, socket_path, messages, path=chain[0].path)
        yield Export(socket_path, child)


def _socket_path(directory: Path) -> str:
    path = str(directory / f"nbd-{uuid.uuid4().hex[:12]}.sock")
    if len(path.encode()) > _LONGEST_SOCKET_PATH:
        raise errors.InvalidSetting(setting="run_dir", problem=f"{directory} is too long a path for sockets")
    return path


def _argv(file_name: str, socket_path: str, *, is_read_only: bool, connections: int, tuning: Tuning) -> list[str]:
    return [
        process.find_program("qemu-nbd", package="qemu-utils"),
        *(["--read-only"] if is_read_only else []),
        "--persistent",
        f"--shared={connections}",
        f"--socket={socket_path}",
        f"--cache={tuning.cache}",
        f"--aio={tuning.aio}",
        f"--discard={tuning.discard}",
        f"--detect-zeroes={tuning.detect_zeroes}",
        file_name,
    ]


def _wait_until_serving(child: subprocess.Popen[bytes], socket_path: str, messages: IO[bytes], *, path: str) -> None:
    deadline = time.monotonic() + _START_DEADLINE_SECONDS
    while not _greets(socket_path):
        if child.poll() is not None:
            raise _failure(child.returncode, messages, path=path)
        if time.monotonic() > deadline:
            raise errors.DeadlineExceeded(what="the start of qemu-nbd", seconds=_START_DEADLINE_SECONDS)
        time.sleep(_POLL_SECONDS)


def _greets(socket_path: str) -> bool:
    """Whether the server speaks: qemu-nbd listens before it opens the image, so that a connection alone tells nothing."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(_GREETING_SECONDS)
        try:
            client.connect(socket_path)
            return client.recv(len(_GREETING)) == _GREETING
        except OSError:
            return False


def _failure(status: int, messages: IO[bytes], *, path: str) -> errors.EstampeError:
    messages.seek(0)
    text = messages.read(4096).decode(errors="replace").strip()
    detail = " ".join(text.split()) or "no message"
    return qemu_img.translate(errors.ProcessFailed(program="qemu-nbd", status=status, detail=detail[:500]), path=path)

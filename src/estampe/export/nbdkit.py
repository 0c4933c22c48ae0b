"""Serving a volume out of the chunk store as a read-only NBD export, by nbdkit with Estampe's plugin in it."""

from __future__ import annotations

import contextlib
import contextvars
import logging
import os
import socket as sockets
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from estampe import errors, process
from estampe.export import report

_PLUGIN: Final = Path(__file__).with_name("plugin.py")
_THREADS: Final = (
    4  # requests at once per connection: each costs some 20 MiB where all of them decode; qemu sends few at once
)
_POLL_SECONDS: Final = 0.02
_LAST_LINES: Final = 20
_CATCH_UP: Final = "estampe-export-caught-up"
_CATCH_UP_SECONDS: Final = 10.0
DEFAULT_CACHE_BYTES: Final = 64 * 1024 * 1024

_log = logging.getLogger(__name__)


class _Listener:
    """Hears what nbdkit says on standard error, in a thread."""

    def __init__(self, *, name: str) -> None:
        """`self.fd` is for the child; `close` it once the child has ended."""
        ours, self.fd = os.pipe()
        self.failures: list[errors.EstampeError] = []
        self._name = name
        self._last_lines: deque[str] = deque(["no message"], maxlen=_LAST_LINES)
        self._is_caught_up = threading.Event()
        self._thread = threading.Thread(
            target=contextvars.copy_context().run,  # what it logs belongs to the operation
            args=(self._hear_all, ours),
            name=f"export {name}",
            daemon=True,
        )
        self._thread.start()

    def _hear_all(self, fd: int) -> None:
        with os.fdopen(fd, encoding="utf-8", errors="replace") as lines:
            for text in lines:
                self._hear(text.rstrip())

    def _hear(self, text: str) -> None:
        failure = report.find_error(text)
        if failure is not None:
            _log.error("export %s: a read failed: %s", self._name, failure)
            self.failures.append(failure)
        elif text == _CATCH_UP:
            self._is_caught_up.set()
        elif text:
            _log.debug("export %s: %s", self._name, text)
            self._last_lines.append(text)

    def catch_up(self) -> None:
        """Returns when all that was said before this call is heard: a line of our own goes through the same pipe."""
        if self.fd >= 0:
            self._is_caught_up.clear()
            os.write(self.fd, f"\n{_CATCH_UP}\n".encode())
            self._is_caught_up.wait(_CATCH_UP_SECONDS)

    def last_line(self) -> str:
        """What was said last, but for reports of failed reads."""
        self.catch_up()
        return self._last_lines[-1]

    def close(self) -> None:
        """Hear the rest, and end."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        self._thread.join()


class Export:
    """A running export."""

    def __init__(self, socket: Path, listener: _Listener) -> None:
        self.socket, self._listener = socket, listener

    def check(self) -> None:
        """Raise the first error that a read met, if any: the reader itself only saw EIO.

        Tells of every read that was answered before the call, in the context and after it. Raises: errors.ChunkCorrupt, errors.ChunkMissing, errors.StoreUnavailable.
        """
        self._listener.catch_up()
        if self._listener.failures:
            raise self._listener.failures[0]


@contextlib.contextmanager
def serve(
    store_location: str,
    table: Path,
    *,
    size_bytes: int,
    chunk_size_bytes: int,
    socket: Path,
    cache_bytes: int = DEFAULT_CACHE_BYTES,
    ready_seconds: float = 60.0,
) -> Iterator[Export]:
    """Serve until the context ends, or this thread does. Clients can connect from the start of the body on.

    `socket` must be shorter than 108 bytes (sun_path) and lie in a directory that only the readers may enter.
    Raises: errors.ProgramMissing, errors.ProcessFailed (store or table cannot be opened), errors.DeadlineExceeded.
    """
    program = process.find_program("nbdkit", package="nbdkit")
    socket.unlink(missing_ok=True)
    settings = {
        "store": store_location, "table": table, "size": size_bytes, "chunk_size": chunk_size_bytes, "cache": cache_bytes,
    }  # fmt: skip
    argv = [
        program, "--foreground", "--readonly", f"--threads={_THREADS}", f"--unix={socket}",
        "python", str(_PLUGIN), *(f"{key}={value}" for key, value in settings.items()),
    ]  # fmt: skip
    with _running(argv, name=socket.name) as (child, listener):
        _wait_ready(child, listener, socket, ready_seconds)
        try:
            yield Export(socket, listener)
        finally:
            socket.unlink(missing_ok=True)


@contextlib.contextmanager
def _running(argv: list[str], *, name: str) -> Iterator[tuple[subprocess.Popen[bytes], _Listener]]:
    listener = _Listener(name=name)
    try:
        child = process.start(argv, env=_environment(), stdout=subprocess.DEVNULL, stderr=listener.fd)
        try:
            yield child, listener
        finally:
            process.end(child)
    finally:
        listener.close()


def _environment() -> dict[str, str]:
    """Ours, with our module search path: the plugin's Python is the system's, and knows no virtual environment."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}


def _wait_ready(child: subprocess.Popen[bytes], listener: _Listener, socket: Path, ready_seconds: float) -> None:
    deadline = time.monotonic() + ready_seconds
    while not _is_connectable(socket):
        if time.monotonic() > deadline:
            raise errors.DeadlineExceeded(what="starting nbdkit", seconds=ready_seconds)
        with contextlib.suppress(subprocess.TimeoutExpired):
            status = child.wait(_POLL_SECONDS)
            raise _why_ended(status, listener.last_line())


def _is_connectable(socket: Path) -> bool:
    with sockets.socket(sockets.AF_UNIX) as client:
        return client.connect_ex(str(socket)) == 0


def _why_ended(status: int, last_line: str) -> errors.EstampeError:
    try:
        process.run(["nbdkit", "python", "--dump-plugin"], deadline_seconds=30)
    except errors.ProcessFailed:
        return errors.ProgramMissing(program="nbdkit's Python plugin", package="nbdkit-plugin-python")
    return errors.ProcessFailed(program="nbdkit", status=status, detail=last_line)

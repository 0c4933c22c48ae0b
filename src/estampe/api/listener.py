"""The unix socket that the daemon listens on: who may open it, and how a stale one is replaced."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import grp
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from estampe import errors

_MODE: Final = 0o660  # root and the group: whoever may open the socket is the cloud operator
_BACKLOG: Final = 128


@contextlib.contextmanager
def listen(path: Path, *, group: str | None) -> Iterator[socket.socket]:
    """Listen at `path` for as long as the context lasts; owner is this process' user, group `group` if there is one.

    The socket appears under its name complete, with its mode and owner set, by rename. A lock file beside it keeps two
    daemons that start at once from both taking a stale socket for theirs; it stays behind, empty.

    Raises: errors.SocketInUse.
    """
    _make_folder(path.parent)
    with _lock(path), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as bound:
        _check_stale(path)
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        fresh.unlink(missing_ok=True)
        try:
            _bind(bound, fresh, group=group)
            bound.listen(_BACKLOG)
            inode = fresh.stat().st_ino
            fresh.replace(path)
        except OSError as error:
            fresh.unlink(missing_ok=True)
            raise errors.SocketInUse(socket=str(path), detail=error.strerror or str(error)) from error
        try:
            yield bound
        finally:
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_ino == inode:
                    path.unlink()


def group_exists(group: str) -> bool:
    """Whether this host has the group."""
    try:
        grp.getgrnam(group)
    except KeyError:
        return False
    return True


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        raise errors.SocketInUse(socket=str(folder), detail=error.strerror or str(error)) from error


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold the lock of the socket's name; the kernel frees it however the process ends."""
    try:
        held = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise errors.SocketInUse(socket=str(path), detail=error.strerror or str(error)) from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(held)
        raise errors.SocketInUse(socket=str(path), detail="another daemon holds it") from error
    try:
        yield
    finally:
        os.close(held)


def _check_stale(path: Path) -> None:
    """Nothing is at `path`, or a socket where nobody answers. Raises: errors.SocketInUse."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise errors.SocketInUse(socket=str(path), detail="there is a file of that name that is not a socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
        caller.settimeout(2)
        status = caller.connect_ex(str(path))
    if status not in {errno.ECONNREFUSED, errno.ENOENT}:
        raise errors.SocketInUse(socket=str(path), detail="somebody answers there")


def _bind(bound: socket.socket, path: Path, *, group: str | None) -> None:
    umask = os.umask(0o177)  # between bind and chmod nobody else may connect
    try:
        bound.bind(str(path))
    finally:
        os.umask(umask)
    if group is not None and group_exists(group):
        os.chown(path, -1, grp.getgrnam(group).gr_gid)
    path.chmod(_MODE)

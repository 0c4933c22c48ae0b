"""NVRAM files: each UEFI server's own variable store (boot entries, secure-boot keys)."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from pathlib import Path
from typing import Final

from estampe import errors, units

# Where libvirt itself puts them; the directory belongs to the user that runs QEMU.
DEFAULT_DIRECTORY: Final = Path("/var/lib/libvirt/qemu/nvram")
_LARGEST_BYTES: Final = 64 * units.MIB  # OVMF's have 128 to 528 KiB, ARM's 64 MiB


class NvramFiles:
    """The NVRAM files of a host."""

    def __init__(self, directory: Path = DEFAULT_DIRECTORY) -> None:
        self._directory = directory

    def nvram_path(self, file_name: str) -> str:
        """The path of the file of that name in this host's directory."""
        if not file_name or "/" in file_name or file_name.startswith("."):
            raise errors.InvalidName(name=file_name, what="NVRAM file", rule="a plain file name")
        return str(self._directory / file_name)

    def read_nvram(self, path: str) -> bytes | None:
        """The file's bytes, or None where it does not exist. Raises: errors.NvramFailed."""
        try:
            data = _read(path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise errors.NvramFailed(action="read", path=path, detail=error.strerror) from error
        if len(data) > _LARGEST_BYTES:
            raise errors.NvramFailed(action="read", path=path, detail="it is too large for an NVRAM file")
        return data

    def write_nvram(self, path: str, data: bytes) -> None:
        """Create or replace the file, all or nothing and durable, owned as its directory is: by who runs QEMU.

        Raises: errors.NvramFailed, errors.NoSpace.
        """
        try:
            _replace(Path(path), data)
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                where, needed = str(Path(path).parent), units.format_bytes(len(data))
                raise errors.NoSpace(where=where, needed=needed, available="less") from error
            raise errors.NvramFailed(action="write", path=path, detail=error.strerror) from error

    def delete_nvram(self, path: str) -> None:
        """Remove the file; a missing one is fine. Raises: errors.NvramFailed."""
        try:
            Path(path).unlink(missing_ok=True)
        except OSError as error:
            raise errors.NvramFailed(action="remove", path=path, detail=error.strerror) from error


def _read(path: str) -> bytes:
    # The directory belongs to QEMU's user: a guest that broke out could leave a link or a pipe there for root to read.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - an open descriptor, not a path
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a file")
        return file.read(_LARGEST_BYTES + 1)


def _replace(path: Path, data: bytes) -> None:
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # mode 0600
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - an open descriptor, not a path
            file.write(data)
            _give_to_owner_of(path.parent, descriptor)
            file.flush()
            os.fsync(descriptor)
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise
    _sync_directory(path.parent)


def _give_to_owner_of(directory: Path, descriptor: int) -> None:
    owner = directory.stat()
    if os.geteuid() == 0:  # nobody else may give files away, and then the directory is the caller's own
        os.fchown(descriptor, owner.st_uid, owner.st_gid)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

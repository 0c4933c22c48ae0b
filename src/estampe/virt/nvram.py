"""NVRAM files: each UEFI server's own variable store (boot entries, secure-boot keys)."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Final

from estampe import errors, units
from estampe.virt import state_files

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
            return state_files.read(path, most_bytes=_LARGEST_BYTES)
        except OSError as error:
            raise errors.NvramFailed(action="read", path=path, detail=error.strerror) from error

    def write_nvram(self, path: str, data: bytes) -> None:
        """Create or replace the file, all or nothing and durable, owned as its directory is: by who runs QEMU.

        Raises: errors.NvramFailed, errors.NoSpace.
        """
        try:
            state_files.replace(Path(path), data)
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

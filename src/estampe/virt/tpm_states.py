"""States of emulated TPMs: what swtpm keeps of each server, where libvirt has it keep that.

libvirt gives a state that it finds to swtpm's user when it starts the server, and makes a new one only where it finds no directory
of that server's TPM (qemu_tpm.c, qemuTPMEmulatorCreateStorage). It removes the state with the domain.
"""

from __future__ import annotations

import errno
import shutil
import uuid as uuids
from pathlib import Path
from typing import Final

from estampe import durability, errors, units
from estampe.virt import state_files

DEFAULT_DIRECTORY: Final = Path("/var/lib/libvirt/swtpm")
_LARGEST_BYTES: Final = units.MIB  # a used one has 6 to 20 KiB; swtpm takes 128 KiB at most
# swtpm's names (swtpm_nvstore.c), by the version of the TPM's specification; libvirt's of the directory.
_FILES: Final = {"1.2": "tpm1.2/tpm-00.permall", "2.0": "tpm2/tpm2-00.permall"}


class TpmStates:
    """The states of a host's emulated TPMs; a server is named by its UUID, a TPM's version is 1.2 or 2.0."""

    def __init__(self, directory: Path = DEFAULT_DIRECTORY) -> None:
        self._directory = directory

    def read_tpm_state(self, uuid: str, version: str) -> bytes | None:
        """The permanent state, or None where there is none: it was never started. Raises: errors.TpmStateFailed."""
        path = self._path(uuid, version)
        try:
            return state_files.read(path, most_bytes=_LARGEST_BYTES)
        except OSError as error:
            raise errors.TpmStateFailed(action="read", path=path, detail=error.strerror) from error

    def write_tpm_state(self, uuid: str, version: str, data: bytes) -> None:
        """Create or replace the state, durable; for libvirt to find at the server's first start.

        Raises: errors.TpmStateFailed, errors.NoSpace.
        """
        path = self._path(uuid, version)
        own = path.parent.parent
        try:
            self._directory.mkdir(mode=0o711, parents=True, exist_ok=True)
            own.mkdir(mode=0o711, exist_ok=True)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            state_files.replace(path, data)
            for directory in (own, self._directory):
                durability.sync_directory(directory)
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                needed = units.format_bytes(len(data))
                raise errors.NoSpace(where=str(self._directory), needed=needed, available="less") from error
            raise errors.TpmStateFailed(action="write", path=path, detail=error.strerror) from error

    def delete_tpm_state(self, uuid: str) -> None:
        """Remove all that is kept of the server's TPM; none is fine. Raises: errors.TpmStateFailed."""
        own = self._own(uuid)
        try:
            shutil.rmtree(own)
        except FileNotFoundError:
            return
        except OSError as error:
            raise errors.TpmStateFailed(action="remove", path=own, detail=error.strerror) from error

    def _own(self, uuid: str) -> Path:
        return self._directory / str(uuids.UUID(uuid))

    def _path(self, uuid: str, version: str) -> Path:
        return self._own(uuid) / _FILES[version]

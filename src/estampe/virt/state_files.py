"""Small files that hold a server's state beside its volumes, in directories that belong to whoever runs it: NVRAM, TPM state."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from pathlib import Path

from estampe import durability


def read(path: str | Path, *, most_bytes: int) -> bytes | None:
    """The file's bytes, or None where it does not exist. Raises: OSError, also of what is no file, and of a longer one."""
    # A guest that broke out could leave a link or a pipe in such a directory for root to read.
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    with open(descriptor, "rb") as file:  # noqa: PTH123 - an open descriptor, not a path
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "it is not a file")
        data = file.read(most_bytes + 1)
    if len(data) > most_bytes:
        raise OSError(errno.EFBIG, "it is too large for one")
    return data


def replace(path: Path, data: bytes) -> None:
    """Create or replace the file, all or nothing and durable, with mode 0600, owned as its directory is. Raises: OSError."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
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
    durability.sync_directory(path.parent)


def _give_to_owner_of(directory: Path, descriptor: int) -> None:
    owner = directory.stat()
    if os.geteuid() == 0:  # nobody else may give files away, and then the directory is the caller's own
        os.fchown(descriptor, owner.st_uid, owner.st_gid)

"""Whether a pool's volumes can be opened past the host's page cache: open(2), O_DIRECT."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
from collections.abc import Callable

from estampe.virt import base

_REFUSALS = {errno.EINVAL, errno.EOPNOTSUPP}  # EINVAL by open(2); some FUSE file systems say the other


def is_taken_by(pool: base.Pool) -> bool:
    """Block devices always take it; of a directory, its file system is asked by opening a file that goes at once."""
    if pool.is_block:
        return True
    return pool.path is not None and takes(pool.path)


def takes(directory: str, *, open_file: Callable[[str, int], int] = os.open) -> bool:
    """Whether files in `directory` can be opened so. A directory that takes no file cannot be asked, and counts as no."""
    try:
        handle, path = tempfile.mkstemp(prefix=".estampe-direct-io-", dir=directory)
    except OSError:
        return False
    try:
        os.close(handle)
        return _opens(path, open_file)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108 - mkstemp's own text


def _opens(path: str, open_file: Callable[[str, int], int]) -> bool:
    try:
        os.close(open_file(path, os.O_RDWR | os.O_DIRECT | os.O_CLOEXEC))
    except OSError as error:
        if error.errno in _REFUSALS:
            return False
        raise
    return True

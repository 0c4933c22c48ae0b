"""Making names durable on Linux: a file that was synced may still be gone after a power cut if its directory was not."""

from __future__ import annotations

import os
from pathlib import Path


def sync_directory(path: Path | str) -> None:
    """Make the names in a directory durable. Raises: OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

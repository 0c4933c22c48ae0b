"""Where one capture works: its tables, overlays and marks, and the sockets of its exports."""

from __future__ import annotations

import shutil
import uuid
from dataclasses import dataclass
from pathlib import Path

from estampe.capture import finish


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """The directories of one operation; whatever a cut-off step left in them is there when it runs again."""

    directory: Path
    sockets: Path

    @classmethod
    def of(cls, operation_id: uuid.UUID, *, work_directory: Path, socket_directory: Path) -> Workspace:
        """The workspace of an operation, made or not."""
        # A unix socket's path must stay under 108 bytes (unix(7)): a part of the id is enough to tell operations apart.
        return cls(directory=work_directory / str(operation_id), sockets=socket_directory / str(operation_id)[:13])

    def make(self) -> None:
        """Make what is missing; nobody else may look in."""
        for directory in (self.directory, self.sockets):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def remove(self) -> None:
        """Remove it all; nothing there is fine."""
        for directory in (self.directory, self.sockets):
            shutil.rmtree(directory, ignore_errors=True)

    @property
    def shutdown_marker(self) -> Path:
        """There from the moment the guest may have been asked to shut down."""
        return self.directory / "shutdown-requested"

    def copy_of(self, target: str, size_bytes: int, *, sector_size_bytes: int = 512) -> finish.Copy:
        """The captured volume `target`: where its tables are."""
        return finish.Copy(
            target=target,
            size_bytes=size_bytes,
            table=self.directory / f"{target}.table",
            finished_table=self.directory / f"{target}.finished.table",
            sector_size_bytes=sector_size_bytes,
        )

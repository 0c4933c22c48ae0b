"""What keeps an installation's databases: the catalogue's and the workflow engine's, copied out and put back together.

    dump      a consistent copy of each, while a daemon works
    load      copies, laid beside what is in use; nothing of that is touched yet
    open      what was loaded, to bring it up to date before it counts
    swap      what was loaded takes the place of what is in use, all at once; the replaced stays aside

A process that is killed leaves either what was in use or what was loaded, never a mix and never nothing. What a cut-off
`load` left behind goes with the next one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from estampe.db import database


class Keeper(Protocol):
    """See the module. `load`, `swap` and `discard` must only be called while no daemon works."""

    @property
    def kind(self) -> str:
        """The kind of database, as backups name it: their copies fit no other."""
        ...

    @property
    def where(self) -> str:
        """The database in words, without a password."""
        ...

    @property
    def members(self) -> tuple[str, ...]:
        """The names of the copies, in their order in a backup."""
        ...

    def is_there(self) -> bool:
        """Whether a daemon has ever been here. Raises: errors.DatabaseUnavailable."""
        ...

    def dump(self, directory: Path) -> None:
        """Write the copies into `directory`, each of one state of its database.

        Raises: errors.DatabaseDamaged where what was read cannot be sound, errors.DatabaseUnavailable, errors.BackupFailed,
        errors.ProgramMissing, errors.ProcessFailed.
        """
        ...

    def load(self, directory: Path) -> None:
        """Lay the copies in `directory` beside what is in use; they may be moved away from there.

        Raises: errors.DatabaseDamaged where a copy is not sound, errors.DatabaseUnavailable, errors.BackupFailed (no space),
        errors.ProgramMissing, errors.ProcessFailed.
        """
        ...

    def open_loaded(self) -> database.Database:
        """The catalogue that was loaded. The caller closes it before `swap`."""
        ...

    def swap(self, label: str) -> str | None:
        """Put what was loaded in the place of what is in use.

        Says where the replaced is now, by `label` (a time, a-z0-9); None where there was nothing.

        Raises: errors.DatabaseUnavailable, errors.BackupFailed.
        """
        ...

    def discard(self) -> None:
        """Throw away what was loaded and not swapped; nothing there is fine."""
        ...

"""Upgrade, backup and restore of an installation's databases, without a daemon."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from estampe import errors
from estampe.db import database, migration, operations, templates
from estampe.db import keeper as keepers
from estampe.maintenance import archive
from estampe.model import operation, template


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgrade:
    """What an upgrade did, or would do."""

    where: str
    was: str | None  # the schema's revision; None where there was no schema
    now: str | None
    steps: tuple[migration.Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A backup that was made."""

    path: Path
    size_bytes: int
    facts: archive.Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restore did."""

    facts: archive.Facts
    replaced: str | None  # where what was in use is now
    revision: str | None
    ended: tuple[uuid.UUID, ...]  # operations that were under way when the backup was made
    dropped: tuple[str, ...]  # templates that those were capturing


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintenance:
    """Of one installation. `directory` is where copies lie for a while: private, with room for the databases."""

    keeper: keepers.Keeper
    open_database: Callable[[], database.Database]
    directory: Path
    version: str  # Estampe's own
    clock: Callable[[], datetime.datetime]

    def plan_upgrade(self) -> Upgrade:
        """What `upgrade` would do; makes and changes nothing. Raises: errors.DatabaseVersionUnsupported."""
        if not self.keeper.is_there():
            steps = migration.steps_after(None, where="")
            return Upgrade(where=self.keeper.where, was=None, now=steps[-1].revision, steps=tuple(steps))
        with contextlib.closing(self.open_database()) as db:
            was = db.revision()
            steps = migration.steps_after(was, where=db.where)
            now = steps[-1].revision if steps else was
            return Upgrade(where=db.where, was=was, now=now, steps=tuple(steps))

    def upgrade(self) -> Upgrade:
        """Bring the catalogue's schema to the newest revision, in one transaction; made where there is none.

        The caller sees to it that no daemon works. Raises: errors.DatabaseVersionUnsupported, errors.DatabaseUnavailable,
        errors.DatabaseInUse.
        """
        planned = self.plan_upgrade()
        with contextlib.closing(self.open_database()) as db, db.alone():
            db.upgrade()
            return Upgrade(where=db.where, was=planned.was, now=db.revision(), steps=planned.steps)

    def backup(self, path: Path) -> Backup:
        """A new file with all of the databases, of one moment each. A daemon may work meanwhile.

        Raises: errors.NameInUse, errors.BackupFailed, errors.DatabaseDamaged, errors.DatabaseUnavailable.
        """
        revision = self._revision()
        if path.exists():  # said before the work; `archive.write` looks again
            raise errors.NameInUse(name=str(path), what="another file")
        if not path.parent.is_dir():
            raise errors.BackupFailed(action="write", path=str(path), detail="its folder is not there")
        with self._scratch(beside=path.parent) as scratch:
            self.keeper.dump(scratch)
            facts = archive.Facts(
                kind=self.keeper.kind,
                estampe_version=self.version,
                revision=revision,
                created_at=self.clock(),
                members=self.keeper.members,
            )
            return Backup(path=path, size_bytes=archive.write(path, facts, scratch), facts=facts)

    def _revision(self) -> str:
        if self.keeper.is_there():
            with contextlib.closing(self.open_database()) as db:
                revision = db.revision()
                if revision is not None:
                    return revision
        raise errors.DatabaseUnavailable(
            where=self.keeper.where, detail="there is nothing in it yet; the daemon makes it"
        )

    def examine(self, path: Path) -> archive.Facts:
        """What a backup says of itself, if it may be restored here.

        Raises: errors.BackupNotFound, errors.BackupCorrupt, errors.BackupVersionUnsupported, errors.BackupKindMismatch,
        errors.DatabaseVersionUnsupported.
        """
        facts = archive.read_facts(path)
        if facts.kind != self.keeper.kind:
            raise errors.BackupKindMismatch(path=str(path), kind=facts.kind, wanted=self.keeper.kind)
        migration.steps_after(facts.revision, where=str(path))
        return facts

    def restore(self, path: Path) -> Restored:
        """Put a backup's databases in the place of those in use, which stay aside. The caller sees to it that no daemon works.

        Until everything is verified, loaded and up to date, nothing of what is in use is touched. Operations that were under
        way when the backup was made are ended, since the world has gone on without their records: a deploy that went on
        would write into the volumes of a server that runs by now.

        Raises: as `examine`; errors.DatabaseDamaged, errors.DatabaseInUse, errors.DatabaseUnavailable, errors.BackupFailed.
        """
        self.examine(path)
        with self._scratch(beside=self.directory) as scratch, self._alone():
            facts = archive.extract(path, scratch)
            try:
                self.keeper.load(scratch)
                restored = self._prepare(facts)
                replaced = self.keeper.swap(self.clock().strftime("%Y%m%dt%H%M%Sz"))
            finally:
                self.keeper.discard()
        return dataclasses.replace(restored, replaced=replaced)

    def _prepare(self, facts: archive.Facts) -> Restored:
        with contextlib.closing(self.keeper.open_loaded()) as db:
            db.upgrade()
            dropped = _drop_captured(templates.Templates(db))
            ended = _end_operations(operations.Operations(db), at=self.clock())
            return Restored(facts=facts, replaced=None, revision=db.revision(), ended=ended, dropped=dropped)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """No daemon on another host works with the database. One that is not there, or is damaged, has none."""
        if not self.keeper.is_there():
            yield
            return
        with contextlib.closing(self.open_database()) as db, db.alone():
            yield

    @contextlib.contextmanager
    def _scratch(self, *, beside: Path) -> Iterator[Path]:
        try:
            made = tempfile.TemporaryDirectory(prefix=".estampe-", dir=beside)
        except OSError as error:
            raise errors.BackupFailed(action="write in", path=str(beside), detail=error.strerror) from error
        with made as folder:
            yield Path(folder)


def _end_operations(rows: operations.Operations, *, at: datetime.datetime) -> tuple[uuid.UUID, ...]:
    ended = []
    for row in rows.list_unfinished():
        record = errors.OperationNotRestored(operation=str(row.id)).to_record()
        rows.finish(row.id, operation.State.FAILED, error=record, at=at)
        ended.append(row.id)
    return tuple(ended)


def _drop_captured(rows: templates.Templates) -> tuple[str, ...]:
    """Templates that were being captured never became whole: as the undo of their captures would."""
    dropped = []
    for row in rows.list_in_state(template.State.CAPTURING):
        rows.begin_delete(row.id)
        rows.remove(row.id)
        dropped.append(f"{row.name}@{row.version}")
    return tuple(dropped)

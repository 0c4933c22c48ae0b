"""The file of a backup: a plain tar archive that says what it is and proves itself. Bytes: docs/format.md.

    backup.json       what this is: format, version, kind of database, who made it and when
    <members>         the databases' copies, as their keeper names them
    SHA256SUMS        of all before it, as sha256sum(1) writes and checks them; without it the archive is not whole

No member is larger than its database, so none is held in memory.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import io
import json
import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn, Self

from estampe import durability, errors

FORMAT: Final = "estampe-backup"
VERSION: Final = 1
_FACTS: Final = "backup.json"
_SUMS: Final = "SHA256SUMS"
_SMALL_BYTES: Final = 64 * 1024  # of the two above
_BLOCK_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a backup says of itself."""

    kind: str  # of database: SQLite, PostgreSQL
    estampe_version: str
    revision: str  # the catalogue's schema
    created_at: datetime.datetime
    members: tuple[str, ...]

    def to_json(self) -> bytes:
        """backup.json."""
        record = {
            "format": FORMAT,
            "version": VERSION,
            "kind": self.kind,
            "estampe_version": self.estampe_version,
            "revision": self.revision,
            "created_at": self.created_at.isoformat(timespec="seconds"),
            "members": list(self.members),
        }
        return json.dumps(record, indent=2).encode() + b"\n"

    @classmethod
    def from_json(cls, data: bytes, *, path: Path) -> Self:
        """Raises: errors.BackupCorrupt, errors.BackupVersionUnsupported."""
        try:
            record: dict[str, Any] = json.loads(data)
            if record["format"] != FORMAT:
                _corrupt(path, "it is no backup of Estampe")
            if record["version"] != VERSION:
                raise errors.BackupVersionUnsupported(path=str(path), version=record["version"], supported=VERSION)
            return cls(
                kind=str(record["kind"]),
                estampe_version=str(record["estampe_version"]),
                revision=str(record["revision"]),
                created_at=datetime.datetime.fromisoformat(record["created_at"]),
                members=tuple(str(name) for name in record["members"]),
            )
        except (ValueError, KeyError, TypeError) as error:
            raise errors.BackupCorrupt(path=str(path), detail=f"{_FACTS} cannot be read") from error


def write(path: Path, facts: Facts, directory: Path) -> int:
    """Put the members in `directory` into a new file; its size in bytes. Durable, and there only when it is whole.

    Raises: errors.NameInUse, errors.BackupFailed.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.new")
    with _failures("write", path):
        try:
            with _create(draft) as stream:
                _write(stream, facts, directory)
                stream.flush()
                os.fsync(stream.fileno())
            _publish(draft, path)
        finally:
            draft.unlink(missing_ok=True)
        durability.sync_directory(path.parent)
        return path.stat().st_size


def read_facts(path: Path) -> Facts:
    """What the backup says of itself. Raises: errors.BackupNotFound, errors.BackupCorrupt, errors.BackupVersionUnsupported."""
    with _opened(path) as archive:
        return _first(archive, path)[0]


def extract(path: Path, directory: Path) -> Facts:
    """Verify every byte, and put the members into `directory`, readable by their owner only.

    Raises: as `read_facts`; errors.BackupFailed where there is no space.
    """
    with _opened(path) as archive:
        facts, digest = _first(archive, path)
        found = {_FACTS: digest}
        for name in facts.members:
            found[name] = _extract(archive, name, directory / name, path)
        sums = _small(archive, _SUMS, path)
        if archive.next() is not None:
            _corrupt(path, "something follows its checksums")
    if sums != _sums(found):
        _corrupt(path, "its bytes do not have the checksums that it says")
    return facts


def _write(stream: BinaryIO, facts: Facts, directory: Path) -> None:
    described = facts.to_json()
    digests = {_FACTS: hashlib.sha256(described).hexdigest()}
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        _add(archive, _FACTS, len(described), facts.created_at, io.BytesIO(described))
        for name in facts.members:
            member = directory / name
            digests[name] = _digest(member)
            with member.open("rb") as data:
                _add(archive, name, member.stat().st_size, facts.created_at, data)
        sums = _sums(digests)
        _add(archive, _SUMS, len(sums), facts.created_at, io.BytesIO(sums))


def _add(archive: tarfile.TarFile, name: str, size: int, at: datetime.datetime, data: Any) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = size, int(at.timestamp()), 0o600
    archive.addfile(info, data)


def _sums(digests: dict[str, str]) -> bytes:
    return "".join(f"{digest}  {name}\n" for name, digest in digests.items()).encode()


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _first(archive: tarfile.TarFile, path: Path) -> tuple[Facts, str]:
    data = _small(archive, _FACTS, path)
    facts = Facts.from_json(data, path=path)
    if any("/" in name or name in {"", ".", "..", _FACTS, _SUMS} for name in facts.members):
        _corrupt(path, f"{_FACTS} names a member that cannot be")
    return facts, hashlib.sha256(data).hexdigest()


def _small(archive: tarfile.TarFile, name: str, path: Path) -> bytes:
    info = _next(archive, name, path)
    if info.size > _SMALL_BYTES:
        _corrupt(path, f"{name} is too large")
    data = archive.extractfile(info)
    return b"" if data is None else data.read()


def _extract(archive: tarfile.TarFile, name: str, target: Path, path: Path) -> str:
    source = archive.extractfile(_next(archive, name, path))
    digest = hashlib.sha256()
    with _failures("unpack into", target), _create(target) as stream:
        while source is not None and (block := _read(source, path)):
            digest.update(block)
            stream.write(block)
    return digest.hexdigest()


def _read(source: Any, path: Path) -> bytes:
    try:
        return bytes(source.read(_BLOCK_BYTES))
    except (tarfile.TarError, EOFError) as error:
        raise errors.BackupCorrupt(path=str(path), detail=str(error)) from error


def _next(archive: tarfile.TarFile, name: str, path: Path) -> tarfile.TarInfo:
    """The next member, which must have that name and be a file: nothing is unpacked by a name that the archive chose."""
    info = archive.next()
    if info is None:
        _corrupt(path, f"it ends before {name}")
    if info.name != name or not info.isreg():
        _corrupt(path, f"it has something else where {name} should be")
    return info


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with path.open("rb") as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
            yield archive
    except OSError as error:
        raise errors.BackupNotFound(path=str(path), detail=error.strerror or str(error)) from error
    except (tarfile.TarError, EOFError, UnicodeError) as error:
        raise errors.BackupCorrupt(path=str(path), detail=f"it is no whole archive ({error})") from error


def _corrupt(path: Path, detail: str) -> NoReturn:
    raise errors.BackupCorrupt(path=str(path), detail=detail)


def _publish(draft: Path, path: Path) -> None:
    """A name for the whole file, unless it is taken: a backup is never written over. Raises: errors.NameInUse."""
    try:
        os.link(draft, path)
    except FileExistsError as error:
        raise errors.NameInUse(name=str(path), what="another file") from error


def _create(path: Path) -> BinaryIO:
    """A new file, readable by its owner only."""
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w+b")


@contextlib.contextmanager
def _failures(action: str, path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise errors.BackupFailed(action=action, path=str(path), detail=error.strerror or str(error)) from error

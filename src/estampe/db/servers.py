"""Servers in the database: who owns a domain, and where it came from."""

from __future__ import annotations

import dataclasses
import datetime
import uuid
from collections.abc import Callable, Sequence

import sqlalchemy as sa

from estampe import errors
from estampe.db import database, schema
from estampe.model import server

_table = schema.servers


class Servers:
    """The servers that Estampe has met. Domains come and go in libvirt without its knowledge."""

    def __init__(
        self,
        db: database.Database,
        *,
        clock: Callable[[], datetime.datetime],
        new_id: Callable[[], uuid.UUID] = uuid.uuid4,
    ) -> None:
        self._db = db
        self._clock = clock
        self._new_id = new_id

    def ensure(self, *, owner_id: uuid.UUID, domain_uuid: uuid.UUID, name: str) -> server.Server:
        """The server of a domain: made, for `owner_id`, where the domain is first seen; renamed where it was renamed.

        A domain met before keeps its owner.
        """
        found = self.find_by_domain(domain_uuid)  # mostly it is there, and a reader waits for nobody
        if found is not None and found.name == name:
            return found
        with self._db.write() as connection:
            found = _find(connection, _table.c.domain_uuid == domain_uuid)
            if found is None:
                found = server.Server(
                    id=self._new_id(), owner_id=owner_id, domain_uuid=domain_uuid, name=name, template_id=None,
                    created_at=self._clock(),
                )  # fmt: skip
                connection.execute(sa.insert(_table).values(dataclasses.asdict(found)))
            elif found.name != name:
                connection.execute(sa.update(_table).where(_table.c.id == found.id).values(name=name))
                found = dataclasses.replace(found, name=name)
            return found

    def add(self, new: server.Server) -> server.Server:
        """Keep a server that Estampe made; the same one again is fine (a repeated step).

        A domain that `ensure` met first keeps the id it got there, and gets the owner and the origin of `new`.
        """
        with self._db.write() as connection:
            found = _find(connection, _table.c.domain_uuid == new.domain_uuid)
            if found is None:
                connection.execute(sa.insert(_table).values(dataclasses.asdict(new)))
                return new
            kept = dataclasses.replace(new, id=found.id, created_at=found.created_at)
            connection.execute(sa.update(_table).where(_table.c.id == found.id).values(dataclasses.asdict(kept)))
            return kept

    def assign(self, server_id: uuid.UUID, owner_id: uuid.UUID) -> server.Server:
        """Give it to an account. Raises: errors.ServerNotFound."""
        with self._db.write() as connection:
            query = sa.update(_table).where(_table.c.id == server_id).values(owner_id=owner_id)
            connection.execute(query)
            found = _find(connection, _table.c.id == server_id)
        if found is None:
            raise errors.ServerNotFound(server=str(server_id))
        return found

    def measure(self, sizes: Sequence[server.Size]) -> None:
        """Keep what the host says of servers; one that is gone by now is passed over."""
        with self._db.write() as connection:
            for size in sizes:
                values = {
                    "cpus": size.cpus, "memory_bytes": size.memory_bytes, "volume_bytes": size.volume_bytes,
                }  # fmt: skip
                connection.execute(sa.update(_table).where(_table.c.id == size.server_id).values(values))

    def get(self, server_id: uuid.UUID) -> server.Server:
        """Raises: errors.ServerNotFound."""
        with self._db.read() as connection:
            found = _find(connection, _table.c.id == server_id)
        if found is None:
            raise errors.ServerNotFound(server=str(server_id))
        return found

    def find_by_domain(self, domain_uuid: uuid.UUID) -> server.Server | None:
        """The server of a libvirt domain, if Estampe has met it."""
        with self._db.read() as connection:
            return _find(connection, _table.c.domain_uuid == domain_uuid)

    def remove(self, server_id: uuid.UUID) -> bool:
        """Forget it; True when it was there."""
        query = sa.delete(_table).where(_table.c.id == server_id).returning(_table.c.id)
        with self._db.write() as connection:
            return connection.execute(query).one_or_none() is not None

    def list(self, owner_id: uuid.UUID | None = None) -> list[server.Server]:
        """All, or one account's, by name."""
        query = sa.select(_table).order_by(_table.c.name, _table.c.id)
        if owner_id is not None:
            query = query.where(_table.c.owner_id == owner_id)
        with self._db.read() as connection:
            return [_server(row) for row in connection.execute(query)]


def _find(connection: sa.Connection, condition: sa.ColumnElement[bool]) -> server.Server | None:
    row = connection.execute(sa.select(_table).where(condition)).one_or_none()
    return None if row is None else _server(row)


def _server(row: sa.Row[tuple[object, ...]]) -> server.Server:
    return server.Server(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for a row as a mapping

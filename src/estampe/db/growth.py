"""Samples of the store in the database."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Collection, Sequence

import sqlalchemy as sa

from estampe.db import database, schema
from estampe.model import growth

_table = schema.store_samples


class Samples:
    """Of one store, by their moments."""

    def __init__(self, db: database.Database) -> None:
        self._db = db

    def add(self, sample: growth.Sample) -> None:
        """Keep it, in place of one of the same moment."""
        with self._db.write() as connection:
            connection.execute(sa.delete(_table).where(_table.c.at == sample.at))
            connection.execute(sa.insert(_table).values(dataclasses.asdict(sample)))

    def find_last(self) -> datetime.datetime | None:
        """The moment of the newest; None where there is none."""
        with self._db.read() as connection:
            # Not max(at): SQLite gives a function's result as it stores it, without the column's type.
            query = sa.select(_table.c.at).order_by(_table.c.at.desc()).limit(1)
            return connection.execute(query).scalars().one_or_none()

    def moments(self) -> Sequence[datetime.datetime]:
        """Of all samples, the oldest first."""
        with self._db.read() as connection:
            return connection.execute(sa.select(_table.c.at).order_by(_table.c.at)).scalars().all()

    def list(self, *, since: datetime.datetime) -> Sequence[growth.Sample]:
        """Those from then on, the oldest first."""
        query = sa.select(_table).where(_table.c.at >= since).order_by(_table.c.at)
        with self._db.read() as connection:
            return [growth.Sample(**row) for row in connection.execute(query).mappings()]

    def remove(self, moments: Collection[datetime.datetime]) -> None:
        """Drop those of these moments; what is not there is fine."""
        with self._db.write() as connection:
            for at in moments:
                connection.execute(sa.delete(_table).where(_table.c.at == at))

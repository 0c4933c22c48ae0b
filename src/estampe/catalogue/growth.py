"""How the store grows: counted from time to time, unasked, and kept."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from estampe import errors
from estampe.db import growth as rows
from estampe.model import growth as model
from estampe.store import base as stores
from estampe.store import usage

INTERVAL_SECONDS: Final = 3600.0
# After the daemon's start, not at it: a count reads every manifest, and nobody waits for it.
FIRST_SECONDS: Final = 30.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowthService:
    """Samples of what the store holds. A kill between a count and its row loses that sample, no more."""

    store: stores.Store
    rows: rows.Samples
    now: Callable[[], datetime.datetime]

    def sample(self) -> None:
        """Count where it is time to, and thin out what is old. What fails is left to the next time."""
        try:
            if model.is_due(self.rows.find_last(), self.now()):
                self._count()
        except errors.EstampeError:
            _log.exception("the store could not be counted; it is tried again")

    def history(self, *, days: int) -> Sequence[model.Sample]:
        """The samples of so many days until now, the oldest first."""
        return self.rows.list(since=self.now() - datetime.timedelta(days=days))

    def _count(self) -> None:
        counted, at = usage.usage(self.store), self.now()
        self.rows.add(
            model.Sample(
                at=at,
                templates=len(counted.templates),
                logical_bytes=counted.logical_bytes,
                data_bytes=counted.data_bytes,
                distinct_bytes=counted.distinct_bytes,
                stored_bytes=counted.stored_bytes,
                orphan_bytes=counted.orphan_bytes,
                chunks=counted.chunks,
                available_bytes=counted.available_bytes,
            )
        )
        self.rows.remove(model.superfluous(self.rows.moments(), at))

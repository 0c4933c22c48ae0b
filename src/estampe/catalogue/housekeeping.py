"""What is done to the catalogue at the daemon's start and from time to time, unasked: the trash and the retention rules."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Final

from estampe import errors
from estampe.catalogue import life, retention

INTERVAL_SECONDS: Final = 3600.0  # terms are days: an hour late is soon enough, and a round costs two small queries
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Housekeeping:
    """One round after the other."""

    life: life.LifeService
    retention: retention.RetentionService

    def tend(self) -> None:
        """One round. What fails, because the store or the database does not answer, is left to the next one."""
        for duty in (self.life.finish_purges, self.life.purge_due, self.retention.apply_all):
            try:
                duty()
            except errors.EstampeError:
                _log.exception("housekeeping of the catalogue failed; it is tried again")

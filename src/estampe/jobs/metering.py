"""Counting what operations do, for whoever watches the daemon."""

from __future__ import annotations

from typing import Final, Protocol

from estampe.model import operation


class Meter(Protocol):
    """Told by the threads of operations, often and at once: it must be quick, and must not fail."""

    def advanced(self, kind: operation.Kind, done_bytes: int) -> None:
        """So many bytes of volumes were read, written or verified."""

    def ended(self, ended: operation.Operation) -> None:
        """An operation has ended. After a crash in between it may be told again, or never: it is no bookkeeping."""


class _Nobody:
    """A meter where nobody watches."""

    def advanced(self, kind: operation.Kind, done_bytes: int) -> None:
        pass

    def ended(self, ended: operation.Operation) -> None:
        pass


NOBODY: Final = _Nobody()

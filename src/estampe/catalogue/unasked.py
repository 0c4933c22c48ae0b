"""What happens to templates unasked, told to whoever keeps the audit log: there is no request that would be recorded."""

from __future__ import annotations

import uuid
from typing import Protocol


class Recorder(Protocol):
    """Keeps what was done; never raises, since it was done."""

    def __call__(self, owner_id: uuid.UUID, *, action: str, subject: str) -> None:
        """`action` is the operation id of the route by which people do the same."""

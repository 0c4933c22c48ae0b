"""Where work comes from: the request that began it, and the operation it belongs to.

Both are context variables, so that neither every service nor every line of a log has to hand them on. Threads of an
event loop's pool inherit them; a thread made by hand does so by `contextvars.copy_context`.
"""

from __future__ import annotations

import contextlib
import contextvars
import uuid
from collections.abc import Iterator

import structlog

_planned: contextvars.ContextVar[uuid.UUID | None] = contextvars.ContextVar("planned_operation", default=None)


@contextlib.contextmanager
def bound(**values: str | None) -> Iterator[None]:
    """Every line logged inside carries `values`, those that are None left out."""
    with structlog.contextvars.bound_contextvars(
        **{name: value for name, value in values.items() if value is not None}
    ):
        yield


def request_id() -> str | None:
    """Of the request that is being answered here, or whose operation runs here."""
    found = structlog.contextvars.get_contextvars().get("request_id")
    return None if found is None else str(found)


@contextlib.contextmanager
def planned(operation_id: uuid.UUID) -> Iterator[None]:
    """The operation that is begun inside gets this id: decided and kept beforehand, so that a repetition finds it."""
    token = _planned.set(operation_id)
    try:
        yield
    finally:
        _planned.reset(token)


def planned_operation_id() -> uuid.UUID | None:
    """Of the operation that is begun here, where it was decided."""
    return _planned.get()

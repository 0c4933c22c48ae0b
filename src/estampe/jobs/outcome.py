"""The outcome of a step as it is recorded: `{"value": ...}` or `{"error": record}`, in JSON.

Both engines record outcomes, errors included, as plain values: a database of exceptions would tie its rows to classes.
"""

from __future__ import annotations

import errno
import json
import logging
from collections.abc import Callable
from typing import Any

from estampe import errors

_log = logging.getLogger(__name__)


def of(name: str, step: Callable[[], Any]) -> dict[str, Any]:
    """Run `step` and give its outcome. What is not an Exception (an interrupt, an exit) passes through."""
    try:
        value = step()
        return {"value": json.loads(json.dumps(value, allow_nan=False))}
    except errors.EstampeError as error:
        return {"error": error.to_record()}
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            return _defect(name, error)
        where = str(error.filename or "the working files")  # a full disk is nobody's defect
        return {"error": errors.NoSpace(where=where, needed="more space", available="none").to_record()}
    except Exception as error:  # noqa: BLE001 - the edge of a step
        return _defect(name, error)


def _defect(name: str, error: Exception) -> dict[str, Any]:
    _log.error("step %r failed by a defect of Estampe", name, exc_info=error)
    return {"error": errors.EstampeError(detail=f"{type(error).__name__}: {error}").to_record()}


def unwrap(outcome: dict[str, Any]) -> Any:
    """The value, or the error raised."""
    if "error" in outcome:
        raise errors.from_record(outcome["error"])
    return outcome["value"]

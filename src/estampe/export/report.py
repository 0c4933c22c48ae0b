"""How the plugin tells its launcher about a failed read: one line on standard error among nbdkit's own."""

from __future__ import annotations

import json
from typing import Final

from estampe import errors

_MARK: Final = "estampe-export-error "


def line(error: errors.EstampeError) -> str:
    """The line, newline included."""
    return f"{_MARK}{json.dumps(error.to_record())}\n"


def find_error(text: str) -> errors.EstampeError | None:
    """The error that `line` wrote into `text`, or None where it is another line."""
    return errors.from_record(json.loads(text[len(_MARK) :])) if text.startswith(_MARK) else None

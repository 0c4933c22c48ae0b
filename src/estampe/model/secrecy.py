"""What of an operation's request is nobody's to read: shown to nobody, and kept no longer than the operation needs it."""

from __future__ import annotations

import re
from typing import Any, Final

_PASSWORDS: Final = frozenset({"password_hash", "admin_password"})  # of which not even the length is told
_TEXTS: Final = frozenset({"user_data", "commands"})  # which people put passwords into
_HIDDEN: Final = re.compile(r"\(\d+ characters\)")


def hide(request: Any) -> Any:
    """The request, JSON, with words in place of what is secret, found at any depth. Hidden again, it stays as it is."""
    if isinstance(request, list):
        return [hide(each) for each in request]
    if not isinstance(request, dict):
        return request
    return {key: _hidden(key, value) for key, value in request.items()}


def _hidden(key: str, value: Any) -> Any:
    if key in _PASSWORDS:
        return None if value is None else "(not shown)"
    if key not in _TEXTS:
        return hide(value)
    if isinstance(value, list):
        return [_hidden(key, each) for each in value]
    if value is None or _HIDDEN.fullmatch(str(value)):
        return value
    return f"({len(str(value))} characters)"

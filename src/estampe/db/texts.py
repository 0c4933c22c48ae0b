"""Which texts both databases keep."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from estampe import errors


def is_kept(text: str) -> bool:
    """Not with a NUL, which PostgreSQL refuses, nor with half of a surrogate pair, which has no UTF-8 form."""
    return "\0" not in text and (text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text))


def watch(engine: sa.Engine) -> None:
    """Refuse what is not kept, before the one database takes it and the other fails. Then: errors.InvalidRequest."""

    def look(
        _connection: sa.Connection, _cursor: object, _statement: str, parameters: Any, _context: object, is_many: bool
    ) -> None:
        for row in parameters if is_many else (parameters,):
            for value in row.values() if isinstance(row, dict) else row:
                if isinstance(value, str) and not is_kept(value):
                    raise errors.InvalidRequest(
                        field="text", problem="must hold no NUL and no half of a surrogate pair"
                    )

    sa.event.listen(engine, "before_cursor_execute", look)

"""The daemon's log: one line an event, on standard error, as logfmt or JSON; our lines and the libraries' alike."""

from __future__ import annotations

import logging
import sys
from typing import IO, Any, Final, Literal

import structlog

Format = Literal["logfmt", "json"]
_FIRST: Final = ["timestamp", "level", "event", "request_id", "operation_id", "logger"]


def configure(level: str, form: Format, *, stream: IO[str] | None = None) -> None:
    """Send everything of `level` and above to `stream` (standard error), with what `correlation.bound` binds."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _renderer(form),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    logging.getLogger("alembic").setLevel(logging.WARNING)  # ten lines at each start that tell nobody anything
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


def _renderer(form: Format) -> structlog.typing.Processor:
    if form == "json":
        return structlog.processors.JSONRenderer(default=str)
    # The names of libraries' fields are theirs: the renderer refuses one with a space in it, and a log must not fail.
    return structlog.processors.LogfmtRenderer(key_order=_FIRST, drop_missing=True, bool_as_flag=False)

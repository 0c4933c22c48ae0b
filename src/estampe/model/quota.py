"""Quotas: how much an account may have, how much it has, and the refusal that names the figure."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final

from estampe import errors, units

_BYTES: Final = ("stored_bytes", "memory_bytes", "volume_bytes")
_WORDS: Final = {
    "templates": "templates", "stored_bytes": "stored bytes", "servers": "servers", "cpus": "CPUs",
    "memory_bytes": "memory", "volume_bytes": "volume bytes",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """The most that an account may have; None: as much as there is."""

    templates: int | None = None
    stored_bytes: int | None = None
    servers: int | None = None
    cpus: int | None = None
    memory_bytes: int | None = None
    volume_bytes: int | None = None

    @property
    def is_limited(self) -> bool:
        """Whether there is any limit."""
        return any(value is not None for value in dataclasses.astuple(self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Amount:
    """Of each thing that is counted: what an account has, or what an operation asks for.

    `stored_bytes` are those that the account's captures added to the store (`new_bytes` of its templates). What a capture
    will add is not known when it begins, so it asks for none: one that begins below the limit may end above it, and the
    next is refused. CPUs, memory and volume bytes are those of the account's servers, running or not.
    """

    templates: int = 0
    stored_bytes: int = 0
    servers: int = 0
    cpus: int = 0
    memory_bytes: int = 0
    volume_bytes: int = 0

    def __add__(self, other: Amount) -> Amount:
        mine, others = dataclasses.astuple(self), dataclasses.astuple(other)
        return Amount(**dict(zip(NAMES, (a + b for a, b in zip(mine, others, strict=True)), strict=True)))


NAMES: Final = tuple(field.name for field in dataclasses.fields(Amount))


def check(quota: Quota, *, used: Amount, asked: Amount) -> None:
    """Raises: errors.QuotaExceeded, for the first thing of which there would be too much.

    What is not asked for is not looked at, so that an account above a lowered limit can still do the rest; but a template
    needs room for its bytes, though it cannot say how many.
    """
    for name in NAMES:
        limit, has, wants = (getattr(each, name) for each in (quota, used, asked))
        is_unsized = name == "stored_bytes" and asked.templates > 0
        if limit is None or not (wants or is_unsized):
            continue
        if has + wants > limit or (is_unsized and has >= limit):
            raise errors.QuotaExceeded(
                what=_WORDS[name], limit=_figure(name, limit), used=_figure(name, has), asked=_figure(name, wants)
            )


def _figure(name: str, value: int) -> str | int:
    return units.format_bytes(value) if name in _BYTES else value

"""The store."""

from __future__ import annotations

import uuid
from typing import Annotated

import pydantic

from estampe.schemas import wire


class CheckRequest(wire.Request):
    """How much to verify: the share of the chunks, 1 for all of them."""

    sample: Annotated[float, pydantic.Field(gt=0, le=1, allow_inf_nan=False)] = 1.0


class SweepRequest(wire.Request):
    """What to sweep; without a grace the configured one holds."""

    is_dry_run: bool = False
    grace_seconds: Annotated[float, pydantic.Field(ge=0, le=366 * 86_400, allow_inf_nan=False)] | None = None


class TemplateUsage(wire.Answer):
    """What one template takes."""

    template_id: uuid.UUID
    name: str
    version: int
    logical_bytes: int
    data_bytes: int
    stored_bytes: int
    unique_bytes: int


class TemplateSpace(wire.Answer):
    """What a template takes of the store: `unique_bytes` of `stored_bytes` are needed by no other template."""

    logical_bytes: int
    data_bytes: int
    stored_bytes: int
    unique_bytes: int


class Unreadable(wire.Answer):
    """A manifest that cannot be read, and why."""

    template_id: uuid.UUID
    error: Annotated[str, pydantic.BeforeValidator(str)]


class Usage(wire.Answer):
    """What the store holds. Deduplication saves `data_bytes - distinct_bytes`, compression what `stored_bytes` lacks."""

    logical_bytes: int
    data_bytes: int
    distinct_bytes: int
    stored_bytes: int
    orphan_bytes: int
    chunks: int
    available_bytes: int | None
    templates: list[TemplateUsage]
    unreadable: list[Unreadable]

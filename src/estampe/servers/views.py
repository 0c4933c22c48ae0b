"""Servers as the faces show them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from estampe.model import configuration, final, power


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerView:
    """A server in a list."""

    id: uuid.UUID
    name: str
    domain_uuid: uuid.UUID
    power_state: power.PowerState
    cpus: int
    memory_bytes: int
    is_persistent: bool
    template: str | None  # the template it was deployed from, as a reference: web@3, with what became of it
    busy_operation: uuid.UUID | None  # the operation that holds it
    template_id: uuid.UUID | None = None  # the same template's id


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """A server of any account that came from a template: `scope` is by which way its account saw it, None where it is its own."""

    owner_id: uuid.UUID
    scope: str | None
    server: ServerView


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerDetail:
    """A server with all that is known of it."""

    summary: ServerView
    configuration: configuration.Configuration | None  # None where it cannot be read: `problem` says why
    addresses: tuple[str, ...]  # with prefix; empty where nobody can tell
    problem: str | None  # why it cannot be captured
    report: tuple[final.Change, ...] | None = None  # what its deploy changed and left

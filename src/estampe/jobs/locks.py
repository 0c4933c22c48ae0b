"""The names of what operations hold: one place, so that two faces of one thing cannot miss each other."""

from __future__ import annotations

import uuid

from estampe.db import operations as operation_rows


def server(domain_uuid: str) -> str:
    """An existing server."""
    return f"server/{domain_uuid}"


def server_name(name: str) -> str:
    """A name that a deploy is about to take."""
    return f"server-name/{name}"


def template(template_id: uuid.UUID) -> str:
    """A template that a deploy reads."""
    return f"template/{template_id}"


def find_server_holder(rows: operation_rows.Operations, *, domain_uuid: str, name: str) -> uuid.UUID | None:
    """The unfinished operation that works on the server, or is still making it: a deploy holds names, since it decides UUIDs later."""
    return find_holder(rows, server(domain_uuid)) or find_holder(rows, server_name(name))


def templates_in_use(rows: operation_rows.Operations) -> dict[uuid.UUID, uuid.UUID]:
    """The templates that unfinished operations read, with one of those each."""
    prefix = "template/"
    return {uuid.UUID(held.key.removeprefix(prefix)): held.operation_id for held in rows.locks_held(prefix)}


STORE = "store"  # a sweep


def find_holder(rows: operation_rows.Operations, key: str) -> uuid.UUID | None:
    """The unfinished operation that holds `key`."""
    return next((held.operation_id for held in rows.locks_held(key) if held.key == key), None)

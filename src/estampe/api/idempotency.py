"""Creates that may be repeated: one key, one operation, one answer.

    claim the key ─ plan the operation's id ─ begin it under that id ─ keep the answer

A daemon that is killed anywhere in between leaves a claimed key. Whether its operation was begun, the operation's row
tells, since its id was kept with the claim: if so, it is the answer, if not, the request runs (again). Errors are not kept:
what failed has begun nothing, and the same request may well succeed later.

All of it is behind the gate, and a key is an account's: whoever may not begin the operation does not see that it was begun,
and the same key of another account is another key.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Final

import fastapi

from estampe import correlation, errors
from estampe.api import dependencies as given
from estampe.api import gate
from estampe.api import services as ports
from estampe.db import idempotency as keys
from estampe.model import operation as operations
from estampe.schemas import operation, wire

LIFETIME: Final = datetime.timedelta(hours=24)
REPLAYED_HEADER: Final = "Idempotency-Replayed"
_PATIENCE_SECONDS: Final = 30.0  # of a repetition with the first request; a plan of a large server takes seconds


class Turns:
    """Lets requests of one key through one after the other."""

    def __init__(self, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        self._patience_seconds = patience_seconds
        self._taken: set[tuple[uuid.UUID, str]] = set()
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def take(self, owner_id: uuid.UUID, key: str) -> Iterator[None]:
        """Hold the key; waits for who holds it. Raises: errors.RequestInProgress."""
        mine = (owner_id, key)
        with self._changed:
            if not self._changed.wait_for(lambda: mine not in self._taken, self._patience_seconds):
                raise errors.RequestInProgress(key=key)
            self._taken.add(mine)
        try:
            yield
        finally:
            with self._changed:
                self._taken.discard(mine)
                self._changed.notify_all()


@dataclass(frozen=True, slots=True, kw_only=True)
class Once:
    """The create of one request."""

    services: ports.Services
    turns: Turns
    trail: gate.Trail
    owner_id: uuid.UUID
    path: str
    key: str | None

    def begin(self, request: wire.Request, start: Callable[[], operations.Operation]) -> fastapi.Response:
        """The answer to `request`: of `start`, or what it was answered before under the same key.

        Raises: errors.IdempotencyKeyReused, errors.RequestInProgress, what `start` raises.
        """
        if self.key is None:
            return _respond(_render(start()))
        with self.turns.take(self.owner_id, self.key):
            claim = self._claim(self.key, request)
            if claim.answer is not None:
                return self._replay(claim.answer)
            begun = None if claim.is_new else self._find(claim.operation_id)
            answer = _render(begun or self._start(self.key, claim.operation_id, start))
            self.services.idempotency.keep(self.owner_id, self.key, answer)
            return _respond(answer) if begun is None else self._replay(answer)

    def _replay(self, answer: str) -> fastapi.Response:
        """The audit log tells that nothing was begun a second time."""
        self.trail.subject += " (repeated)"
        return _respond(answer, is_replayed=True)

    def _claim(self, key: str, request: wire.Request) -> keys.Claim:
        fingerprint = self._fingerprint(request)
        claim = self.services.idempotency.claim(
            self.owner_id,
            key,
            fingerprint=fingerprint,
            operation_id=uuid.uuid4(),
            at=datetime.datetime.now(datetime.UTC),
            lifetime=LIFETIME,
        )
        if claim.fingerprint != fingerprint:
            raise errors.IdempotencyKeyReused(key=key)
        return claim

    def _fingerprint(self, request: wire.Request) -> str:
        """By what was asked, not by how it was written: neither the order of fields nor defaults written out count."""
        asked = json.dumps([self.path, request.model_dump(mode="json")], sort_keys=True)
        return hashlib.sha256(asked.encode()).hexdigest()

    def _start(
        self, key: str, operation_id: uuid.UUID, start: Callable[[], operations.Operation]
    ) -> operations.Operation:
        try:
            with correlation.planned(operation_id):
                return start()
        except Exception:
            if self._find(operation_id) is None:
                self.services.idempotency.release(self.owner_id, key)
            raise

    def _find(self, operation_id: uuid.UUID) -> operations.Operation | None:
        try:
            return self.services.operations.get(self.owner_id, str(operation_id))
        except errors.OperationNotFound:
            return None


def get_once(
    request: fastapi.Request,
    services: given.Services,
    owner_id: given.OwnerId,
    trail: given.Trail,
    key: Annotated[
        str | None,
        fastapi.Header(
            alias="Idempotency-Key",
            min_length=1,
            max_length=255,
            pattern="^[!-~]+$",
            description="Any text of your own, new for each create: a repetition within 24 hours gets the first answer.",
        ),
    ] = None,
) -> Once:
    """The create of this request."""
    turns: Turns = request.app.state.turns
    return Once(services=services, turns=turns, trail=trail, owner_id=owner_id, path=request.url.path, key=key)


Create = Annotated[Once, fastapi.Depends(get_once)]


def _render(begun: operations.Operation) -> str:
    return operation.Operation.model_validate(begun).model_dump_json()


def _respond(answer: str, *, is_replayed: bool = False) -> fastapi.Response:
    headers = {REPLAYED_HEADER: "true"} if is_replayed else None
    return fastapi.Response(answer, status_code=202, media_type="application/json", headers=headers)

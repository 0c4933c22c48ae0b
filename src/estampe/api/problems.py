"""The one table from families of errors to HTTP statuses, and the handlers that answer with problem details."""

from __future__ import annotations

import http
import json
import logging
import uuid
from typing import Final

import fastapi
from fastapi import exceptions, responses
from starlette import exceptions as starlette_exceptions

from estampe import errors
from estampe.schemas import problem, wire

# Unsupported is the caller's to solve and stays as it is however often it is asked: a 4xx. Corrupt is ours, and no
# retry helps: 500, not 503.
STATUSES: Final[dict[type[errors.EstampeError], int]] = {
    errors.Invalid: 400,
    errors.Denied: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Cancelled: 409,
    errors.Unsupported: 422,
    errors.Corrupt: 500,
    errors.Unavailable: 503,
    errors.EstampeError: 500,
    # HTTP has words of its own for these two:
    errors.NotSignedIn: 401,
    errors.SignInLocked: 429,
}

_log = logging.getLogger(__name__)


def status_of(error: errors.EstampeError) -> int:
    """The HTTP status of the error's family."""
    return next(STATUSES[family] for family in type(error).__mro__ if family in STATUSES)


def describe(
    error: errors.EstampeError, *, status: int | None = None, request_id: str | None = None
) -> problem.Problem:
    """The error on the wire; `status` only where HTTP itself settles it."""
    status = status or status_of(error)
    record = error.to_record()
    return problem.Problem(
        type=problem.TYPE_PREFIX + error.code,
        title=http.HTTPStatus(status).phrase,
        status=status,
        detail=record["message"],
        code=error.code,
        facts=record["facts"],
        request_id=request_id,
    )


def respond(described: problem.Problem, headers: dict[str, str] | None = None) -> fastapi.Response:
    """The response that carries a problem. ASCII JSON: facts may hold text that has no UTF-8 form (lone surrogates)."""
    content = described.model_dump(exclude_none=True)
    return AsciiJSON(content, status_code=described.status, media_type=problem.MEDIA_TYPE, headers=headers)


class AsciiJSON(responses.Response):
    """JSON with everything outside ASCII escaped."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        """The body's bytes."""
        return json.dumps(content, ensure_ascii=True, separators=(",", ":")).encode()


def install(app: fastapi.FastAPI) -> None:
    """Make every error that leaves an endpoint a problem."""
    app.exception_handler(errors.EstampeError)(_on_estampe_error)
    app.exception_handler(exceptions.RequestValidationError)(_on_invalid)
    app.exception_handler(starlette_exceptions.HTTPException)(_on_http)
    app.exception_handler(Exception)(_on_defect)


def _on_estampe_error(request: fastapi.Request, error: errors.EstampeError) -> fastapi.Response:
    described = describe(error)
    if described.status >= 500:
        _log.warning("%s %s failed: %s", request.method, request.url.path, error, extra={"code": error.code})
    return respond(described, _headers(error))


def _headers(error: errors.EstampeError) -> dict[str, str] | None:
    """What RFC 9110 asks of 401 (section 15.5.2), and RFC 6585 of 429."""
    if isinstance(error, errors.NotSignedIn):
        return {"www-authenticate": "Bearer"}
    if isinstance(error, errors.SignInLocked):
        return {"retry-after": str(error.facts["seconds"])}
    return None


def _on_invalid(_request: fastapi.Request, error: exceptions.RequestValidationError) -> fastapi.Response:
    return respond(describe(wire.invalid_request(list(error.errors()), skip=1)))  # skips "body", "query", "path"


def _on_http(request: fastapi.Request, error: starlette_exceptions.HTTPException) -> fastapi.Response:
    """What Starlette and FastAPI refuse before an endpoint: no such route or method, a body that is not JSON."""
    headers = dict(error.headers or {})
    if error.status_code in {404, 405}:
        known = errors.RouteNotFound(method=request.method, path=request.url.path)
        return respond(describe(known, status=error.status_code), headers)
    return respond(describe(errors.InvalidRequest(field="body", problem=str(error.detail))), headers)


def _on_defect(request: fastapi.Request, error: Exception) -> fastapi.Response:
    """A defect: the log gets everything, the caller an id to find it by and nothing of the inside."""
    request_id = str(uuid.uuid4())
    _log.error(
        "request %s (%s %s) met a defect", request_id, request.method, request.url.path, exc_info=error,
        extra={"request_id": request_id},
    )  # fmt: skip
    detail = f"Estampe met a defect; its log tells more under request {request_id}"
    return respond(describe(errors.EstampeError(detail=detail), request_id=request_id))

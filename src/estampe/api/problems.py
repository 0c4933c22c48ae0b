"""The handlers that answer errors with problem details; the statuses are `schemas.problem`'s."""

from __future__ import annotations

import http
import json
import logging
from typing import Any

import fastapi
from fastapi import exceptions, responses
from starlette import exceptions as starlette_exceptions

from estampe import correlation, errors
from estampe.api import paths
from estampe.schemas import problem, wire

_log = logging.getLogger(__name__)


def answers(*kinds: type[errors.EstampeError]) -> dict[int | str, dict[str, Any]]:
    """What a route's description says of the errors it answers by its own nature; see `description` for the others."""
    found: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        status = problem.status_of(kind)
        told = found.setdefault(status, {"description": ""})
        told["description"] = ", ".join(filter(None, [told["description"], f"`{kind.code}`"]))
    return found


def describe(error: errors.EstampeError, *, status: int | None = None) -> problem.Problem:
    """The error on the wire, of the request that is answered here; `status` only where HTTP itself settles it."""
    status = status or problem.status_of(type(error))
    record = error.to_record()
    return problem.Problem(
        type=problem.TYPE_PREFIX + error.code,
        title=http.HTTPStatus(status).phrase,
        status=status,
        detail=record["message"],
        code=error.code,
        facts=record["facts"],
        request_id=correlation.request_id(),
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
    """Make every error that leaves an endpoint a problem; defects are `request_context`'s, which outlives them."""
    app.exception_handler(errors.EstampeError)(_on_estampe_error)
    app.exception_handler(exceptions.RequestValidationError)(_on_invalid)
    app.exception_handler(starlette_exceptions.HTTPException)(_on_http)


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
    if error.status_code == 405:  # Starlette names the methods of the first route with that path only
        headers["Allow"] = ", ".join(paths.methods(request.app, request.url.path))
    if error.status_code in {404, 405}:
        known = errors.RouteNotFound(method=request.method, path=request.url.path)
        return respond(describe(known, status=error.status_code), headers)
    return respond(describe(errors.InvalidRequest(field="body", problem=str(error.detail))), headers)

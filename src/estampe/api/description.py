"""The API's description, OpenAPI 3.1: what FastAPI derives from routes and shapes, made whole.

Added to it: every error that a route answers, as a problem document; the headers that all answers carry; an example of
every shape. Taken away: FastAPI's own validation error, which Estampe never sends.
"""

from __future__ import annotations

from typing import Any, Final

import fastapi

from estampe.api import examples, idempotency, request_context
from estampe.schemas import problem

TAGS: Final = [
    {"name": "servers", "description": "Virtual servers of the host."},
    {"name": "captures", "description": "From a server to an image template."},
    {"name": "deployments", "description": "From an image template to servers."},
    {"name": "templates", "description": "The catalogue of image templates."},
    {"name": "retention", "description": "Rules that say which versions of templates stay."},
    {"name": "profiles", "description": "Tuned settings that Estampe ships."},
    {"name": "operations", "description": "Long work: captures, deployments, checks and sweeps."},
    {"name": "store", "description": "What the store holds, and looking after it."},
    {"name": "system", "description": "The daemon itself."},
]
_OPEN: Final = {"get_health", "get_readiness"}  # the routes that ask nobody who he is
_GATED: Final = {401: "`unauthenticated`: by TCP nobody can sign in"}
_ANYWHERE: Final = {500: "`internal` and damaged data", 503: "what Estampe stands on does not answer"}
_ASKED: Final = {400: "`invalid-request`"}
_REQUEST_ID: Final = {
    "description": "names the request in the daemon's log; the caller's own where it sent a well-formed one",
    "schema": {"type": "string"},
}
_REPLAYED: Final = {
    "description": "`true` where the answer is that of an earlier request",
    "schema": {"type": "string"},
}
_ETAG: Final = {"description": "names the template as it is now", "schema": {"type": "string"}}
_PROBLEM: Final = {problem.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
_CONDITIONAL: Final = {
    "get_template",
    "edit_template",
    "replace_characteristics",
    "change_characteristics",
    "deprecate_template",
    "disable_template",
    "enable_template",
    "restore_template",
    "protect_template",
    "unprotect_template",
}


def install(app: fastapi.FastAPI) -> None:
    """Let `app` describe itself so."""
    derive = app.openapi

    def describe() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _complete(derive())
        return app.openapi_schema

    app.openapi = describe  # type: ignore[method-assign]  # FastAPI's documented way to extend it


def _complete(described: dict[str, Any]) -> dict[str, Any]:
    shapes = described["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        shapes.pop(name, None)
    shapes["Problem"] = problem.Problem.model_json_schema()
    for methods in described["paths"].values():
        for route in methods.values():
            _complete_route(route)
    examples.add(shapes)
    return described


def _complete_route(route: dict[str, Any]) -> None:
    answers: dict[str, Any] = route["responses"]
    if "HTTPValidationError" in str(answers.get("422")):
        del answers["422"]
    common = dict(_ANYWHERE)
    if route["operationId"] not in _OPEN:
        common |= _GATED
    if "parameters" in route or "requestBody" in route:
        common |= _ASKED
    for code, text in common.items():
        told = answers.setdefault(str(code), {"description": ""})
        told["description"] = ", ".join(filter(None, [text, told["description"]]))
    for status, answer in answers.items():
        if int(status) >= 400:
            answer["content"] = _PROBLEM
        answer["headers"] = _headers(route, int(status))
    route["responses"] = dict(sorted(answers.items()))


def _headers(route: dict[str, Any], status: int) -> dict[str, Any]:
    headers = {request_context.HEADER: _REQUEST_ID}
    if status == 202:
        headers[idempotency.REPLAYED_HEADER] = _REPLAYED
    if status < 400 and route["operationId"] in _CONDITIONAL:
        headers["ETag"] = _ETAG
    return headers

"""The API's description, OpenAPI 3.1: what FastAPI derives from routes and shapes, made whole.

Added to it: every error that a route answers, as a problem document; the headers that all answers carry; an example of
every shape. Taken away: FastAPI's own validation error, which Estampe never sends.
"""

from __future__ import annotations

from typing import Any, Final

import fastapi

from estampe.api import access_table, examples, gate, idempotency, request_context
from estampe.model import access, account, origin
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
    {"name": "sign-in", "description": "Signing in and out, and who one is."},
    {"name": "accounts", "description": "Accounts (tenants), their quotas and members."},
    {"name": "users", "description": "The people who may sign in."},
    {"name": "API keys", "description": "Keys for programs."},
    {"name": "audit", "description": "Who did what, to what, from where, and what came of it."},
    {"name": "system", "description": "The daemon itself."},
]
_UNKNOWN: Final = {401: "`sign-in-needed`, `api-key-refused`, `session-ended`"}
_NO_ACCOUNT: Final = {404: "`account-not-found`: of the header `Estampe-Account`"}
_KEY: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key, of `POST /v1/api-keys` or `POST /v1/login`. On the unix socket none is needed.",
}
_SESSION: Final = {
    "type": "apiKey",
    "in": "cookie",
    "name": "__Host-estampe-session",
    "description": "A browser's session, of `POST /v1/session` or `GET /v1/oidc/start`. Changes show its CSRF token, too, in the "
    "header `X-CSRF-Token`: `GET /v1/session` tells it.",
}
_ACCOUNT: Final = {
    "name": gate.ACCOUNT_HEADER,
    "in": "header",
    "required": False,
    "description": "Name or id of the account to act for: any for the cloud operator, for others their own only.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]+$"},
}
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
_CHALLENGE: Final = {"description": "`Bearer`", "schema": {"type": "string"}}
_RETRY: Final = {"description": "seconds until it may be tried again", "schema": {"type": "string"}}
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
    described["components"]["securitySchemes"] = {"ApiKey": _KEY, "Session": _SESSION}
    for methods in described["paths"].values():
        for method, route in methods.items():
            _complete_route(route, method.upper())
    examples.add(shapes)
    return described


def _complete_route(route: dict[str, Any], method: str) -> None:
    answers: dict[str, Any] = route["responses"]
    if "HTTPValidationError" in str(answers.get("422")):
        del answers["422"]
    common = dict(_ANYWHERE)
    if "parameters" in route or "requestBody" in route:
        common |= _ASKED
    rule = access_table.RULES[route["operationId"]]
    if not rule.is_open:
        common |= _UNKNOWN | _NO_ACCOUNT
        route["parameters"] = [*route.get("parameters", []), _ACCOUNT]
        route["security"] = [{}, {"ApiKey": []}, {"Session": []}]  # nothing: by the unix socket
    if forbidden := _forbidden(rule, method):
        common[403] = forbidden
    for code, text in common.items():
        told = answers.setdefault(str(code), {"description": ""})
        told["description"] = ", ".join(filter(None, [text, told["description"]]))
    for status, answer in answers.items():
        if int(status) >= 400:
            answer["content"] = _PROBLEM
        answer["headers"] = _headers(route, int(status))
    route["responses"] = dict(sorted(answers.items()))


def _forbidden(rule: access.Rule, method: str) -> str:
    """What the gate says to those it knows, and to browsers."""
    told = ["`cloud-operator-only`"] if rule.is_operator_only else []
    if rule.least is not account.Role.VIEWER:
        told.append(f"`role-denied` below {rule.least.value}")
    if rule.is_change and not (rule.is_operator_only or rule.is_always_allowed or rule.is_open):
        told.append("`account-suspended`")
    if method not in origin.SAFE_METHODS:
        told.append("`cross-site-refused`")
    return ", ".join(told)


def _headers(route: dict[str, Any], status: int) -> dict[str, Any]:
    headers = {request_context.HEADER: _REQUEST_ID}
    if status == 401:
        headers["WWW-Authenticate"] = _CHALLENGE
    if status == 429:
        headers["Retry-After"] = _RETRY
    if status == 202:
        headers[idempotency.REPLAYED_HEADER] = _REPLAYED
    if status < 400 and route["operationId"] in _CONDITIONAL:
        headers["ETag"] = _ETAG
    return headers

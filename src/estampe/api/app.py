"""The application: routes, error handlers and limits, put together."""

from __future__ import annotations

import threading

import fastapi
from fastapi import security

import estampe
from estampe.api import (
    accounts,
    api_keys,
    audit,
    body_limit,
    captures,
    deployments,
    gate,
    members,
    operations,
    problems,
    servers,
    sign_in,
    store,
    system,
    templates,
    users,
)
from estampe.api import services as ports
from estampe.schemas import problem

PREFIX = "/v1"
# For the description alone: the gate reads the header itself.
_DESCRIBED = security.HTTPBearer(
    auto_error=False, scheme_name="ApiKey", description="An API key. On the unix socket none is needed."
)
_ROUTERS = (
    servers.router,
    captures.router,
    deployments.router,
    templates.router,
    operations.router,
    store.router,
    system.router,
    sign_in.router,
    accounts.router,
    members.router,
    users.router,
    api_keys.router,
    audit.router,
)


def create(services: ports.Services, *, wait_slice_seconds: float = 1.0) -> fastapi.FastAPI:
    """The API over `services`. Raises: errors.EstampeError where a route has no rule in `access_table`.

    `app.state.stopping` is set when the daemon begins to stop: long polls then answer within `wait_slice_seconds`, which
    is also how late they notice a client that left.
    """
    app = fastapi.FastAPI(
        title="Estampe",
        version=estampe.__version__,
        description="Capture virtual servers into image templates and deploy new servers from them.",
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,  # they load scripts from a content network
        redoc_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,
        generate_unique_id_function=lambda route: route.name,  # the names that `access_table` has
        dependencies=[fastapi.Depends(_DESCRIBED)],
        responses={"default": {"model": problem.Problem, "description": "Any error, as problem details"}},
    )
    app.state.services = services
    app.state.stopping = threading.Event()
    app.state.wait_limiter = None
    app.state.hash_limiter = None
    app.state.wait_slice_seconds = wait_slice_seconds
    for router in _ROUTERS:
        gate.check(router.routes)
        app.include_router(router, prefix=PREFIX)
    problems.install(app)
    app.add_middleware(body_limit.BodyLimit)
    return app

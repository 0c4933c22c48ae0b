"""The application: routes, error handlers and limits, put together."""

from __future__ import annotations

import threading

import fastapi

import estampe
from estampe.api import (
    body_limit,
    captures,
    deployments,
    operations,
    problems,
    profiles,
    servers,
    store,
    system,
    templates,
)
from estampe.api import services as ports
from estampe.schemas import problem

PREFIX = "/v1"
_ROUTERS = (
    servers.router,
    captures.router,
    deployments.router,
    templates.router,
    profiles.router,
    operations.router,
    store.router,
    system.router,
)


def create(services: ports.Services, *, wait_slice_seconds: float = 1.0) -> fastapi.FastAPI:
    """The API over `services`.

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
        responses={"default": {"model": problem.Problem, "description": "Any error, as problem details"}},
    )
    app.state.services = services
    app.state.stopping = threading.Event()
    app.state.wait_limiter = None
    app.state.wait_slice_seconds = wait_slice_seconds
    for router in _ROUTERS:
        app.include_router(router, prefix=PREFIX)
    problems.install(app)
    app.add_middleware(body_limit.BodyLimit)
    return app

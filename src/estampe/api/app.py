"""The application: routes, error handlers and limits, put together."""

from __future__ import annotations

import threading

import fastapi

import estampe
from estampe.api import (
    body_limit,
    captures,
    deployments,
    description,
    events,
    idempotency,
    metrics,
    operations,
    paths,
    problems,
    profiles,
    request_context,
    retention,
    servers,
    store,
    system,
    template_contents,
    template_life,
    templates,
)
from estampe.api import services as ports

_ROUTERS = (
    servers.router,
    captures.router,
    deployments.router,
    templates.router,
    template_contents.router,
    template_life.router,
    retention.router,
    profiles.router,
    operations.router,
    store.router,
    system.router,
)


def create(
    services: ports.Services, *, wait_slice_seconds: float = 1.0, meter: metrics.Metrics | None = None
) -> fastapi.FastAPI:
    """The API over `services`, which measures itself with `meter`.

    `app.state.stopping` is set when the daemon begins to stop: long polls then answer within `wait_slice_seconds`, which
    is also how late they notice a client that left; streams of events end within a tick.
    """
    app = fastapi.FastAPI(
        title="Estampe",
        version=estampe.__version__,
        description="Capture virtual servers into image templates and deploy new servers from them.",
        openapi_url=f"{paths.PREFIX}/openapi.json",
        openapi_tags=description.TAGS,
        docs_url=None,  # they load scripts from a content network
        redoc_url=None,
        redirect_slashes=False,
        separate_input_output_schemas=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.services = services
    app.state.metrics = meter or metrics.Metrics()
    app.state.turns = idempotency.Turns()
    app.state.stopping = threading.Event()
    app.state.hub = events.Hub(app.state.stopping)
    app.state.wait_limiter = None
    app.state.wait_slice_seconds = wait_slice_seconds
    for router in _ROUTERS:
        app.include_router(router, prefix=paths.PREFIX)
    problems.install(app)
    app.add_middleware(body_limit.BodyLimit)
    app.add_middleware(request_context.RequestContext, meter=app.state.metrics)  # the last added is the outermost
    description.install(app)
    return app

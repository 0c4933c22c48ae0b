"""The application: routes, error handlers and limits, put together."""

from __future__ import annotations

import threading

import fastapi

import estampe
from estampe.api import (
    accounts,
    api_keys,
    audit,
    body_limit,
    captures,
    deployments,
    description,
    events,
    gate,
    hashing,
    idempotency,
    members,
    metrics,
    oidc,
    operations,
    paths,
    problems,
    profiles,
    publishing,
    request_context,
    retention,
    servers,
    sessions,
    sharing,
    sign_in,
    store,
    system,
    template_life,
    templates,
    turns,
    users,
)
from estampe.api import services as ports

_ROUTERS = (
    servers.router,
    captures.router,
    deployments.router,
    templates.router,
    template_life.router,
    sharing.router,
    retention.router,
    profiles.router,
    operations.router,
    store.router,
    system.router,
    sign_in.router,
    sessions.router,
    oidc.router,
    accounts.router,
    publishing.router,
    members.router,
    users.router,
    api_keys.router,
    audit.router,
)


def create(
    services: ports.Services,
    *,
    wait_slice_seconds: float = 1.0,
    meter: metrics.Metrics | None = None,
    public_origin: str | None = None,
    readers: int = 1,
) -> fastapi.FastAPI:
    """The API over `services`, which measures itself with `meter`.

    Raises: errors.EstampeError where a route has no rule in `access_table`.

    `public_origin` is where browsers reach it; None: where each request says it is. `readers` is how many may read the database at
    once, see `turns`.

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
        generate_unique_id_function=lambda route: route.name,  # the names that `access_table` has
    )
    app.state.services = services
    app.state.public_origin = public_origin
    app.state.metrics = meter or metrics.Metrics()
    app.state.turns = idempotency.Turns()
    app.state.stopping = threading.Event()
    app.state.hub = events.Hub(app.state.stopping)
    app.state.wait_limiter = None
    app.state.hash_turns = turns.Turns(hashing.AT_ONCE)
    app.state.short_turns = turns.Turns(readers)
    app.state.wait_slice_seconds = wait_slice_seconds
    for router in _ROUTERS:
        gate.check(router.routes)
        app.include_router(router, prefix=paths.PREFIX)
    problems.install(app)
    app.add_middleware(body_limit.BodyLimit)
    app.add_middleware(paths.EncodedSlashes)
    app.add_middleware(request_context.RequestContext, meter=app.state.metrics)  # the last added is the outermost
    description.install(app)
    return app

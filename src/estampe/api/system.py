"""Routes of the daemon itself. Whether it lives and is ready is for everybody: who asks are programs without an account."""

from __future__ import annotations

import fastapi

import estampe
from estampe import errors
from estampe.api import dependencies as given
from estampe.api import gate, metrics, problems
from estampe.schemas import system

router = fastapi.APIRouter(tags=["system"], route_class=gate.Route)


@router.get("/health")
def get_health() -> system.Health:
    """Answers as long as the daemon does."""
    return system.Health(status="ok")


@router.get("/ready", responses=problems.answers(errors.NotReady))
def get_readiness(services: given.Services) -> system.Readiness:
    """Whether the daemon can do its work: the database, the store, libvirt and the workflow engine all answer."""
    return system.Readiness(status="ready", parts=list(services.readiness.check()))


@router.get("/version")
def get_version() -> system.Version:
    """Which Estampe this is."""
    return system.Version(version=estampe.__version__, api="v1")


@router.get("/metrics", response_class=fastapi.responses.PlainTextResponse)
def get_metrics(request: fastapi.Request) -> fastapi.Response:
    """Measurements in Prometheus' text format."""
    meter: metrics.Metrics = request.app.state.metrics
    return fastapi.Response(meter.render(), headers={"content-type": metrics.CONTENT_TYPE})

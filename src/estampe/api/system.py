"""Routes of the daemon itself."""

from __future__ import annotations

import fastapi

import estampe
from estampe.api import gate
from estampe.schemas import system

router = fastapi.APIRouter(tags=["system"], route_class=gate.Route)


@router.get("/health")
def get_health() -> system.Health:
    """Answers as long as the daemon does."""
    return system.Health(status="ok")


@router.get("/version")
def get_version() -> system.Version:
    """Which Estampe this is."""
    return system.Version(version=estampe.__version__, api="v1")

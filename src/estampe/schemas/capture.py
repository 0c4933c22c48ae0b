"""Capture: the request and the plan."""

from __future__ import annotations

from typing import Annotated

import pydantic

from estampe.capture import request as capture
from estampe.schemas import characteristics as traits  # a field has the module's name
from estampe.schemas import configuration, wire
from estampe.schemas import server as servers


class CaptureRequest(wire.Request):
    """What to capture, and how."""

    server: wire.Reference
    name: Annotated[str, pydantic.StringConstraints(min_length=1, max_length=63)] | None = None
    note: wire.Note = ""
    tags: list[wire.Tag] = pydantic.Field(default_factory=list, max_length=32)
    volumes: list[wire.Target] = pydantic.Field(default_factory=list, max_length=64)
    is_forced: bool = False
    stop_timeout_seconds: servers.StopTimeout = capture.DEFAULT_STOP_TIMEOUT_SECONDS
    is_sealed: bool = True
    keep: list[wire.GuestPath] = pydantic.Field(default_factory=list, max_length=256)
    remove: list[wire.GuestPath] = pydantic.Field(default_factory=list, max_length=256)
    is_vtpm_kept: bool = False
    characteristics: traits.CharacteristicsRequest | None = None

    def to_domain(self) -> capture.CaptureRequest:
        """As the service takes it; repeated tags and volumes count once."""
        return capture.CaptureRequest(
            server=self.server,
            name=self.name,
            note=self.note,
            tags=tuple(dict.fromkeys(self.tags)),
            volumes=tuple(dict.fromkeys(self.volumes)),
            is_forced=self.is_forced,
            stop_timeout_seconds=self.stop_timeout_seconds,
            is_sealed=self.is_sealed,
            keep=tuple(self.keep),
            remove=tuple(self.remove),
            is_vtpm_kept=self.is_vtpm_kept,
            characteristics=None if self.characteristics is None else self.characteristics.to_domain(),
        )


class PlannedVolume(wire.Answer):
    """What would be read of one volume."""

    target: str
    bus: str
    format: str
    path: str
    size_bytes: int
    data_bytes: int
    skipped_bytes: int
    is_estimated: bool


class CapturePlan(wire.Answer):
    """What a capture would do; nothing has been done."""

    server_name: str
    server_uuid: str
    power_state: str
    template_name: str
    template_version: int
    stop_steps: list[str]
    volumes: list[PlannedVolume]
    left_out: list[configuration.LeftOut]
    chunk_size_bytes: int
    estimated_new_bytes: int
    store_available_bytes: int | None
    warnings: list[str]

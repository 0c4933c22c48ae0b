"""What a capture is asked to do, and the plan that answers it."""

from __future__ import annotations

from dataclasses import dataclass

from estampe.model import characteristics as traits  # a field has the module's name
from estampe.model import configuration

DEFAULT_STOP_TIMEOUT_SECONDS = 180.0  # a Debian guest under full emulation takes 20-30 s; Windows with updates, minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptureRequest:
    """Asked by a person or program."""

    server: str  # name, server id or domain UUID
    name: str | None = None  # of the template; None: the server's name
    note: str = ""
    tags: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()  # targets to capture; empty: all that can be
    is_forced: bool = False  # power off a server that does not shut down in time
    stop_timeout_seconds: float = DEFAULT_STOP_TIMEOUT_SECONDS
    is_sealed: bool = True  # False: leave the copy as it is (no inspection either)
    keep: tuple[str, ...] = ()  # paths and patterns of the guest that sealing leaves alone
    remove: tuple[str, ...] = ()  # and what it removes besides
    is_vtpm_kept: bool = False  # the template gets the keys of the server's emulated TPM
    characteristics: traits.Characteristics | None = None  # what the template is tuned for; may be changed later


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedVolume:
    """What would be read of one volume."""

    target: str
    bus: str
    format: str
    path: str
    size_bytes: int
    data_bytes: int  # allocated and not known to be zeros: what would be read
    skipped_bytes: int  # holes and zeros
    is_estimated: bool  # QEMU has it locked: both by what its layers take on their file systems, not by its extents


@dataclass(frozen=True, slots=True, kw_only=True)
class CapturePlan:
    """What a capture would do; nothing has been done."""

    server_name: str
    server_uuid: str
    power_state: str
    template_name: str
    template_version: int
    stop_steps: tuple[str, ...]  # in words, in order: how the server is taken offline and back
    volumes: tuple[PlannedVolume, ...]
    left_out: tuple[configuration.LeftOut, ...]
    chunk_size_bytes: int
    estimated_new_bytes: int  # about, by a sample or the usual ratio; the store may hold much of it already
    store_available_bytes: int | None
    warnings: tuple[str, ...]

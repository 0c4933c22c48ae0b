"""What the parent and the worker say to each other.

parent -> worker   one JSON object, the job, on standard input
worker -> parent   JSON lines on standard output: {"progress": text} ..., at last {"finished": record}, {"adapted": record} or
                   {"failed": text}
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from estampe import errors
from estampe.guest import base
from estampe.model import adjustment, record
from estampe.model import guest as guests

# Told by measurement: see docs/adr/0005-appliance.md.
MEMORY_MIB: Final = 768


@dataclass(frozen=True, slots=True, kw_only=True)
class Drive:
    """One volume's copy as the appliance gets it: a qcow2 overlay that may be written to."""

    target: str  # vda
    overlay: Path
    sector_size_bytes: int = 512  # as the guest sees it: its partition table counts in it
    own: tuple[
        Path, ...
    ] = ()  # one qcow2 file of this size for each configuration of the adaptation: what is that server's alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One launch: a captured copy is finished, or new servers' volumes are adapted."""

    drives: tuple[Drive, ...]  # in the server's order
    adaptation: adjustment.Adaptation | None = None
    is_uefi: bool = False  # the server's firmware
    memory_mib: int = MEMORY_MIB
    wish: guests.SealingWish = guests.NOTHING_WISHED


def encode_job(job: Job) -> bytes:
    """For the worker's standard input."""
    return json.dumps(record.dump(job)).encode()


def decode_job(data: bytes) -> Job:
    """What `encode_job` wrote."""
    return record.load(Job, json.loads(data))


def progress_line(text: str) -> str:
    """What the worker does now."""
    return _line({"progress": text})


def finished_line(finished: base.Finished) -> str:
    """The outcome."""
    return _line({"finished": record.dump(finished)})


def adapted_line(adapted: base.Adapted) -> str:
    """The outcome of an adaptation."""
    return _line({"adapted": record.dump(adapted)})


def failed_line(reason: str) -> str:
    """The appliance itself could not work."""
    return _line({"failed": reason})


def _line(message: dict[str, object]) -> str:
    return json.dumps(message) + "\n"


def decode_line(line: bytes) -> str | base.Finished | base.Adapted:
    """Progress as text, or the outcome. Raises: errors.ApplianceFailed for `failed`, and for what is none of these."""
    try:
        message = json.loads(line)
        if "failed" in message:
            raise errors.ApplianceFailed(detail=str(message["failed"]))
        if "finished" in message:
            return record.load(base.Finished, message["finished"])
        if "adapted" in message:
            return record.load(base.Adapted, message["adapted"])
        return str(message["progress"])
    except (ValueError, KeyError, TypeError) as error:  # pydantic's ValidationError is a ValueError
        raise errors.ApplianceFailed(detail="its worker said something that cannot be read") from error

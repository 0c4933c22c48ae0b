"""What the doctor says about one thing."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Status(enum.StrEnum):
    """How it stands."""

    OK = "ok"
    WARN = "warn"  # the main job works, but slower, or not for every guest
    FAIL = "fail"  # captures or deploys fail until it is fixed


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at: what was found and, where that is not well, the commands that fix it."""

    name: str
    status: Status
    found: str
    fix: str = ""  # one command or sentence a line


def ok(name: str, found: str) -> Check:
    """Well."""
    return Check(name=name, status=Status.OK, found=found)


def warn(name: str, found: str, *, fix: str) -> Check:
    """Usable with limits."""
    return Check(name=name, status=Status.WARN, found=found, fix=fix)


def fail(name: str, found: str, *, fix: str) -> Check:
    """Not usable."""
    return Check(name=name, status=Status.FAIL, found=found, fix=fix)

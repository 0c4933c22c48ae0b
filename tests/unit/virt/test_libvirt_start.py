"""A start that libvirt cannot give a reason for."""

from __future__ import annotations

from typing import Any

import libvirt
import pytest

from estampe import errors
from estampe.virt import libvirt_guests

UNHEARD = "failed to connect to monitor socket: Connection refused"
LOCKED = 'process exited: Failed to get "write" lock Is another process using the image [/srv/web.raw]?'


class Failure(libvirt.libvirtError):
    def __init__(self, message: str) -> None:
        self.err = None
        self.message = message

    def get_error_message(self) -> str:
        return self.message


class Domain:
    """Fails to start for these reasons, one after the other, and starts then."""

    def __init__(self, *reasons: str) -> None:
        self.reasons = list(reasons)
        self.starts = 0

    def createWithFlags(self, _flags: int) -> None:  # noqa: N802 - libvirt's
        self.starts += 1
        if self.reasons:
            raise Failure(self.reasons.pop(0))

    def isActive(self) -> bool:  # noqa: N802 - libvirt's
        return False


class Domains:
    def __init__(self, domain: Domain) -> None:
        self.domain = domain

    def on(self, _uuid: str, _action: str, call: Any) -> Any:
        return call(self.domain)


def start(domain: Domain) -> None:
    libvirt_guests.Guests(Domains(domain)).start("an uuid")  # type: ignore[arg-type]


def test_a_start_without_a_reason_is_tried_once_more() -> None:
    domain = Domain(UNHEARD)
    start(domain)
    assert domain.starts == 2


def test_what_it_says_then_is_what_is_told() -> None:
    with pytest.raises(errors.VolumeLocked):
        start(Domain(UNHEARD, LOCKED))


def test_without_a_reason_again_it_is_told_as_it_is() -> None:
    domain = Domain(UNHEARD, UNHEARD, UNHEARD)
    with pytest.raises(Failure):
        start(domain)
    assert domain.starts == 2


def test_any_other_reason_is_told_at_once() -> None:
    domain = Domain(LOCKED)
    with pytest.raises(errors.VolumeLocked):
        start(domain)
    assert domain.starts == 1

"""A guest's serial console, as its user sees it: a pseudo-terminal of the host."""

from __future__ import annotations

import os
import re
import select
import time
import tty

from tests.support import shell

_ASK_SECONDS = 5.0


def read(domain: str, until: str, *, deadline_seconds: float) -> str:
    """All that is written until the pattern `until` matches, a key (Enter) being pressed now and then. Raises: shell.Failed."""
    deadline, asked, said = time.monotonic() + deadline_seconds, 0.0, ""
    terminal = os.open(shell.virsh("ttyconsole", domain), os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        tty.setraw(terminal)
        while not re.search(until, said):
            if time.monotonic() > deadline:
                raise shell.Failed(
                    f"{domain} did not write {until!r} within {deadline_seconds:g} s, but: {said[-2000:]!r}"
                )
            if time.monotonic() - asked > _ASK_SECONDS:
                os.write(terminal, b"\n")
                asked = time.monotonic()
            if select.select([terminal], [], [], 1.0)[0]:
                said += os.read(terminal, 65536).decode(errors="replace").replace("\r", "")
    finally:
        os.close(terminal)
    return said

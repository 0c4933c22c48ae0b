"""A process that serves fake services: `python daemon.py SOCKET [ADDRESS CERTIFICATE KEY]`. Prints `ready`, and `closed` when it has stopped.

`POST /v1/servers/web-01/start` blocks for ever, as a hypervisor that hangs does.
"""

from __future__ import annotations

import sys
import threading
import uuid
from pathlib import Path

from tests.unit.api import fakes

from estampe.api import app, server, tcp
from estampe.servers import views


class HangingServers(fakes.Servers):
    def start(self, owner_id: uuid.UUID, reference: str) -> views.ServerView:
        threading.Event().wait()
        raise AssertionError


def _say(word: str) -> None:
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


def _endpoint(listen: str | None = None, certificate: str = "", key: str = "") -> tcp.Endpoint | None:
    return None if listen is None else tcp.parse(listen, certificate=Path(certificate), key=Path(key))


def main() -> None:
    world = fakes.World()
    services = world.services()
    object.__setattr__(services, "servers", HangingServers(world))
    server.serve(
        app.create(services),
        socket_path=Path(sys.argv[1]),
        endpoint=_endpoint(*sys.argv[2:]),
        stop_deadline_seconds=1,
        on_ready=lambda _stop: _say("ready"),
    )
    _say("closed")


if __name__ == "__main__":
    main()

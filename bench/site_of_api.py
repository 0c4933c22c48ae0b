"""Where the benchmarks of the API work: a folder, each database in turn, and a daemon on a unix socket. All of it goes at the end."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from estampe.client import client
from estampe.db import database
from estampe.schemas import api_key
from estampe.model import account

DATABASES = ("sqlite", "postgresql")
_STOP_SECONDS = 60
_PATIENCE_SECONDS = 300  # where what is asked is not what is measured


@dataclass(frozen=True, kw_only=True)
class Site:
    """One database, and places for a daemon over it."""

    kind: str
    folder: Path
    url: str | None  # PostgreSQL's

    @property
    def settings(self) -> dict[str, Any]:
        """Of the daemon, as JSON takes them."""
        told: dict[str, Any] = {
            "socket": self.socket, "state_directory": self.folder / "state", "run_directory": self.folder / "run",
            "default_pool": "pool", "default_network": "lan", "accelerator": "tcg", "log_level": "warning",
        }  # fmt: skip
        return {name: str(value) for name, value in told.items()} | ({"database_url": self.url} if self.url else {})

    @property
    def socket(self) -> Path:
        """Of the API."""
        return self.folder / "api.sock"

    @property
    def store(self) -> Path:
        """Of chunks and manifests."""
        return self.folder / "state" / "store"

    @property
    def log(self) -> Path:
        """What the daemon says."""
        return self.folder / "daemon.log"

    def open_database(self) -> database.Database:
        """The catalogue's, beside the daemon."""
        (self.folder / "state").mkdir(mode=0o711, exist_ok=True)
        return database.Database.open(self.url or f"sqlite:///{self.folder}/state/estampe.db")

    @contextlib.contextmanager
    def serving(self, *, servers: Iterable[str] = (), **settings: Any) -> Iterator[int]:
        """A daemon that answers, with its process id; it is stopped at the end, by its id."""
        given = json.dumps({"settings": {**self.settings, **settings}, "servers": list(servers)})
        argv = [sys.executable, str(Path(__file__).with_name("api_daemon.py")), given]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ESTAMPE_")}
        with self.log.open("ab") as log:
            environment["ESTAMPE_CONFIG"] = os.devnull
            daemon = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=log, env=environment, text=True)
        try:
            assert daemon.stdout is not None
            if daemon.stdout.readline().strip() != "ready":
                raise RuntimeError(f"the daemon ended with status {daemon.wait()}:\n{self.log.read_text()}")
            yield daemon.pid
        finally:
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                daemon.kill()
                raise

    def operator(self) -> client.Client:
        """A client with the rights of the socket."""
        return client.Client(self.socket, request_seconds=_PATIENCE_SECONDS)

    def member(self, key: str) -> client.Client:
        """A client with the rights of a key."""
        return client.Client(self.socket, key=key, request_seconds=_PATIENCE_SECONDS)

    def add_key(self, name: str) -> str:
        """A key of an account's owner."""
        with client.Client(self.socket, account=name, request_seconds=_PATIENCE_SECONDS) as operator:
            asked = api_key.CreateApiKeyRequest(name="bench", role=account.Role.OWNER)
            return operator.create_api_key(asked).key


@contextlib.contextmanager
def site(work: Path, kind: str) -> Iterator[Site]:
    """A clean one below `work`. PostgreSQL is a server of its own, with the settings that it is installed with."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # what was started is ended, then
    work.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=work))
    folder.chmod(0o711)  # PostgreSQL's user walks there
    try:
        with contextlib.ExitStack() as opened:
            url = None
            if kind == "postgresql":
                sys.path.insert(0, str(Path(__file__).parents[1]))
                from tests.support import postgresql

                server = opened.enter_context(postgresql.cluster(below=folder, options=postgresql.DURABLE))
                url = server.new()
            yield Site(kind=kind, folder=folder, url=url)
    finally:
        shutil.rmtree(folder)

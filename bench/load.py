"""Clients that ask the API for one thing after another, and how long they waited: processes with some threads each.

They speak HTTP/1.1 over the unix socket with the standard library: what they cost the CPUs, the daemon cannot have.
"""

from __future__ import annotations

import concurrent.futures
import http.client
import itertools
import multiprocessing
import random
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PROCESSES = 4
_READY_SECONDS = 120.0
_WARM_UP = 3  # requests of each client that do not count: connections are made, statements compiled


@dataclass(frozen=True, kw_only=True)
class Caller:
    """One client: its key, and the paths it asks for in turn."""

    key: str
    paths: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How long clients ask, and how often each: a request in `every_seconds`, or without it the next one at once."""

    seconds: float
    every_seconds: float = 0.0


class _Connection(http.client.HTTPConnection):
    """To the daemon's socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("estampe", timeout=60)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self._path)


def measure(path: Path, callers: Sequence[Caller], pace: Pace) -> list[float]:
    """Seconds of each request, sorted. Raises: RuntimeError at the first that is not answered with 200."""
    parts = [part for part in (callers[nth::PROCESSES] for nth in range(PROCESSES)) if part]
    context = multiprocessing.get_context("spawn")
    everybody = context.Barrier(len(callers))
    with concurrent.futures.ProcessPoolExecutor(
        len(parts), mp_context=context, initializer=_await_at, initargs=(everybody,)
    ) as pool:
        asked = [pool.submit(_process, path, part, pace) for part in parts]
        return sorted(itertools.chain.from_iterable(each.result() for each in asked))


_everybody: threading.Barrier  # of this process: where all clients of all processes meet before it counts


def _await_at(barrier: threading.Barrier) -> None:
    global _everybody  # noqa: PLW0603 - a process of the pool is handed it once, at its begin
    _everybody = barrier


def _process(path: Path, callers: Sequence[Caller], pace: Pace) -> list[float]:
    with concurrent.futures.ThreadPoolExecutor(len(callers)) as pool:
        asked = [pool.submit(_ask, path, caller, pace) for caller in callers]
        return list(itertools.chain.from_iterable(each.result() for each in asked))


def _ask(path: Path, caller: Caller, pace: Pace) -> list[float]:
    connection, paths = _Connection(path), itertools.cycle(caller.paths)
    try:
        for _ in range(_WARM_UP):
            _request(connection, next(paths), caller.key)
    except BaseException:
        _everybody.abort()  # nobody waits for a client that will not come
        raise
    # A client that is late would ask without a pause until it has caught up: no clock runs before all are ready.
    _everybody.wait(_READY_SECONDS)
    begin = time.monotonic()
    # Clients that began together would ask together for ever.
    due = begin + random.random() * pace.every_seconds  # noqa: S311 - no secret
    end, took = begin + pace.seconds, []
    while True:
        time.sleep(max(0.0, due - time.monotonic()))
        began = time.monotonic()
        if began >= end:
            connection.close()
            return took
        _request(connection, next(paths), caller.key)
        took.append(time.monotonic() - began)
        due += pace.every_seconds


def _request(connection: _Connection, path: str, key: str) -> None:
    connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != http.client.OK:
        raise RuntimeError(f"{path}: {answer.status} {body[:500]!r}")

"""Looking at DBOS' queues (3.4) the moment there is work in them.

DBOS looks at intervals alone, and notices a new queue only within a second: so an operation began up to half a second after it was
asked for, one that had been cut off up to a second and a half after the start. Here DBOS' own loop runs, with all that it
knows of bounds and of claims, in threads of ours: what it waits with between two looks can be rung.
"""

from __future__ import annotations

import threading
from typing import Final

import dbos
from dbos._queue import Queue, queue_worker_thread  # 3.4 exports neither the loop nor the type

_JOIN_SECONDS: Final = 10.0  # as DBOS gives its own threads; one may wait for a database that is away


class Bell(threading.Event):
    """The event that ends a queue's thread. Its `wait` ends early, as if the time were up, when it is rung."""

    def __init__(self) -> None:
        super().__init__()
        self._rung = threading.Event()

    def ring(self) -> None:
        """Let the present wait end, or the next one where a look is under way: that may have been too early."""
        self._rung.set()

    def set(self) -> None:
        """End the thread."""
        super().set()
        self._rung.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Whether the thread is to end."""
        self._rung.wait(timeout)
        self._rung.clear()
        return self.is_set()


class Queues:
    """The queues of one engine, each with a thread that looks at it."""

    def __init__(self, instance: dbos.DBOS) -> None:
        """Before the instance is launched."""
        self._instance = instance
        self._bells: dict[str, Bell] = {}
        self._threads: list[threading.Thread] = []
        dbos.DBOS.listen_queues([])  # DBOS itself looks at none but its own

    def open(self, name: str, *, concurrency: int, interval_seconds: float) -> None:
        """Make the queue, or change it; `serve` begins to look at it. After the launch."""
        queue = dbos.DBOS.register_queue(
            name, worker_concurrency=concurrency, polling_interval_sec=interval_seconds, on_conflict="always_update"
        )
        bell = self._bells[name] = Bell()
        self._threads.append(threading.Thread(target=self._look, args=(bell, queue), name=f"queue {name}", daemon=True))

    def serve(self) -> None:
        """Look at all of them now, and from now on."""
        for thread, bell in zip(self._threads, self._bells.values(), strict=True):
            bell.ring()
            thread.start()

    def ring(self, name: str) -> None:
        """There is work in this one."""
        self._bells[name].ring()

    def close(self) -> None:
        """Take no more work out of them."""
        for bell in self._bells.values():
            bell.set()
        for thread in self._threads:
            if thread.ident is not None:  # served
                thread.join(_JOIN_SECONDS)

    def _look(self, bell: Bell, queue: Queue) -> None:
        queue_worker_thread(bell, self._instance, queue)

"""The bounded pipeline: a few threads that take items from one iterator.

items ──▶ [lock] ──▶ thread 1: work(item)      each thread holds one item: memory is bounded by the thread count,
                └──▶ thread 2: work(item)      and native code (read, hash, compress, write) runs without the GIL
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar

Item = TypeVar("Item")

_POLL_SECONDS: Final = 0.2  # how soon a cancel is seen


class _Shared(Iterator[Item]):
    """An iterator that threads may share, and that anybody may stop."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._items, self._lock, self._is_stopped = iter(items), threading.Lock(), False

    def __next__(self) -> Item:
        with self._lock:
            if self._is_stopped:
                raise StopIteration
            return next(self._items)

    def stop(self) -> None:
        self._is_stopped = True


def run(
    items: Iterable[Item], work: Callable[[Item], None], *, threads: int, check_cancelled: Callable[[], None]
) -> None:
    """Call `work` on every item, in `threads` threads; returns when all are done.

    The first error of `work`, of `items` or of `check_cancelled` (called first, and some times a second from this thread) stops the
    rest after the items in hand and is raised here.
    """
    check_cancelled()
    shared = _Shared(items)
    failures: list[BaseException] = []

    def drain() -> None:
        try:
            for item in shared:
                work(item)
        except BaseException as error:  # noqa: BLE001 - the edge of a thread: raised again by `run`
            failures.append(error)
            shared.stop()

    crew = [threading.Thread(target=drain, name=f"pipeline-{nth}", daemon=True) for nth in range(threads)]
    for thread in crew:
        thread.start()
    try:
        while any(thread.is_alive() for thread in crew):
            check_cancelled()
            crew[0].join(_POLL_SECONDS) if crew[0].is_alive() else _join_any(crew)
    finally:
        shared.stop()
        for thread in crew:
            thread.join()
    if failures:
        raise failures[0]


def _join_any(crew: list[threading.Thread]) -> None:
    for thread in crew:
        if thread.is_alive():
            thread.join(_POLL_SECONDS)
            return

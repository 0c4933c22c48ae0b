"""Measurements in Prometheus' format. Labels are bounded: routes, methods, statuses, kinds and states, nothing of users.

What operations do is counted as it happens and begins at nought with the daemon, as counters do; how many there are, and
what the store holds, is looked up when somebody asks.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import prometheus_client as prometheus
from prometheus_client import core, registry
from starlette import types

import estampe
from estampe import errors
from estampe.api import paths
from estampe.model import operation, terminal
from estampe.store import usage as store_usage

CONTENT_TYPE: Final = prometheus.CONTENT_TYPE_LATEST
Counts = Mapping[tuple[operation.Kind, operation.State], int]

_METHODS: Final = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
# From an answer out of memory to a plan that reads a manifest of a million chunks.
_REQUEST_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
# From an empty sweep to a check of a large store.
_OPERATION_BUCKETS: Final = (1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400)
_USAGE_SECONDS: Final = 300.0  # usage reads every manifest: seconds of a large store


def _nothing() -> Counts:
    return {}


@dataclass
class CachedUsage:
    """The store's usage as of some minutes ago: a scrape begins a new count, in the background, and never waits for it."""

    count: Callable[[], store_usage.Usage]
    seconds: float = _USAGE_SECONDS
    clock: Callable[[], float] = time.monotonic
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _found: tuple[float, store_usage.Usage] | None = None
    _counting: threading.Thread | None = None

    def latest(self) -> tuple[float, store_usage.Usage] | None:
        """(age in seconds, usage); None until it was counted once."""
        with self._lock:
            is_old = self._found is None or self.clock() - self._found[0] >= self.seconds
            if is_old and (self._counting is None or not self._counting.is_alive()):
                self._counting = threading.Thread(target=self._count, name="store-usage", daemon=True)
                self._counting.start()
            return None if self._found is None else (self.clock() - self._found[0], self._found[1])

    def wait(self, timeout_seconds: float) -> None:
        """Until the count that runs has ended."""
        if self._counting is not None:
            self._counting.join(timeout_seconds)

    def _count(self) -> None:
        try:
            found = self.count()
        except errors.EstampeError:  # readiness tells of it; here the last count stays
            return
        with self._lock:
            self._found = (self.clock(), found)


class Metrics:
    """All measurements of one daemon. It is the API's and the operations' meter (`jobs.metering.Meter`) at once."""

    def __init__(
        self,
        *,
        operations: Callable[[], Counts] = _nothing,
        usage: CachedUsage | None = None,
        available_bytes: Callable[[], int | None] = lambda: None,
    ) -> None:
        self._registry = prometheus.CollectorRegistry()
        self._registry.register(_Looked(operations, usage, available_bytes))
        self._requests = prometheus.Histogram(
            "estampe_http_request_duration_seconds", "From the request to the begin of its answer.",
            ["method", "route", "status"], buckets=_REQUEST_BUCKETS, registry=self._registry,
        )  # fmt: skip
        self._durations = prometheus.Histogram(
            "estampe_operation_duration_seconds", "Of operations that ended since the daemon began.",
            ["kind", "state"], buckets=_OPERATION_BUCKETS, registry=self._registry,
        )  # fmt: skip
        self._volume_bytes = prometheus.Counter(
            "estampe_volume_bytes", "Bytes of volumes that captures read, deploys restored and checks verified.",
            ["kind"], registry=self._registry,
        )  # fmt: skip
        self._stored_bytes = prometheus.Counter(
            "estampe_stored_bytes", "Bytes that captures which succeeded added to the store.", registry=self._registry
        )
        self._terminals = prometheus.Gauge(
            "estampe_open_terminals", "Screens and serial consoles of servers that somebody has open.",
            ["kind"], registry=self._registry,
        )  # fmt: skip
        for each in terminal.Kind:
            self._terminals.labels(each.value)
        build = prometheus.Info("estampe_build", "Which Estampe this is.", registry=self._registry)
        build.info({"version": estampe.__version__})
        for kind in operation.Kind:  # a counter that is there from the begin shows its first rise
            self._volume_bytes.labels(kind.value)

    def render(self) -> bytes:
        """The text that Prometheus reads."""
        return prometheus.generate_latest(self._registry)

    def answered(self, scope: types.Scope, status: int, seconds: float) -> None:
        """A request was answered."""
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._requests.labels(method, paths.template(scope), str(status)).observe(seconds)

    def open_terminal(self, kind: terminal.Kind) -> contextlib.AbstractContextManager[None]:
        """One more is open, while this lasts."""
        return self._terminals.labels(kind.value).track_inprogress()

    def advanced(self, kind: operation.Kind, done_bytes: int) -> None:
        """See `jobs.metering.Meter`."""
        self._volume_bytes.labels(kind.value).inc(max(0, done_bytes))

    def ended(self, ended: operation.Operation) -> None:
        """See `jobs.metering.Meter`."""
        if ended.started_at is not None and ended.ended_at is not None:
            seconds = (ended.ended_at - ended.started_at).total_seconds()
            self._durations.labels(ended.kind.value, ended.state.value).observe(max(0.0, seconds))
        new_bytes = (ended.result or {}).get("new_bytes")
        if ended.kind is operation.Kind.CAPTURE and isinstance(new_bytes, int):
            self._stored_bytes.inc(max(0, new_bytes))


@dataclass(frozen=True, eq=False)
class _Looked(registry.Collector):
    """What is looked up at each scrape."""

    operations: Callable[[], Counts]
    usage: CachedUsage | None
    available_bytes: Callable[[], int | None]

    def describe(self) -> list[core.Metric]:
        """Nothing: a registration must not ask the database."""
        return []

    def collect(self) -> Iterator[core.Metric]:
        """The gauges of this moment; of a part that does not answer there are none."""
        yield from self._operations()
        yield from self._store()

    def _operations(self) -> Iterator[core.Metric]:
        try:
            counts = self.operations()
        except errors.EstampeError:
            return
        found = core.GaugeMetricFamily("estampe_operations", "Operations on record.", labels=["kind", "state"])
        queue = core.GaugeMetricFamily("estampe_queue_length", "Operations that wait to begin.", labels=["kind"])
        for kind in operation.Kind:
            for state in operation.State:
                found.add_metric([kind.value, state.value], counts.get((kind, state), 0))
            queue.add_metric([kind.value], counts.get((kind, operation.State.QUEUED), 0))
        yield from (found, queue)

    def _store(self) -> Iterator[core.Metric]:
        try:
            available_bytes = self.available_bytes()
        except errors.EstampeError:
            available_bytes = None
        if available_bytes is not None:
            yield core.GaugeMetricFamily("estampe_store_available_bytes", "Free for new chunks.", available_bytes)
        latest = None if self.usage is None else self.usage.latest()
        if latest is None:
            return
        age_seconds, usage = latest
        held = core.GaugeMetricFamily("estampe_store_bytes", "What the store holds, in stages.", labels=["stage"])
        for stage in ("logical", "data", "distinct", "stored", "orphan"):
            held.add_metric([stage], getattr(usage, f"{stage}_bytes"))
        yield held
        yield core.GaugeMetricFamily("estampe_store_chunks", "Chunks in the store.", usage.chunks)
        yield core.GaugeMetricFamily("estampe_store_usage_age_seconds", "How old these figures are.", age_seconds)

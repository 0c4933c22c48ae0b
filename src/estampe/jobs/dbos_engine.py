"""The workflow engine of the daemon: DBOS (3.4) over a system database of its own, behind `jobs.base`.

What DBOS is trusted with: one workflow per id, steps recorded in order, queues with a bound, taking up at launch what was
cut off. What it is not: its pickles (JSON here), its cancel (it refuses the undo steps too, so Estampe has a flag of its
own), its dead letters (they would leave an operation that nobody ends), its console, telemetry and network.

    workflow id      <operation id>, or <operation id>@<generation> for the abandon body of an operation of another one
    workflow name    <kind>, or <kind>.abandon
    queue            estampe-<kind>
    application_version   the generation

DBOS keeps one instance per process, so there is one DbosEngine at a time. `import dbos` takes a second: import this
module where the daemon starts, nowhere else.
"""

from __future__ import annotations

import concurrent.futures
import logging
import threading
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import dbos
import sqlalchemy as sa
from dbos._error import DBOSUnexpectedStepError  # 3.4 exports it nowhere else

from estampe.db import postgresql, sqlite
from estampe.jobs import base, dbos_queues, outcome

_log = logging.getLogger(__name__)

# Each kind has its queue, and a look at one takes some 4 ms of CPU: four queues looked at twice a second keep an idle daemon
# at 3 % of a core (five times: 9 %, once: 2 %). New work does not wait for one (`dbos_queues`), only what stood behind other work.
QUEUE_INTERVAL_SECONDS: Final = 0.5
_UNFINISHED: Final = ["ENQUEUED", "PENDING", "DELAYED"]
_RECOVERY_SECONDS: Final = 5.0


class _Strayed(BaseException):
    """A body did not follow its records. Not an Exception, so that no body takes it for a step's failure."""


class DbosEngine:
    """See `jobs.base.Engine`. `concurrency` bounds how many operations of a kind run at once; 1 where it names none."""

    def __init__(
        self,
        database_url: str,
        *,
        executor_id: str,
        generation: int,
        concurrency: Mapping[str, int],
        observer: base.StepObserver | None = None,
        queue_interval_seconds: float = QUEUE_INTERVAL_SECONDS,
    ) -> None:
        self._queue_interval_seconds = queue_interval_seconds
        self._generation = generation
        self._concurrency = concurrency
        self._observer = observer
        self._workflows: dict[str, Callable[[str], None]] = {}
        self._abandoning: dict[str, Callable[[str, dict[str, Any]], None]] = {}
        self._closing = threading.Event()
        self._running = _Running()
        self._database = _open(database_url)
        _quiet_logs()
        self._executor_id = executor_id
        instance = dbos.DBOS(
            config={
                "name": "estampe",
                # PostgreSQL's may hold a password, and DBOS writes what it gets into messages: the engine knows where to go.
                "system_database_url": None if postgresql.is_url(database_url) else database_url,
                "system_database_engine": self._database,
                "dbos_system_schema": postgresql.JOBS_SCHEMA,  # SQLite has none
                "application_version": str(generation),
                "executor_id": executor_id,
                "serializer": dbos.DBOSPortableJSONSerializer(),
                "log_level": "WARNING",
                "enable_otlp": False,
                # Nothing is sent to workflows; this is how long `close` waits for the thread that would look for it.
                "notification_listener_polling_interval_sec": 0.1,
            }
        )
        self._queues = dbos_queues.Queues(instance)

    def register(self, kind: str, body: base.Body, *, abandon: base.Abandon) -> None:
        """See `base.Engine`."""

        def run(operation_id: str) -> None:
            self._run(kind, uuid.UUID(operation_id), body)

        def run_abandon(operation_id: str, outcomes: dict[str, Any]) -> None:
            self._run(kind, uuid.UUID(operation_id), lambda steps, of: abandon(steps, of, outcomes))

        # No bound on attempts: DBOS would end the workflow silently, with nobody to undo it and to free its locks. An
        # operation that kills the daemon each time is ended by cancelling it: the next step hears of it first.
        workflow = dbos.DBOS.workflow
        self._workflows[kind] = workflow(name=str(kind), max_recovery_attempts=None)(run)
        self._abandoning[kind] = workflow(name=f"{kind}.abandon", max_recovery_attempts=None)(run_abandon)

    def launch(self) -> None:
        """See `base.Engine`."""
        dbos.DBOS.launch()
        for kind in self._workflows:
            self._queues.open(
                _queue(kind), concurrency=self._concurrency.get(kind, 1), interval_seconds=self._queue_interval_seconds
            )
        for status in self._list_unfinished():
            if status.app_version != str(self._generation):
                self._take_over(status)
        self._await_recovery()
        self._queues.serve()

    def start(self, kind: str, operation_id: uuid.UUID) -> None:
        """See `base.Engine`."""
        with dbos.SetWorkflowID(str(operation_id)), dbos.SetEnqueueOptions(app_version=str(self._generation)):
            dbos.DBOS.enqueue_workflow(_queue(kind), self._workflows[kind], str(operation_id))
        self._queues.ring(_queue(kind))

    def list_unfinished(self) -> set[uuid.UUID]:
        """See `base.Engine`."""
        return {_operation_id(status.workflow_id) for status in self._list_unfinished()}

    def forget(self, operation_ids: Collection[uuid.UUID]) -> None:
        """See `base.Engine`."""
        if not operation_ids:
            return
        prefixes = [str(operation_id) for operation_id in operation_ids]
        found = dbos.DBOS.list_workflows(workflow_id_prefix=prefixes, load_input=False, load_output=False)
        unfinished = self.list_unfinished()
        ended = [each.workflow_id for each in found if _operation_id(each.workflow_id) not in unfinished]
        if ended:
            dbos.DBOS.delete_workflows(ended)

    def close(self, *, timeout_seconds: float) -> None:
        """See `base.Engine`. Bodies are cut off at their next step; steps that listen (`Steps.is_closing`) at once."""
        self._closing.set()
        if not self._running.wait_until_none(timeout_seconds):
            _log.warning(
                "closed while %d operations were inside a step; they go on at the next start", self._running.count
            )
        self._queues.close()
        dbos.DBOS.destroy(destroy_registry=True)
        self._database.dispose()

    def _run(self, kind: str, operation_id: uuid.UUID, body: base.Body) -> None:
        with self._running:
            if self._closing.is_set():
                raise base.Interrupted
            try:
                body(_Steps(operation_id, self._closing, self._observer), operation_id)
            except _Strayed:
                _log.exception("operation %s did not follow its records; it is undone", operation_id)
                # In a thread of its own: in this one DBOS would take the calls for steps of the workflow.
                with concurrent.futures.ThreadPoolExecutor(1) as outside:
                    outside.submit(self._abandon, kind, operation_id).result()

    def _list_unfinished(self) -> list[dbos.WorkflowStatus]:
        return dbos.DBOS.list_workflows(status=_UNFINISHED, load_input=False, load_output=False)

    def _await_recovery(self) -> None:
        """Until DBOS has put back into the queues what was cut off, which it does in a thread: the first look finds it then."""
        deadline = time.monotonic() + _RECOVERY_SECONDS
        while any(self._is_cut_off(status) for status in self._list_unfinished()) and time.monotonic() < deadline:
            time.sleep(0.01)

    def _is_cut_off(self, status: dbos.WorkflowStatus) -> bool:
        here = (str(self._generation), self._executor_id)
        return status.status == "PENDING" and (status.app_version, status.executor_id) == here

    def _take_over(self, stranger: dbos.WorkflowStatus) -> None:
        """End a workflow of another generation by this generation's abandon body; a kill in between repeats it."""
        kind = stranger.name.removesuffix(".abandon")
        if kind not in self._abandoning:
            _log.error("operation %s is of the kind %r, which nobody knows any more", stranger.workflow_id, kind)
            return
        _log.warning(
            "operation %s was begun by generation %s; it is undone", stranger.workflow_id, stranger.app_version
        )
        self._abandon(kind, _operation_id(stranger.workflow_id))
        dbos.DBOS.cancel_workflow(stranger.workflow_id)

    def _abandon(self, kind: str, operation_id: uuid.UUID) -> None:
        steps = dbos.DBOS.list_workflow_steps(str(operation_id))
        found = {step["function_name"]: step["output"] for step in steps if step["output"] is not None}
        outcomes = {name: each["value"] for name, each in found.items() if "value" in each}
        workflow_id = f"{operation_id}@{self._generation}"
        with dbos.SetWorkflowID(workflow_id), dbos.SetEnqueueOptions(app_version=str(self._generation)):
            dbos.DBOS.enqueue_workflow(_queue(kind), self._abandoning[kind], str(operation_id), outcomes)
        self._queues.ring(_queue(kind))


class _Steps:
    """One run's steps."""

    def __init__(self, operation_id: uuid.UUID, closing: threading.Event, observer: base.StepObserver | None) -> None:
        self._operation_id = operation_id
        self._closing = closing
        self._observer = observer
        self._names: set[str] = set()

    def run(self, name: str, step: Callable[[], Any]) -> Any:
        if self._closing.is_set():
            raise base.Interrupted
        if name in self._names:
            raise ValueError(f"the workflow has a step {name!r} already")
        self._names.add(name)
        was_run = False

        def observed() -> dict[str, Any]:
            nonlocal was_run
            was_run = True
            self._note(name, "begin")
            return outcome.of(name, step)

        try:
            found = dbos.DBOS.run_step({"name": name}, observed)
        except DBOSUnexpectedStepError as error:
            raise _Strayed(str(error)) from error
        except Exception as error:
            # The step's own errors are outcomes, so this one is the engine's: it cannot record. What is not recorded has
            # not happened; the step runs again at the next start. While closing that is expected.
            if not self._closing.is_set():
                _log.exception("operation %s is cut off: step %r cannot be recorded", self._operation_id, name)
            raise base.Interrupted from error
        if was_run:
            self._note(name, "end")
        return outcome.unwrap(found)

    def is_closing(self) -> bool:
        return self._closing.is_set()

    def _note(self, name: str, event: str) -> None:
        if self._observer is not None:
            self._observer(self._operation_id, name, event)


class _Running:
    """Counts the bodies inside it, for who waits for the last one to leave."""

    def __init__(self) -> None:
        self.count = 0
        self._changed = threading.Condition()

    def __enter__(self) -> None:
        with self._changed:
            self.count += 1

    def __exit__(self, *exc: object) -> None:
        with self._changed:
            self.count -= 1
            self._changed.notify_all()

    def wait_until_none(self, timeout_seconds: float) -> bool:
        deadline = time.monotonic() + timeout_seconds
        with self._changed:
            while self.count and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            return not self.count


def _open(url: str) -> sa.Engine:
    """An engine of our own: DBOS' has a rollback journal, where its threads wait for each other, and stops at a full disk.

    Durable as the catalogue: a step may record what can be seen only once ("the server was running"), and the next one
    acts on it. The record must not be lost to a power cut that the act survives.
    """
    if postgresql.is_url(url):
        # DBOS itself waits and tries again where the server is away, has too many connections, or has a full disk; but not
        # where a lock was waited for too long, so it gets no limit.
        return postgresql.create_engine(url, schema=postgresql.JOBS_SCHEMA, waits_for_locks=True)
    # The isolation level as DBOS sets it (3.4, _sys_db_sqlite.py), which tries again when the database is locked.
    return sqlite.create_engine(sa.make_url(url), isolation_level="IMMEDIATE", waits_for_space=True)


def _queue(kind: str) -> str:
    return f"estampe-{kind}"


def _operation_id(workflow_id: str) -> uuid.UUID:
    return uuid.UUID(workflow_id.partition("@")[0])


def _quiet_logs() -> None:
    """DBOS hangs a console handler on its logger unless it has one; with this one its warnings go where ours go."""
    logger = logging.getLogger("dbos")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())

"""What the daemon's engine alone is asked for: bounds, a quick end, and silence."""

import logging
import signal
import subprocess
import sys
import threading
import time
import uuid

import pytest
from tests.support import postgresql as postgresql_server

from estampe import errors
from estampe.db import sqlite
from estampe.jobs import base, dbos_engine

DEADLINE_SECONDS = 30


def ignore(_steps, _operation_id, _outcomes):
    """An abandon body that has nothing to do."""


@pytest.fixture
def make(tmp_path):
    made = []

    def engine(body, **options):
        url = f"sqlite:///{tmp_path}/jobs.sqlite"
        options = {"concurrency": {}, "queue_interval_seconds": 0.02, **options}
        made.append(dbos_engine.DbosEngine(url, executor_id="host", generation=1, **options))
        made[-1].register("capture", body, abandon=ignore)
        made[-1].launch()
        return made[-1]

    yield engine
    for each in made[-1:]:
        each.close(timeout_seconds=5)


@pytest.mark.parametrize(("concurrency", "most"), [({}, 1), ({"capture": 2}, 2)])
def test_no_more_operations_of_a_kind_run_than_allowed(make, concurrency, most):
    lock, full, ended = threading.Lock(), threading.Event(), threading.Semaphore(0)
    running, seen = set(), []

    def body(_steps, operation_id):
        with lock:
            running.add(operation_id)
            seen.append(len(running))
            if len(running) == most:
                full.set()
        full.wait(DEADLINE_SECONDS)
        with lock:
            running.discard(operation_id)
        ended.release()

    engine = make(body, concurrency=concurrency)
    for _ in range(5):
        engine.start("capture", uuid.uuid4())
    assert all(ended.acquire(timeout=DEADLINE_SECONDS) for _ in range(5))
    assert max(seen) == most


def test_work_begins_at_once_however_seldom_a_queue_is_looked_at(make):
    """New work, in an engine on new records, and what was cut off, at the next start."""
    begun, lives = threading.Event(), []

    def listen(steps):
        lives.append("began")
        begun.set()
        while len(lives) == 1:
            if steps.is_closing():
                raise base.Interrupted
            time.sleep(0.005)

    body = lambda steps, _operation_id: steps.run("copy", lambda: listen(steps))  # noqa: E731
    first = make(body, queue_interval_seconds=10 * DEADLINE_SECONDS)
    first.start("capture", uuid.uuid4())
    assert begun.wait(DEADLINE_SECONDS)
    first.close(timeout_seconds=DEADLINE_SECONDS)
    begun.clear()
    make(body, queue_interval_seconds=10 * DEADLINE_SECONDS)
    assert begun.wait(DEADLINE_SECONDS)


def test_a_step_that_listens_ends_with_the_engine_and_runs_again(make):
    begun, lives = threading.Event(), []

    def listen(steps):
        lives.append("began")
        begun.set()
        if len(lives) > 1:
            return
        deadline = time.monotonic() + DEADLINE_SECONDS
        while time.monotonic() < deadline:
            if steps.is_closing():
                raise base.Interrupted
            time.sleep(0.005)

    body = lambda steps, _operation_id: steps.run("copy", lambda: listen(steps))  # noqa: E731
    first = make(body)
    started = uuid.uuid4()
    first.start("capture", started)
    assert begun.wait(DEADLINE_SECONDS)
    before = time.monotonic()
    first.close(timeout_seconds=DEADLINE_SECONDS)
    assert time.monotonic() - before < 5
    begun.clear()
    second = make(body)
    assert begun.wait(DEADLINE_SECONDS)
    second.close(timeout_seconds=5)
    third = make(body)
    assert third.list_unfinished() == set()
    assert lives == ["began", "began"]


def test_a_step_that_does_not_listen_is_left_behind_in_time_and_not_recorded(make):
    begun, release, left = threading.Event(), threading.Event(), threading.Event()

    def body(steps, _operation_id):
        try:
            steps.run("stuck", lambda: begun.set() or release.wait(DEADLINE_SECONDS))
        finally:
            left.set()

    engine = make(body)
    started = uuid.uuid4()
    engine.start("capture", started)
    assert begun.wait(DEADLINE_SECONDS)
    before = time.monotonic()
    engine.close(timeout_seconds=0.1)
    assert time.monotonic() - before < 5
    release.set()
    assert left.wait(DEADLINE_SECONDS)
    ran = threading.Event()
    make(lambda steps, _operation_id: steps.run("stuck", ran.set))
    assert ran.wait(DEADLINE_SECONDS)


def test_work_of_a_kind_that_nobody_knows_any_more_is_told_and_kept(tmp_path, make, caplog):
    reached = threading.Event()

    def cut():
        reached.set()
        raise base.Interrupted

    engine = make(lambda steps, _operation_id: steps.run("one", cut))
    started = uuid.uuid4()
    engine.start("capture", started)
    assert reached.wait(DEADLINE_SECONDS)
    engine.close(timeout_seconds=5)
    url = f"sqlite:///{tmp_path}/jobs.sqlite"
    other = dbos_engine.DbosEngine(url, executor_id="host", generation=2, concurrency={})
    with caplog.at_level(logging.ERROR, logger="estampe"):
        other.launch()
    unfinished = other.list_unfinished()
    other.close(timeout_seconds=5)
    assert unfinished == {started}
    assert "'capture', which nobody knows" in caplog.text


QUIET = """
import logging, sys, threading, uuid
logging.basicConfig(stream=sys.stdout, level=logging.WARNING)
def no_network(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.bind"):
        print(f"network: {event} {args}", flush=True)
sys.addaudithook(no_network)
from estampe.jobs import dbos_engine
done = threading.Event()
engine = dbos_engine.DbosEngine(sys.argv[1], executor_id="host", generation=1, concurrency={})
engine.register("capture", lambda steps, id: (steps.run("one", lambda: 1), done.set()), abandon=lambda *_: None)
engine.launch()
engine.start("capture", uuid.uuid4())
assert done.wait(30)
engine.close(timeout_seconds=5)
"""


def test_the_engine_says_nothing_and_uses_no_network(tmp_path):
    argv = [sys.executable, "-W", "error::ResourceWarning", "-c", QUIET, f"sqlite:///{tmp_path}/jobs.sqlite"]
    ran = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


@pytest.mark.parametrize("module", ["base", "progress", "undo", "memory"])
def test_only_the_daemon_pays_for_the_engine(module):
    code = f"import sys, estampe.jobs.{module}; print([m for m in ('dbos', 'sqlalchemy') if m in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.mark.requires_root
def test_an_operation_that_fills_the_disk_of_the_records_can_still_be_undone(tmp_path, make):
    size = sqlite.RESERVE_BYTES * 3 // 2
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", tmp_path], check=True)
    try:
        lines, ended = [], threading.Event()

        def fill():
            with (tmp_path / "volume").open("wb", buffering=0) as stream:
                while True:
                    stream.write(bytes(4096))

        def body(steps, _operation_id):
            try:
                steps.run("fill", fill)
            except errors.EstampeError as error:
                lines.append(error.code)
            steps.run("note much", lambda: "x" * 1_000_000)
            steps.run("undo fill", (tmp_path / "volume").unlink)
            ended.set()

        engine = make(body)
        engine.start("capture", uuid.uuid4())
        assert ended.wait(DEADLINE_SECONDS)
        engine.close(timeout_seconds=5)
        assert lines == ["no-space"]
        assert not (tmp_path / "volume").exists()
        assert make(body).list_unfinished() == set()
    finally:
        subprocess.run(["umount", "-l", tmp_path], check=True)


@pytest.mark.requires_postgresql
def test_a_restart_of_postgresql_in_the_middle_of_a_step_is_waited_for(caplog):
    begun, release, ended = threading.Event(), threading.Event(), threading.Event()
    ran = []

    def body(steps, _operation_id):
        steps.run("one", lambda: (ran.append("one"), begun.set(), release.wait(DEADLINE_SECONDS))[0])
        steps.run("two", lambda: ran.append("two"))
        ended.set()

    with postgresql_server.cluster() as server:
        url = server.new()
        engine = dbos_engine.DbosEngine(
            url, executor_id="host", generation=1, concurrency={}, queue_interval_seconds=0.02
        )
        engine.register("capture", body, abandon=ignore)
        engine.launch()
        try:
            engine.start("capture", uuid.uuid4())
            assert begun.wait(DEADLINE_SECONDS)
            server.stop(signal.SIGQUIT)
            release.set()
            deadline = time.monotonic() + DEADLINE_SECONDS
            while "Retrying" not in caplog.text and time.monotonic() < deadline:
                time.sleep(0.02)  # the record was tried while no server was there
            server.start()
            assert ended.wait(DEADLINE_SECONDS)
            while engine.list_unfinished() and time.monotonic() < deadline:
                time.sleep(0.02)  # a thread that is not ours
            assert engine.list_unfinished() == set()
        finally:
            engine.close(timeout_seconds=5)
    assert ran == ["one", "two"]
    assert "is cut off" not in caplog.text


@pytest.mark.requires_postgresql
def test_the_engine_tells_no_password_of_postgresql(postgresql, caplog):
    url = f"{postgresql.new()}&password=hunter2"
    with caplog.at_level(logging.DEBUG):
        engine = dbos_engine.DbosEngine(url, executor_id="host", generation=1, concurrency={})
        engine.register("capture", lambda *_: None, abandon=ignore)
        engine.launch()
        engine.close(timeout_seconds=5)
    assert "hunter2" not in caplog.text

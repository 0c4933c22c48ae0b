"""Following an operation: what is said meanwhile, and how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.api import fakes, serving
from tests.unit.cli import conftest

from estampe import errors
from estampe.cli import display, exits, following, meter
from estampe.client import client
from estampe.model import operation
from estampe.schemas import operation as wire

MIB = 1024**2
_DONE = {"state": operation.State.SUCCEEDED, "ended_at": fakes.NOW, "result": {}}
_COMMAND = [sys.executable, "-c", "from estampe.cli.main import main; main()"]
_HEARS_CTRL_C = [
    "env",
    "--default-signal=INT",
]  # a shell makes what it puts in the background, a whole test run, deaf to it


def _copying(done: int, total: int | None = 1000 * MIB, phase: str = "copying vda") -> dict[str, Any]:
    return {"progress": operation.Progress(phase=phase, done_bytes=done, total_bytes=total)}


def test_without_a_terminal_each_phase_is_a_line(run: conftest.CommandLine, world: fakes.World) -> None:
    world.script = [
        _copying(0), _copying(500 * MIB), _copying(1000 * MIB), _copying(0, None, "storing the manifest"),
        {**_DONE, "result": {"template": "web@3", "logical_bytes": 12 * fakes.GIB, "offline_seconds": 31.0, "new_bytes": 1}},
    ]  # fmt: skip
    result = run("capture", "web-01")
    assert result.exit_code == 0, result.output
    assert result.stderr.splitlines() == ["planning", "copying vda: 1000 MiB", "storing the manifest"]
    assert result.stdout.splitlines()[0] == "captured web-01 as web@3 in 0.0 s"
    assert "12 GiB" in result.stdout
    assert "31 s" in result.stdout


def test_a_deploy_tells_each_server(run: conftest.CommandLine, world: fakes.World) -> None:
    servers = [
        {
            "name": "web-02",
            "addresses": ["192.0.2.10/24"],
            "is_confirmed": True,
            "detail": "the guest says that it is web-02",
        }
    ]
    changes = [{"what": "machine type", "was": "a", "now": "b", "why": "c"}]
    world.script = [{**_DONE, "result": {"template": "web@1", "servers": servers, "changes": changes}}]
    result = run("deploy", "web", "web-02")
    assert result.stdout.splitlines() == [
        "deployed web-02 from web@1 in 0.0 s",
        "  web-02: 192.0.2.10/24: the guest says that it is web-02",
        "  changed: machine type: a -> b (c)",
    ]


def test_programs_get_the_ended_operation_and_silence(run: conftest.CommandLine, world: fakes.World) -> None:
    world.script = [_copying(0), {**_DONE, "result": {"template": "web@3"}}]
    result = run("capture", "web-01", "--output", "json")
    assert json.loads(result.stdout)["result"] == {"template": "web@3"}
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("state", "error"),
    [
        (operation.State.FAILED, errors.ShutdownTimeout(server="web-01", seconds=180.0)),
        (operation.State.FAILED, errors.ChunkCorrupt(chunk="ab", detail="flipped")),
        (operation.State.CANCELLED, errors.Cancelled()),
    ],
)
def test_a_failure_of_the_operation_is_the_commands(
    run: conftest.CommandLine, world: fakes.World, state: operation.State, error: errors.EstampeError
) -> None:
    world.script = [{"state": state, "error": error.to_record(), "ended_at": fakes.NOW}]
    result = run("capture", "web-01")
    assert result.exit_code == exits.code_of(error)
    assert result.stderr.splitlines()[-1] == f"error: {error}"
    assert result.stdout == ""
    (failed,) = world.operations
    waited = run("operation", "wait", str(failed), "--output", "json")
    assert waited.exit_code == exits.code_of(error)
    assert json.loads(waited.stderr)["code"] == error.code


def test_showing_a_failed_operation_is_no_failure(run: conftest.CommandLine, world: fakes.World) -> None:
    begun = world.begin(operation.Kind.CAPTURE, "web-01")
    world.change(begun.id, state=operation.State.FAILED, error=errors.Cancelled().to_record())
    result = run("operation", "show", str(begun.id)[:8])
    assert result.exit_code == 0
    assert "[cancelled]" in result.stdout


def test_not_waiting_prints_the_id_alone_on_standard_output(run: conftest.CommandLine, world: fakes.World) -> None:
    result = run("capture", "web-01", "--no-wait")
    (begun,) = world.operations
    assert result.stdout == f"{begun}\n"
    assert f"estampe operation wait {begun}" in result.stderr


def test_a_cancel_waits_until_it_is_cancelled(run: conftest.CommandLine, world: fakes.World) -> None:
    begun = world.begin(operation.Kind.CAPTURE, "web-01")
    world.script = [_copying(1), {"state": operation.State.CANCELLED, "error": errors.Cancelled().to_record()}]
    result = run("operation", "cancel", str(begun.id)[:8], "--yes")
    assert result.exit_code == 0
    assert result.stdout == f"operation {begun.id} was cancelled\n"


def test_an_operation_that_has_ended_cannot_be_cancelled(run: conftest.CommandLine, world: fakes.World) -> None:
    begun = world.begin(operation.Kind.CAPTURE, "web-01")
    world.change(begun.id, **_DONE)
    assert run("operation", "cancel", str(begun.id), "--yes").exit_code == exits.CODES[errors.Conflict]


def test_a_check_that_finds_damage_fails_after_its_report(run: conftest.CommandLine, world: fakes.World) -> None:
    damaged = [{"chunk_id": "ab", "kind": "flipped", "detail": "d", "templates": [str(fakes.an_id(201))]}]
    report = {
        "chunks": 9,
        "checked_chunks": 9,
        "checked_bytes": 9,
        "manifests_read": 1,
        "damaged": damaged,
        "unreadable": [],
    }
    world.script = [{**_DONE, "result": report}, {**_DONE, "result": {**report, "damaged": []}}]
    result = run("store", "check")
    assert result.exit_code == exits.CODES[errors.Corrupt]
    assert str(fakes.an_id(201)) in result.stdout
    assert "1 chunks" in result.stderr
    sound = run("store", "check")
    assert sound.exit_code == 0
    assert "sound" in sound.stdout


def test_a_dry_sweep_needs_no_confirmation_and_says_that_nothing_was_removed(
    run: conftest.CommandLine, world: fakes.World
) -> None:
    world.script = [{**_DONE, "result": {"removed_chunks": 3, "removed_bytes": 3 * MIB}}]
    result = run("store", "sweep", "--dry-run")
    assert result.stdout.splitlines()[0].startswith("looked what a sweep would remove")
    told = [" ".join(line.split()) for line in result.stdout.splitlines()[1:]]
    assert told == ["would remove chunks 3", "would remove 3 MiB"]
    world.script = [{**_DONE, "result": {"removed_chunks": 3, "removed_bytes": 3 * MIB}}]
    assert "removed chunks" in run("store", "sweep", "--yes").stdout


class _Clock:
    """A clock that moves when it is told to sleep."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def _seen(**changes: Any) -> wire.Operation:
    return wire.Operation.model_validate(fakes.an_operation(**changes))


def _lines(steps: list[tuple[float, dict[str, Any]]]) -> list[str]:
    said: list[str] = []
    clock = _Clock()
    shown = display.Lines(say=said.append, clock=clock)
    for seconds, changes in steps:
        clock.now += seconds
        shown.update(_seen(**changes))
    return said


def test_a_long_phase_says_now_and_then_how_far_it_is() -> None:
    steps = [(0.0, _copying(0))] + [(0.5, _copying(step * 5 * MIB)) for step in range(1, 41)]
    assert _lines(steps) == [
        "copying vda: 1000 MiB",
        "copying vda: 50 MiB of 1000 MiB (5 %), 10 MiB/s, 1 min 35 s left",
        "copying vda: 100 MiB of 1000 MiB (10 %), 10 MiB/s, 1 min 30 s left",
        "copying vda: 150 MiB of 1000 MiB (15 %), 10 MiB/s, 1 min 25 s left",
        "copying vda: 200 MiB of 1000 MiB (20 %), 10 MiB/s, 1 min 20 s left",
    ]


def test_a_phase_that_counts_nothing_is_said_once() -> None:
    assert _lines([(0.0, {}), (10.0, {}), (10.0, {})]) == ["planning"]


def test_a_hundred_percent_is_never_said_before_the_end() -> None:
    said = _lines([(0.0, _copying(0)), (6.0, _copying(1000 * MIB)), (6.0, _copying(2000 * MIB))])
    assert not any("100 %" in line for line in said)
    assert "99 %" in said[1]


def test_waiting_and_cancelling_are_named() -> None:
    assert display.phase_name(_seen(state=operation.State.QUEUED)) == "waiting for its turn"
    assert display.phase_name(_seen(is_cancel_requested=True)) == "planning (cancelling)"


def test_the_rate_is_that_of_late() -> None:
    watched = meter.Meter()
    for second in range(60):
        done = min(second, 30) * 100 * MIB + max(0, second - 30) * MIB
        watched.add(float(second), wire.Progress(phase="p", done_bytes=done, total_bytes=None))
    assert watched.rate() == pytest.approx(MIB)


def test_a_daemon_that_comes_back_is_followed_on(world: fakes.World, tmp_path: Path) -> None:
    begun, path, clock = world.begin(operation.Kind.CAPTURE, "web-01"), tmp_path / "s", _Clock()
    said: list[str] = []

    with contextlib.ExitStack() as stack:

        def sleep(seconds: float) -> None:
            clock.sleep(seconds)
            if clock.now > 1003 and not path.exists():
                world.change(begun.id, **_DONE)
                stack.enter_context(serving.serving(world, path))

        with client.Client(path) as daemon:
            shown = display.Lines(say=said.append, clock=clock)
            follower = following.Follower(daemon=daemon, shown=shown, clock=clock, sleep=sleep)
            ended = follower.follow(wire.Operation.model_validate(begun))
    assert ended.state is operation.State.SUCCEEDED
    assert sum("does not answer" in line for line in said) == 1


def test_a_daemon_that_stays_away_is_given_up(world: fakes.World, tmp_path: Path) -> None:
    begun, clock = world.begin(operation.Kind.CAPTURE, "web-01"), _Clock()
    with client.Client(tmp_path / "s") as daemon:
        follower = following.Follower(daemon=daemon, shown=display.Silent(), clock=clock, sleep=clock.sleep)
        with pytest.raises(errors.DaemonUnavailable):
            follower.follow(wire.Operation.model_validate(begun))


@pytest.mark.parametrize("form", ["table", "json"])
def test_ctrl_c_leaves_the_operation_running_and_says_how_to_go_on(tmp_path: Path, form: str) -> None:
    # A daemon of its own: in one that tests share, a poll that an earlier follower left behind looks like this one's.
    world, path = fakes.World(), tmp_path / "s"
    begun = world.begin(operation.Kind.CAPTURE, "web-01")
    with serving.serving(world, path):
        process = subprocess.Popen(
            [*_HEARS_CTRL_C, *_COMMAND, "operation", "wait", str(begun.id), "-o", form],
            env={**os.environ, "ESTAMPE_SOCKET": str(path)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        _await(lambda: len(world.calls) > 2)  # one to find the operation, the others are its polls
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)
    assert process.returncode == 130, stderr
    assert stdout == ""
    assert f"estampe operation wait {begun.id}" in stderr
    assert f"estampe operation cancel {begun.id}" in stderr
    assert "Traceback" not in stderr
    if form == "json":
        assert json.loads(stderr)["code"] == "interrupted"
    assert world.operations[begun.id].state is operation.State.RUNNING
    assert not world.operations[begun.id].is_cancel_requested


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("capture web-01", "it may have begun: see `estampe operation list`"),
        ("deploy web n", "it may have begun: see `estampe operation list`"),
        ("store check", "it may have begun: see `estampe operation list`"),
        ("store sweep --yes -o json", "it may have begun: see `estampe operation list`"),
        ("server stop web-01", "the server may still shut down: see `estampe server show web-01`"),
    ],
)
def test_ctrl_c_before_the_daemon_has_answered_says_what_may_be(tmp_path: Path, arguments: str, told: str) -> None:
    with socket.socket(socket.AF_UNIX) as listening:  # takes the request, and never answers
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        process = subprocess.Popen(
            [*_HEARS_CTRL_C, *_COMMAND, *arguments.split()],
            env={**os.environ, "ESTAMPE_SOCKET": str(tmp_path / "s")},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        while not (asked := _request(listening)):
            pass  # the first connection only looks whether somebody listens
        with asked:
            _await(lambda: _is_asleep(process.pid))  # a signal just before it falls asleep would wake nobody
            process.send_signal(signal.SIGINT)
            stdout, stderr = process.communicate(timeout=30)
    assert (process.returncode, stdout) == (130, ""), stderr
    said = json.loads(stderr)["detail"] if "json" in arguments else stderr.strip()
    assert said == told


def _request(listening: socket.socket) -> socket.socket | None:
    """The next connection if a request came over it."""
    connection, _address = listening.accept()
    if connection.recv(1):
        return connection
    connection.close()
    return None


def _is_asleep(process_id: int) -> bool:
    """Whether the process waits for something, as proc_pid_stat(5) tells it."""
    status = Path(f"/proc/{process_id}/stat").read_text("utf-8")
    return status.rpartition(")")[2].split()[0] == "S"


def _await(is_so: Callable[[], bool]) -> None:
    """Until it is so, in another process; the test's own timeout bounds it."""
    while not is_so():
        select.select([], [], [], 0.02)


def _on_a_terminal(run: conftest.CommandLine, *arguments: str, typed: bytes = b"") -> tuple[int, str]:
    """Exit code and everything a terminal of 100 columns got."""
    parent, child = pty.openpty()
    env = {**os.environ, "ESTAMPE_SOCKET": str(run.socket_path), "TERM": "xterm-256color", "COLUMNS": "100"}
    process = subprocess.Popen([*_COMMAND, *arguments], env=env, stdin=child, stdout=child, stderr=child)
    os.close(child)
    if typed:
        os.write(parent, typed)
    seen = b""
    with contextlib.suppress(OSError):  # EIO: the last one who had it open has gone
        while piece := os.read(parent, 65536):
            seen += piece
    os.close(parent)
    return process.wait(30), seen.decode()


def test_on_a_terminal_phases_are_a_list_that_ends_with_the_outcome(
    run: conftest.CommandLine, world: fakes.World
) -> None:
    world.script = [_copying(0), _copying(500 * MIB), _copying(0, None, "evil \x1b]0;x\x07[red]"), _DONE]
    code, seen = _on_a_terminal(run, "capture", "web-01")
    assert code == 0
    for words in ("planning", "copying vda", "captured web-01"):
        assert words in seen
    assert "\x07" not in seen
    assert "[red]" in seen
    assert "100 %" not in seen
    assert seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l")  # the cursor is shown again


@pytest.mark.parametrize(("typed", "code"), [(b"y\n", 0), (b"n\n", 1), (b"\n", 1)])
def test_on_a_terminal_it_asks(run: conftest.CommandLine, world: fakes.World, typed: bytes, code: int) -> None:
    exit_code, seen = _on_a_terminal(run, "server", "delete", "web-01", typed=typed)
    assert exit_code == code
    assert "Delete server web-01" in seen
    assert bool(world.calls) is (code == 0)

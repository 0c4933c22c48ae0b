"""Characteristics on the command line: files, single ones, how they are shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.unit.api import fakes
from tests.unit.cli import conftest

from estampe import errors
from estampe.capture import request as capture
from estampe.cli import characteristics as command
from estampe.deploy import request as deploy
from estampe.model import characteristics, operation

GIB = fakes.GIB
TOML = """
tuned_for = "PostgreSQL 16"
[least]
memory = "2GiB"
volumes = { vda = "12GiB" }
[recommended]
cpus = 4
memory = 8589934592
[tuned]
queues = "cpus"
cache = "none"
io = "native"
rng = true
"""
KNOWN = characteristics.Characteristics(
    tuned_for="PostgreSQL 16",
    least=characteristics.Resources(memory_bytes=2 * GIB, volume_sizes={"vda": 12 * GIB}),
    recommended=characteristics.Resources(cpus=4, memory_bytes=8 * GIB),
    tuned=characteristics.Tuned(queues="cpus", cache="none", io="native", rng=True),
)


@pytest.fixture
def path(tmp_path: Path) -> str:
    (tmp_path / "db.toml").write_text(TOML)
    return str(tmp_path / "db.toml")


def test_a_capture_takes_a_file_and_single_ones(run: conftest.CommandLine, world: fakes.World, path: str) -> None:
    result = run("capture", "web-01", "--characteristics", path, "--set", "least.cpus=2", "--no-wait")
    assert result.exit_code == 0, result.output
    (_deed, asked) = world.calls[0]
    assert isinstance(asked, capture.CaptureRequest)
    assert asked.characteristics == characteristics.Change(given={"least": {"cpus": 2}}).apply(KNOWN)


def test_a_capture_says_nothing_unless_told(run: conftest.CommandLine, world: fakes.World) -> None:
    run("capture", "web-01", "--no-wait")
    assert world.calls == [("capture", capture.CaptureRequest(server="web-01"))]


def test_a_file_says_all_anew(run: conftest.CommandLine, world: fakes.World, path: str) -> None:
    result = run("template", "edit", "web@1", "--characteristics", path)
    assert result.exit_code == 0, result.output
    assert world.calls == [("replace characteristics", "web@1", KNOWN)]


def test_what_is_shown_as_json_can_be_given_back(run: conftest.CommandLine, world: fakes.World, path: str) -> None:
    run("template", "edit", "web@1", "--characteristics", path)
    shown = json.loads(run("template", "show", "web@1", "--output", "json").stdout)["template"]["characteristics"]
    given = run("template", "edit", "web@2", "--characteristics", "-", input=json.dumps(shown))
    assert given.exit_code == 0, given.output
    assert world.calls[-1] == ("replace characteristics", "web@2", KNOWN)


def test_single_ones_change_and_go(run: conftest.CommandLine, world: fakes.World) -> None:
    result = run(
        "template", "edit", "web@1", "--note", "n", "--set", "tuned.network_queues=2", "--set", "tuned.rng=no", "--set",
        "recommended.volumes.vda=40GiB", "--set", "tuned_for=a = b", "--unset", "tuned.cpu", "--unset", "least",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    edit, change = world.calls
    assert edit == ("edit", "web@1", None, "n", None)
    assert change[0] == "change characteristics"
    given = {
        "tuned_for": "a = b",
        "least": {"volume_sizes": {}},
        "recommended": {"volume_sizes": {"vda": 40 * GIB}},
        "tuned": {"network_queues": 2, "rng": False},
    }
    assert change[2] == characteristics.Change(unset=("tuned.cpu", "least"), given=given)


def test_a_profile_comes_with_exceptions(run: conftest.CommandLine, world: fakes.World) -> None:
    run("template", "tune", "web@1", "--profile", "linux-database", "--set", "tuned.io_threads=4")
    (found,) = [each for each in world.templates if each.version == 1]
    assert found.characteristics is not None
    assert (found.characteristics.tuned.io_threads, found.characteristics.tuned.cpu) == (4, "host-passthrough")


def test_they_are_shown_to_people(run: conftest.CommandLine, path: str) -> None:
    run("template", "edit", "web@1", "--characteristics", path)
    shown = run("template", "show", "web@1").stdout
    for words in (
        "PostgreSQL 16",
        "2 GiB of memory, vda of 12 GiB",
        "4 CPUs, 8 GiB of memory",
        "one per CPU",
        "native",
    ):
        assert words in shown


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--set", "least.cpus"], "--set"),
        (["--set", "cpus=2"], "--set"),
        (["--set", "least..x=2"], "--set"),
        (["--set", "profile.x=2"], "--set"),
        (["--set", "least.cpus=two"], "least.cpus"),
        (["--set", "least.memory=much"], "not a size"),
        (["--set", "tuned.colour=red"], "tuned.colour"),
        (["--set", "tuned.io=native"], "tuned.io"),
        (["--unset", "colour"], "error: --unset"),
        (["--set", "tuned_for="], "error: tuned_for:"),
        (["--characteristics", "/nowhere"], "cannot be read"),
    ],
)
def test_what_cannot_be_is_refused(run: conftest.CommandLine, arguments: list[str], told: str) -> None:
    result = run("template", "edit", "web@1", *arguments)
    assert result.exit_code == 2, result.output
    assert told in result.stderr


@pytest.mark.parametrize("content", ["least = ", "{", "[1]", "least = 3\n", "kind = 1\n"])
def test_a_file_that_is_not_one_is_refused(run: conftest.CommandLine, world: fakes.World, content: str) -> None:
    result = run("template", "edit", "web@1", "--characteristics", "-", input=content)
    assert result.exit_code == 2, result.output
    assert world.calls == []


def test_a_file_and_unset_exclude_each_other(run: conftest.CommandLine, path: str) -> None:
    assert run("template", "edit", "web@1", "--characteristics", path, "--unset", "least").exit_code == 2


def test_a_file_whose_group_is_no_table_is_refused_with_a_single_one_too() -> None:
    fields = {"least": 3}
    with pytest.raises(errors.InvalidRequest, match="not a table"):
        command._assign(fields, "least.cpus=2")


def test_a_deploy_may_do_without_the_settings(run: conftest.CommandLine, world: fakes.World) -> None:
    run("deploy", "web", "web-02", "--untuned", "--no-wait")
    assert world.calls == [("deploy", deploy.DeployRequest(template="web", name="web-02", is_tuned=False))]


def test_the_result_of_a_deploy_tells_each_setting(run: conftest.CommandLine, world: fakes.World) -> None:
    told = [
        {"what": "queues of volume vda", "asked": "one per CPU", "given": "2", "why": None},
        {"what": "CPU", "asked": "host-passthrough", "given": "maximum", "why": "no KVM"},
    ]
    done = {"state": operation.State.SUCCEEDED, "ended_at": fakes.NOW, "result": {"settings": told}}
    world.script = [done]
    shown = run("deploy", "web", "web-02").stdout
    assert "applied: queues of volume vda: 2" in shown
    assert "not applied: CPU: host-passthrough asked, maximum given (no KVM)" in shown

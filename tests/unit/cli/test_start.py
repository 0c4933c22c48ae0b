"""How quickly commands start, and what the shell can complete."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from tests.unit.api import fakes
from tests.unit.cli import conftest

from estampe.cli import completion
from estampe.model import operation

# Not pydantic: Typer 0.29 parses parameters with it, 80 ms as soon as there is more than --help.
_HEAVY = {"httpx", "rich", "fastapi", "uvicorn", "sqlalchemy", "dbos", "libvirt", "structlog", "blake3"}


@pytest.mark.parametrize("arguments", [["--help"], ["deploy", "--help"], ["server"], ["--version"]])
def test_help_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import contextlib, sys\n"
        "from estampe.cli.main import app\n"
        f"with contextlib.suppress(SystemExit): app({arguments!r})\n"
        "print('modules', *sorted({name.partition('.')[0] for name, loaded in sys.modules.items() if loaded}))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert loaded.isdisjoint(_HEAVY | ({"pydantic"} if arguments == ["--help"] else set()))


def test_a_command_does_not_import_the_daemons_libraries(run: conftest.CommandLine) -> None:
    code = (
        "import sys\n"
        "from estampe.cli.main import app\n"
        "app(['server', 'list'], standalone_mode=False)\n"
        "print('modules', *sorted({name.partition('.')[0] for name, loaded in sys.modules.items() if loaded}))\n"
    )
    env = {**os.environ, "ESTAMPE_SOCKET": str(run.socket_path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert loaded.isdisjoint(
        {"fastapi", "uvicorn", "sqlalchemy", "dbos", "libvirt", "rich", "click", "pygments", "blake3"}
    )


def test_ctrl_c_while_modules_are_imported_ends_as_later(tmp_path: Path) -> None:
    (tmp_path / "typer.py").write_text("raise KeyboardInterrupt\n")
    done = subprocess.run(
        [sys.executable, "-c", "from estampe.cli.start import main; main()", "--help"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_the_console_script_begins_there() -> None:
    (script,) = metadata.entry_points(group="console_scripts", name="estampe")
    assert script.value == "estampe.cli.start:main"


@pytest.fixture
def here(run: conftest.CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESTAMPE_SOCKET", str(run.socket_path))


@pytest.mark.usefixtures("here")
def test_names_are_completed(world: fakes.World) -> None:
    begun = world.begin(operation.Kind.CAPTURE, "web-01")
    assert completion.servers("we") == ["web-01"]
    assert completion.servers("x") == []
    assert completion.templates("") == ["web"]
    assert completion.templates("web@") == ["web@2", "web@1"]
    assert completion.operations("0") == [str(begun.id)]


@pytest.mark.usefixtures("here")
def test_names_that_a_shell_could_mistake_are_not_offered(world: fakes.World) -> None:
    world.servers = {name: fakes.a_server(name=name) for name in ("ok-1", "a b", "$(reboot)", "x;y", "\x1b[2J", "`z`")}
    assert completion.servers("") == ["ok-1"]


@pytest.mark.usefixtures("here")
def test_a_daemon_that_fails_completes_nothing(world: fakes.World) -> None:
    world.failure = RuntimeError("a defect")
    assert completion.servers("") == []


def test_without_a_daemon_nothing_is_completed_and_nothing_said(
    run_alone: conftest.CommandLine, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ESTAMPE_SOCKET", str(run_alone.socket_path))
    assert completion.servers("") == completion.templates("") == completion.operations("") == []
    assert capfd.readouterr() == ("", "")


def test_the_shell_completes_by_the_command_itself(run: conftest.CommandLine) -> None:
    env = {
        **os.environ,
        "ESTAMPE_SOCKET": str(run.socket_path),
        "_ESTAMPE_COMPLETE": "complete_bash",
        "COMP_WORDS": "estampe server show we",
        "COMP_CWORD": "3",
    }
    code = "import sys; sys.argv[0] = 'estampe'; from estampe.cli.main import main; main()"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["web-01"]


@pytest.mark.parametrize(
    ("words", "current", "found"),
    [
        (["template", "show", "web", "@"], 4, ["2", "1"]),  # web@<TAB>
        (["template", "show", "web", "@", "1"], 5, ["1"]),  # web@1<TAB>
        (["template", "show", "web", "@", "9"], 5, []),
        (["template", "show", "we"], 3, ["web"]),
        (["template", "show", ""], 3, ["web"]),
        (["deploy", "web", "@", "1", "--no-wa"], 5, ["--no-wait"]),
    ],
)
def test_versions_are_completed_though_bash_cuts_words_at_the_sign(
    run: conftest.CommandLine, words: list[str], current: int, found: list[str]
) -> None:
    env = {
        **os.environ,
        "ESTAMPE_SOCKET": str(run.socket_path),
        "_ESTAMPE_COMPLETE": "complete_bash",
        "COMP_WORDS": "\n".join(["estampe", *words]),
        "COMP_CWORD": str(current),
    }
    code = "import sys; sys.argv[0] = 'estampe'; from estampe.cli.start import main; main()"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert done.stdout.split() == found

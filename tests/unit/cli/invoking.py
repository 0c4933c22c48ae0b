"""Commands run in the test's own process, as typer's runner does it, with the tree of commands built once and not for each."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass

import typer
import typer.main
from typer import testing

from estampe.cli import main


@dataclass(frozen=True)
class Done:
    """What a command told, and how it ended."""

    exit_code: int
    stdout: str
    stderr: str
    output: str  # both, in their order


@functools.cache
def _tree() -> typer.main.TyperGroup:
    return typer.main.get_group(main.app)


def invoke(*arguments: str, input: str | None = None, env: Mapping[str, str]) -> Done:
    """Run it. Raises: whatever is a defect of the command."""
    with testing.CliRunner().isolation(input=input, env=env) as streams:
        code = 0
        try:
            _tree().main(arguments, prog_name="estampe")
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        stdout, stderr, output = (each.getvalue().decode().replace("\r\n", "\n") for each in streams)
    return Done(code, stdout, stderr, output)

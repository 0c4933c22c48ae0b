"""The reference says everything that the code has: commands, options, errors, exit codes, routes, settings."""

from __future__ import annotations

import pytest
from tests.docs import generate
from tests.matrix import rows, table

from estampe import config, errors
from estampe.cli import exits


def _page(name: str) -> str:
    return (generate.DOCS / name).read_text()


@pytest.mark.parametrize("name", generate.PAGES)
def test_a_generated_page_is_in_step_with_the_code(name: str) -> None:
    text = _page(name)
    assert text == generate.renew(text, generate.PAGES[name]()), "run `python -m tests.docs.generate`"


@pytest.mark.parametrize(("name", "command"), list(generate.commands()))
def test_every_command_and_option_is_documented(name: str, command: object) -> None:
    section = _page("reference/cli.md").split(f"\n## {name}\n")[1].split("\n## ")[0]
    for parameter in command.params:  # type: ignore[attr-defined]
        if parameter.name != "help":
            assert parameter.help, f"{name}: {parameter.name} has no help"
            assert any(option in section for option in parameter.opts) or parameter.metavar in section
    assert f"$ {name}" in section


def test_every_error_code_is_documented() -> None:
    page = _page("reference/errors.md")
    assert [code for code in errors.all_errors() if f"`{code}`" not in page] == []


def test_every_exit_code_is_documented() -> None:
    page = _page("reference/exit-codes.md")
    codes = {exits.SUCCESS, exits.FAILURE, exits.INTERRUPTED, *exits.CODES.values()}
    assert [code for code in codes if f"\n| {code} |" not in page] == []


def test_every_error_belongs_to_a_family_that_is_documented() -> None:
    families = tuple(generate.families())
    strays = [kind for kind in errors.all_errors().values() if not issubclass(kind, families)]
    assert strays == [errors.EstampeError]


def test_every_route_is_documented() -> None:
    page = _page("reference/api.md")
    assert [f"{method} {path}" for method, path, _ in generate.routes() if f"### {method} {path}\n" not in page] == []


def test_every_route_and_shape_says_what_it_is() -> None:
    assert all(route["description"] for _method, _path, route in generate.routes())
    shapes = generate.openapi()["components"]["schemas"]
    assert [name for name, shape in shapes.items() if "description" not in shape and "Validation" not in name] == []


def test_the_table_of_guests_has_a_row_for_each_guest_of_the_matrix() -> None:
    """Its other columns are compared where the guests run: tests/matrix."""
    assert [row[:3] for row in table.written().values()] == [table.fixed(row) for row in rows.ROWS]
    assert all(len(row) == len(table.COLUMNS) and all(row) for row in table.written().values())


def test_every_setting_is_documented_with_its_variable_and_default() -> None:
    page = _page("reference/settings.md")
    for name, field in config.Settings.model_fields.items():
        rows = [line for line in page.splitlines() if line.startswith(f"| `{name}`")]
        assert len(rows) == 1, name
        assert f"ESTAMPE_{name.upper()}" in rows[0]
        for default in field.default if isinstance(field.default, tuple) else (field.default,):
            shown = f"{default:g}" if isinstance(default, float) else str(default)
            assert default is None or shown in rows[0], name

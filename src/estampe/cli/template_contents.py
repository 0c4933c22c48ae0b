"""`estampe template diff`, and the lists of `estampe template show --packages`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from estampe.cli import describe, options, output, terminal, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from estampe.schemas import contents

_SIGNS: Final = {"added": "+", "removed": "-", "changed": "~"}
_LISTS: Final = {
    "configuration": "configuration",
    "volumes": "volumes",
    "packages": "packages",
    "users": "users",
    "services": "enabled services",
    "files": "files under /etc",
}


def compare_templates(
    before: options.Template, after: options.SecondTemplate, form: output.Option = output.Output.TABLE
) -> None:
    """Tell what is different from one template to another.

    Compared are the configuration, volumes and partitions, packages, users, enabled services, and the files under /etc
    (by digest: their content is not recorded). `+` was added, `-` removed, `~` changed.

    \b
    Examples:
      estampe template diff web@1 web@2
      estampe template diff web@1 web@2 --output json | jq '.packages[] | select(.kind == "changed")'
    """
    from estampe.client import client

    with client.Client() as daemon:
        found = daemon.compare_templates(before, after)
    if form is output.Output.JSON:
        terminal.document(found)
    else:
        terminal.say(_lines(found))


def _lines(found: contents.Comparison) -> list[str]:
    sections = [
        line for name, title in _LISTS.items() for line in describe.section(title, _section(getattr(found, name), name))
    ]
    not_compared = [text.plain(f"{_LISTS[each.what]}: {each.why}") for each in found.not_compared]
    head = f"from {found.before} to {found.after}" + ("" if sections else ": no difference found")
    return [text.plain(head), *sections, *describe.section("not compared", not_compared)]


def _section(changes: Sequence[contents.Difference], name: str) -> list[str]:
    if not changes:
        return []
    if name in {"services", "files"}:  # that they are different is all there is to see
        return [text.plain(f"{_SIGNS[each.kind]} {each.what}") for each in changes]
    columns = [text.Column(""), text.Column("NAME"), text.Column("BEFORE"), text.Column("AFTER")]
    return text.table(columns, [(_SIGNS[each.kind], each.what, each.before, each.after) for each in changes])


def package_lines(inventory: contents.Inventory) -> list[str]:
    """The packages as a table, with what is left out."""
    columns = [text.Column("PACKAGE"), text.Column("VERSION"), text.Column("ARCHITECTURE")]
    rows = [(each.name, each.version, each.architecture) for each in inventory.packages]
    more = [f"more than the {len(rows)} that were recorded"] if "packages" in inventory.cut else []
    return [*(text.table(columns, rows) if rows else ["none that Estampe can read"]), *more]

"""Characteristics as people write them: a file of TOML or JSON, `least.memory=4GiB`; and as they are shown."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from estampe import errors, units
from estampe.cli import describe, text, values

if TYPE_CHECKING:
    from estampe.schemas import characteristics

File = Annotated[
    str | None,
    typer.Option(
        "--characteristics", metavar="FILE", help="What it is tuned for: a file of TOML or JSON; - for standard input."
    ),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="One characteristic, as least.memory=2GiB, recommended.volumes.vda=40GiB, tuned.queues=cpus; may be repeated.",
    ),
]

_GROUPS: Final = ("tuned_for", "least", "recommended", "tuned")
# Keys as people write them -> as they go over the wire. Both are taken in a file, so that what `--output json` gives fits.
_NAMES: Final = {"memory": "memory_bytes", "volumes": "volume_sizes"}


def _number(word: str) -> int:
    return int(word) if word.isascii() and word.isdigit() and len(word) < 10 else -1  # -1 is in no one's bounds


def _number_or_word(word: str) -> int | str:
    return int(word) if word.isascii() and word.isdigit() and len(word) < 10 else word


def _switch(word: str) -> bool | str:
    return {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}.get(word.lower(), word)


_PARSERS: Final[dict[str, Callable[[str], Any]]] = {
    "cpus": _number,
    "memory_bytes": units.parse_size,
    "queues": _number_or_word,
    "network_queues": _number_or_word,
    "io_threads": _number,
    "rng": _switch,
}


def read(path: str | None, assignments: Sequence[str]) -> dict[str, Any]:
    """Fields of a request: those of the file, with the assignments put on top. Raises: errors.InvalidRequest, errors.InvalidSize."""
    fields = {} if path is None else _from_file(values.read_file(path, option="--characteristics"))
    for assignment in assignments:
        _assign(fields, assignment)
    return fields


def _from_file(content: str) -> dict[str, Any]:
    try:
        told = json.loads(content) if content.lstrip().startswith("{") else tomllib.loads(content)
    except (ValueError, RecursionError) as error:  # both readers' errors are ValueErrors
        problem = f"the file is neither TOML nor a JSON object: {error}"
        raise errors.InvalidRequest(field="--characteristics", problem=problem) from error
    for name in told:
        if name not in _GROUPS:
            raise errors.InvalidRequest(field=ascii(name)[1:-1][:64], problem=f"there are only {', '.join(_GROUPS)}")
    return {name: _group(name, value) if isinstance(value, dict) else value for name, value in told.items()}


def _group(name: str, told: dict[str, Any]) -> dict[str, Any]:
    """`least` and `recommended` with sizes in bytes; anything else as it is, for the request to judge."""
    if name not in {"least", "recommended"}:
        return told
    made = {_NAMES.get(key, key): value for key, value in told.items()}
    if isinstance(made.get("memory_bytes"), str):
        made["memory_bytes"] = units.parse_size(made["memory_bytes"])
    sizes = made.get("volume_sizes")
    if isinstance(sizes, dict):
        made["volume_sizes"] = {key: _size(value) for key, value in sizes.items()}
    return made


def _size(value: Any) -> Any:
    return units.parse_size(value) if isinstance(value, str) else value


def _assign(fields: dict[str, Any], assignment: str) -> None:
    key, equals, value = assignment.partition("=")
    path = key.split(".", 2)
    if not equals or path[0] not in _GROUPS or not all(path) or (len(path) == 1) != (path[0] == "tuned_for"):
        problem = f"{assignment!r} is not a characteristic and its value, as least.cpus=2 or tuned_for=builds"
        raise errors.InvalidRequest(field="--set", problem=problem)
    *groups, last = [path[0], *(_NAMES.get(part, part) for part in path[1:2]), *path[2:]]
    parse = units.parse_size if groups[-1:] == ["volume_sizes"] else _PARSERS.get(last, str)
    for group in groups:
        fields = fields.setdefault(group, {})
        if not isinstance(fields, dict):
            raise errors.InvalidRequest(field="--set", problem=f"{group} in the file is not a table")
    fields[last] = parse(value)


# --- shown ----------------------------------------------------------------------------------------------------------


def section(told: characteristics.Characteristics | None) -> list[str]:
    """A section of `template show`; nothing where nothing is said."""
    if told is None:
        return []
    facts = [
        ("tuned for", told.tuned_for),
        ("least", _resources(told.least)),
        ("recommended", _resources(told.recommended)),
    ]
    return [
        *describe.section("characteristics", text.pairs(facts)),
        *describe.section("tuned settings", tuned(told.tuned)),
    ]


def tuned(settings: characteristics.Tuned) -> list[str]:
    """A line for each setting that is said."""
    said = [(name, value) for name, value in settings.model_dump().items() if value is not None]
    return text.pairs([(name.replace("_", " "), _word(value)) for name, value in said])


def _word(value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "one per CPU" if value == "cpus" else value


def _resources(told: characteristics.Resources) -> str | None:
    parts = [] if told.cpus is None else [f"{told.cpus} CPUs"]
    if told.memory_bytes is not None:
        parts.append(f"{units.format_bytes(told.memory_bytes)} of memory")
    parts.extend(f"{target} of {units.format_bytes(size)}" for target, size in told.volume_sizes.items())
    return ", ".join(parts) or None


def settings(told: Sequence[characteristics.Setting]) -> list[str]:
    """What of a template's characteristics new servers get, and what not, with the reason; in sections of a plan."""
    given = [f"{each.what}: {each.given}" for each in told if each.why is None]
    missing = [
        f"{each.what}: {each.asked} asked, {each.given} given ({each.why})" for each in told if each.why is not None
    ]
    return [
        *describe.section("as the template asks", [text.plain(line) for line in given]),
        *describe.section("not as the template asks", [text.plain(line) for line in missing]),
    ]

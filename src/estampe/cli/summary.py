"""What came out of an operation, in a few lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from estampe import units
from estampe.cli import text

if TYPE_CHECKING:
    from estampe.schemas import operation


def lines(ended: operation.Operation) -> list[str]:
    """The outcome of an operation that succeeded. Copes with results of other versions: what is missing is not told."""
    result = _would(ended.result or {}) if ended.request.get("is_dry_run") else ended.result or {}
    tell = {"capture": _capture, "deploy": _deploy, "check": _check}.get(ended.kind.value, _facts)
    return [text.plain(f"{_deed(ended, result)}{_took(ended)}"), *tell(result)]


def _deed(ended: operation.Operation, result: dict[str, Any]) -> str:
    template = result.get("template")
    match ended.kind.value:
        case "capture":
            return f"captured {ended.subject}" + (f" as {template}" if template else "")
        case "deploy":
            return f"deployed {ended.subject}" + (f" from {template}" if template else "")
        case "check":
            return "checked the store"
        case "sweep":
            return "looked what a sweep would remove" if ended.request.get("is_dry_run") else "swept the store"


def _would(result: dict[str, Any]) -> dict[str, Any]:
    """A dry run's result, whose keys are those of a run that was not: nothing was removed."""
    return {key.replace("removed_", "would_remove_", 1): value for key, value in result.items()}


def _took(ended: operation.Operation) -> str:
    if ended.started_at is None or ended.ended_at is None:
        return ""
    return f" in {units.format_duration((ended.ended_at - ended.started_at).total_seconds())}"


def _capture(result: dict[str, Any]) -> list[str]:
    facts: list[tuple[str, object]] = [
        ("  size", size(result.get("logical_bytes"))),
        ("  data", size(result.get("data_bytes"))),
        ("  new in the store", size(result.get("new_bytes"))),
        ("  server offline for", seconds(result.get("offline_seconds"))),
        ("  not sealed", result.get("why_not_sealed") if result.get("is_sealed") is False else None),
    ]
    return text.pairs(facts)


def _deploy(result: dict[str, Any]) -> list[str]:
    told: list[str] = []
    for server in _dicts(result.get("servers")):
        addresses = server.get("addresses")
        known = ", ".join(str(address) for address in addresses) if isinstance(addresses, list | tuple) else ""
        parts = [str(server.get("name", "?")), known, str(server.get("detail") or "")]
        told.append(text.plain("  " + ": ".join(part for part in parts if part)))
        told.extend(_reported(change) for change in _dicts(server.get("report")))
    told.extend(
        text.plain(f"  changed: {change.get('what')}: {change.get('was')} -> {change.get('now')} ({change.get('why')})")
        for change in _dicts(result.get("changes"))
    )
    told.extend(_setting(setting) for setting in _dicts(result.get("settings")))
    warnings = result.get("warnings")
    told.extend(text.plain(f"  ! {each}") for each in (warnings if isinstance(warnings, list | tuple) else []))
    return told


def _reported(change: dict[str, Any]) -> str:
    what, detail, why = change.get("what"), change.get("detail"), change.get("why")
    return text.plain(
        f"    {what}: {detail} ({change.get('means')})" if why is None else f"    ! {what}: {detail}: {why}"
    )


def _setting(setting: dict[str, Any]) -> str:
    """One line for each: what a template is tuned with is shown whether it was given or not."""
    what, given, why = setting.get("what"), setting.get("given"), setting.get("why")
    if why is None:
        return text.plain(f"  applied: {what}: {given}")
    return text.plain(f"  not applied: {what}: {setting.get('asked')} asked, {given} given ({why})")


def _check(result: dict[str, Any]) -> list[str]:
    damaged, unreadable = _dicts(result.get("damaged")), _dicts(result.get("unreadable"))
    told = [f"  {_checked(result)}: {'damaged' if damaged or unreadable else 'sound'}"]
    for chunk in damaged:
        needed = ", ".join(str(template) for template in chunk.get("templates") or []) or "none"
        told.append(
            f"  chunk {chunk.get('chunk_id')} is {chunk.get('kind')} ({chunk.get('detail')}); templates hurt: {needed}"
        )
    told.extend(f"  manifest {each.get('template_id')}: {each.get('error')}" for each in unreadable)
    return [text.plain(line) for line in told]


def _checked(result: dict[str, Any]) -> str:
    chunks = f"{result.get('checked_chunks')} of {result.get('chunks')} chunks ({size(result.get('checked_bytes'))})"
    return f"{chunks} and {result.get('manifests_read')} manifests"


def _facts(result: dict[str, Any]) -> list[str]:
    """Whatever a result holds, by the names of its keys; lists of things one a line."""
    facts: list[tuple[str, object]] = []
    for key, value in result.items():
        name = "  " + key.removesuffix("_bytes").removesuffix("_seconds").replace("_", " ")
        if isinstance(value, list):
            facts.append((name, "\n".join(_item(item) for item in value) or "none"))
        else:
            facts.append((name, _value(key, value)))
    return text.pairs(facts)


def _item(item: object) -> str:
    if isinstance(item, dict):
        return ", ".join(f"{key.replace('_', ' ')} {_value(key, value)}" for key, value in item.items())
    return str(item)


def _value(key: str, value: object) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if key.endswith("_bytes"):
        return size(value)
    return seconds(value) if key.endswith("_seconds") else value


def size(value: object) -> str | None:
    """`1.5 GiB`, or None for what is not a number of bytes."""
    return units.format_bytes(value) if isinstance(value, int | float) else None


def seconds(value: object) -> str | None:
    """`12 s`, or None for what is not a number of seconds."""
    return units.format_duration(value) if isinstance(value, int | float) else None


def _dicts(value: object) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list | tuple) else []

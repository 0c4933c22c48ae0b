"""Fields of requests as the command line names them: people know options, not what the API calls the same thing."""

from __future__ import annotations

from typing import Final

from estampe import errors

_OPTIONS: Final = {
    "account": "--account", "action": "--action", "actor": "--actor", "address": "--address",
    "addresses": "--address", "admin_password": "--admin-password", "commands": "--run", "count": "--count",
    "cpus": "--cpus", "dns": "--dns", "expires_at": "--expires", "format": "--format", "fqdn": "--fqdn",
    "gateway": "--gateway", "gateways": "--gateway", "grace_seconds": "--grace", "grown": "--grow",
    "hostname": "--hostname", "is_renewed": "--renew-uuids", "is_shrunk": "--shrink", "is_vtpm_kept": "--keep-vtpm", "keep": "--keep", "keep_days": "--keep-days",
    "keep_last": "--keep-last", "left_out": "--without", "limit": "--limit", "memory": "--memory",
    "memory_bytes": "--memory", "name": "--name", "network": "--network", "new_volumes": "--add-volume",
    "note": "--note", "password_hash": "--password-hash", "pool": "--pool", "profile": "--profile",
    "publishers": "PUBLISHER", "remove": "--remove", "role": "--role", "route": "--route", "routes": "--route",
    "sample": "--sample", "search": "--search", "seed_format": "--seed", "server": "SERVER", "ssh_keys": "--ssh-key",
    "stop_timeout_seconds": "--stop-timeout", "subject": "--subject", "successor": "--successor", "tags": "--tag",
    "template": "TEMPLATE", "timeout_seconds": "--timeout", "timezone": "--timezone", "unset": "--unset",
    "url": "--url", "user": "USER", "user_data": "--user-data", "users": "--user", "volume_format": "--format",
    "volume_sizes": "--volume", "volumes": "--volume", "vtpm": "--vtpm",
}  # fmt: skip
# Keys of characteristics are written so on the command line and in files, too: `least.cpus` is not --cpus.
_CHARACTERISTICS: Final = {"tuned_for", "least", "recommended", "tuned"}
_OF_COMMAND: Final = {
    ("deploy", "name"): "NAME", ("account", "name"): "NAME", ("api-key", "name"): "NAME", ("member", "name"): "NAME",
    ("user", "name"): "USER", ("template", "account"): "--with", ("login", "name"): "USER",
}  # fmt: skip


def worded(error: errors.EstampeError, command: str | None) -> errors.EstampeError:
    """The error as the command's options have it: `interfaces.0.addresses.1` is --address. What has no option stays."""
    if not isinstance(error, errors.InvalidRequest):
        return error
    return errors.InvalidRequest(**{**error.facts, "field": _option(str(error.facts["field"]), command)})


def _option(field: str, command: str | None) -> str:
    """Numbers of items go, keys stay (`volume_sizes.vda`), and so does what follows in words (`dns of interface 2`)."""
    path, space, rest = field.partition(" ")
    parts = path.split(".")
    if parts[0] == "characteristics" and len(parts) > 1:
        parts = parts[1:]
    if parts[0] in _CHARACTERISTICS:
        return ".".join(parts) + space + rest
    known = [nth for nth, part in enumerate(parts) if part in _OPTIONS]
    if not known:
        return field
    last = known[-1]
    option = _OF_COMMAND.get((command or "", parts[last]), _OPTIONS[parts[last]])
    keys = [part for part in parts[last + 1 :] if not part.isdigit() and not part.startswith("[")]
    return " ".join([option, *keys]) + space + rest

"""The host name, where a guest keeps it, and the server's own name in /etc/hosts."""

from __future__ import annotations

from typing import Final

from estampe.guest import base
from estampe.guest.configuring import files, telling
from estampe.model import final

_HOSTNAME: Final = "/etc/hostname"
# Shell variables that hold the name too: sysconfig of older Red Hat, OpenRC's conf.d.
_VARIABLES: Final = (
    ("/etc/sysconfig/network", "HOSTNAME"),
    ("/etc/conf.d/hostname", "hostname"),
    ("/etc/rc.conf", "HOSTNAME"),
)
_RED_HAT: Final = ("/etc/redhat-release", "/etc/sysconfig/network-scripts")
_LOOPBACK: Final = frozenset({"127.0.0.1", "127.0.1.1", "::1"})
_NO_NAMES: Final = frozenset({"localhost", "ip6-localhost", "ip6-loopback"})


def configure(appliance: base.Appliance, wish: final.FinalConfiguration) -> list[final.Change]:
    """Set the name, and let it lead to the server itself; the source's own names no longer do."""
    old = _own_names(appliance)
    name = _written(appliance, wish)
    places = [_HOSTNAME]
    files.put(appliance, _HOSTNAME, f"{name}\n")
    if appliance.is_file("/etc/HOSTNAME"):  # SUSE before 13
        appliance.write("/etc/HOSTNAME", f"{wish.full_name or name}\n")
        places.append("/etc/HOSTNAME")
    places += [path for path, key in _VARIABLES if files.reassign(appliance, path, key, name)]
    if appliance.is_file("/etc/mailname") and appliance.read("/etc/mailname").strip().lower() in old:
        appliance.write("/etc/mailname", f"{wish.full_name or wish.short_name}\n")
        places.append("/etc/mailname")
    _write_hosts(appliance, wish, old)
    return [
        telling.done("host name", f"{name} ({', '.join(places)})"),
        telling.done("own name in /etc/hosts", " ".join(_names(wish))),
    ]


def _written(appliance: base.Appliance, wish: final.FinalConfiguration) -> str:
    """Red Hat's way is the full name, everybody else's the short one (hostname(5), Debian Reference 3.8.1)."""
    is_full = any(appliance.exists(path) for path in _RED_HAT)
    return wish.full_name or wish.short_name if is_full else wish.short_name


def _names(wish: final.FinalConfiguration) -> list[str]:
    """Full name first: that is the canonical one (hosts(5))."""
    return list(dict.fromkeys([*([wish.full_name] if wish.full_name else []), wish.short_name]))


def _own_names(appliance: base.Appliance) -> frozenset[str]:
    """What the source called itself, in lower case."""
    told = {files.read(appliance, path).strip() for path in (_HOSTNAME, "/etc/HOSTNAME")}
    told |= {files.assigned(files.read(appliance, path), key) or "" for path, key in _VARIABLES}
    names = {name.lower() for name in told if name and not name.startswith("#")} - {"localhost"}
    return frozenset(names | {name.partition(".")[0] for name in names})


def _write_hosts(appliance: base.Appliance, wish: final.FinalConfiguration, old: frozenset[str]) -> None:
    """127.0.1.1 is the place of a server's own name where its addresses may change (Debian Reference, 5.1.1)."""
    kept = [
        line
        for line in (_without(each, old) for each in files.read(appliance, "/etc/hosts").splitlines())
        if line is not None
    ]
    own = f"127.0.1.1\t{' '.join(_names(wish))}"
    after = next((nth for nth, line in enumerate(kept, start=1) if line.split()[:1] == ["127.0.0.1"]), None)
    if after is None:
        kept = ["127.0.0.1\tlocalhost", *kept]
        after = 1
    files.put(appliance, "/etc/hosts", "\n".join([*kept[:after], own, *kept[after:]]) + "\n")


def _without(line: str, old: frozenset[str]) -> str | None:
    """The line without names of the source for itself; None where nothing is left of it."""
    content, hash_sign, comment = line.partition("#")
    address, *names = content.split() or [""]
    if address not in _LOOPBACK:
        return line
    # All of 127.0.1.1 is the server's own: the source's full name has no other place where it could be known from.
    kept = [] if address == "127.0.1.1" else [name for name in names if not _is_own(name, old)]
    if kept == names:
        return line
    return f"{address}\t{' '.join(kept)}{' ' + hash_sign + comment if hash_sign else ''}" if kept else None


def _is_own(name: str, old: frozenset[str]) -> bool:
    lower = name.lower()
    return lower not in _NO_NAMES and (lower in old or lower.partition(".")[0] in old)

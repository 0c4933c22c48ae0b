"""The daemon and who may use it."""

from __future__ import annotations

import grp
from pathlib import Path

import estampe
from estampe import errors
from estampe.doctor import check


def check_group(group: str) -> check.Check:
    """The group whose members administrate without being root."""
    name = f"group {group}"
    try:
        members = grp.getgrnam(group).gr_mem
    except KeyError:
        fix = f"groupadd --system {group}\nadduser YOU {group}"
        return check.warn(name, "there is none: only root may use Estampe", fix=fix)
    return check.ok(name, f"members: {', '.join(members)}" if members else "no members but root")


def check_daemon(socket: Path) -> check.Check:
    """Whether it answers, and is of this version."""
    from estampe.client import client  # imported here: 0.1 s of HTTP client that the other checks do not need

    name = "daemon"
    try:
        with client.Client(socket) as daemon:
            answered = daemon.get_version().version
    except errors.SocketDenied as error:
        return check.warn(name, str(error), fix="adduser YOU estampe  # then log in again")
    except errors.EstampeError as error:
        return check.warn(name, str(error), fix="systemctl enable --now estampe")
    if answered != estampe.__version__:
        found = f"version {answered} answers, this command is {estampe.__version__}"
        return check.warn(name, found, fix="systemctl restart estampe")
    return check.ok(name, f"version {answered} answers at {socket}")

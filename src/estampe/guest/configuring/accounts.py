"""Accounts of a Unix guest: passwd(5), shadow(5), group(5), authorized keys.

The files are edited as text, since nothing of the guest's own is ever run. Lines that are there stay as they are, but for
what is asked to change.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final

from estampe import errors
from estampe.guest import base, linux
from estampe.guest.configuring import files, telling
from estampe.model import final

_PASSWD: Final = "/etc/passwd"  # noqa: S105 - a path
_SHADOW: Final = "/etc/shadow"
_GROUP: Final = "/etc/group"
_GSHADOW: Final = "/etc/gshadow"
_FIRST_ID, _LAST_ID = 1000, 59_999  # login.defs(5): of people
_ADMINISTRATORS: Final = ("sudo", "wheel", "admin")
_SUDOERS: Final = "/etc/sudoers.d"
_SKELETON: Final = "/etc/skel"


@dataclass(frozen=True, slots=True)
class _Account:
    """What /etc/passwd says of one."""

    name: str
    uid: int
    gid: int
    home: str


def configure(appliance: base.Appliance, wish: final.FinalConfiguration) -> list[final.Change]:
    """Root's keys and password, and the users."""
    changes = []
    if wish.ssh_keys:
        root = _find(appliance, "root")
        changes.append(_keys_for(appliance, root, wish.ssh_keys))
    if wish.password_hash:
        _set_password(appliance, "root", wish.password_hash)
        changes.append(telling.done("password", "of root"))
    if wish.admin_password:
        changes.append(
            telling.left(
                "administrator's password",
                "not set",
                why="a plain one is for Windows only; give its hash for this guest",
            )
        )
    return changes + [change for user in wish.users for change in _configure_user(appliance, user)]


def _configure_user(appliance: base.Appliance, user: final.User) -> list[final.Change]:
    is_new = not _has(appliance, _PASSWD, user.name)
    account = _add(appliance, user) if is_new else _find(appliance, user.name)
    parts = ["made" if is_new else "was there"]
    if user.shell and not is_new:
        _change_field(appliance, _PASSWD, user.name, 6, user.shell)
    if user.password_hash:
        _set_password(appliance, user.name, user.password_hash)
        parts.append("password set")
    joined = [each for each in _groups(appliance, user) if _join(appliance, user.name, each)]
    parts += [f"in {', '.join(joined)}"] if joined else []
    changes = [telling.done(f"user {user.name}", "; ".join(parts))]
    missing = [each for each in user.groups if each not in joined]
    if missing:
        changes.append(
            telling.left(f"groups of {user.name}", "not set", why=f"the guest has no group {', '.join(missing)}")
        )
    if user.is_administrator:
        changes.append(_let_administer(appliance, user))
    if user.ssh_keys:
        changes.append(_keys_for(appliance, account, user.ssh_keys))
    return changes


def _lines(appliance: base.Appliance, path: str) -> list[str]:
    return files.read(appliance, path).splitlines()


def _has(appliance: base.Appliance, path: str, name: str) -> bool:
    return any(line.startswith(f"{name}:") for line in _lines(appliance, path))


def _find(appliance: base.Appliance, name: str) -> _Account:
    """Raises: errors.ApplianceFailed where /etc/passwd does not have it, or has it broken."""
    for line in _lines(appliance, _PASSWD):
        fields = line.split(":")
        if fields[0] == name and len(fields) >= 7 and fields[2].isdigit() and fields[3].isdigit():
            return _Account(name, int(fields[2]), int(fields[3]), fields[5])
    raise errors.ApplianceFailed(detail=f"{_PASSWD} of the guest has no account {name}")


def _append(appliance: base.Appliance, path: str, line: str) -> None:
    text = files.read(appliance, path)
    appliance.write(path, text + ("" if text.endswith("\n") or not text else "\n") + line + "\n")


def _change_field(appliance: base.Appliance, path: str, name: str, field: int, value: str) -> None:
    changed = []
    for line in _lines(appliance, path):
        fields = line.split(":")
        if fields[0] == name and len(fields) > field:
            fields[field] = value
        changed.append(":".join(fields))
    appliance.write(path, "\n".join(changed) + "\n")


def _add(appliance: base.Appliance, user: final.User) -> _Account:
    """With a group and a home of its own, as useradd(8) -m -U makes them. Nobody can log in by password yet."""
    taken = _ids(appliance, _PASSWD) | _ids(appliance, _GROUP)
    free = next((each for each in range(_FIRST_ID, _LAST_ID + 1) if each not in taken), None)
    if free is None:
        raise errors.ApplianceFailed(detail=f"the guest has no user id left for {user.name}")
    account = _Account(user.name, free, free, f"/home/{user.name}")
    if _has(appliance, _GROUP, user.name):  # of a system group with the same name: users, for one
        account = dataclasses.replace(account, gid=_group_id(appliance, user.name))
    else:
        _append(appliance, _GROUP, f"{user.name}:x:{free}:")
        if appliance.is_file(_GSHADOW):
            _append(appliance, _GSHADOW, f"{user.name}:!::")
    _append(appliance, _PASSWD, f"{user.name}:x:{account.uid}:{account.gid}::{account.home}:{_shell(appliance, user)}")
    _append(
        appliance, _SHADOW, f"{user.name}:*::0:99999:7:::"
    )  # not `!`: sshd without PAM refuses keys of locked accounts
    _make_home(appliance, account)
    return account


def _ids(appliance: base.Appliance, path: str) -> set[int]:
    fields = [line.split(":") for line in _lines(appliance, path)]
    return {int(each[2]) for each in fields if len(each) > 2 and each[2].isdigit()}


def _group_id(appliance: base.Appliance, name: str) -> int:
    fields = [line.split(":") for line in _lines(appliance, _GROUP)]
    return next(int(each[2]) for each in fields if each[0] == name and len(each) > 2 and each[2].isdigit())


def _shell(appliance: base.Appliance, user: final.User) -> str:
    return user.shell or next((each for each in ("/bin/bash", "/usr/bin/bash") if appliance.is_file(each)), "/bin/sh")


def _make_home(appliance: base.Appliance, account: _Account) -> None:
    appliance.make_directory(account.home)
    appliance.give(account.home, mode=0o700, owner=(account.uid, account.gid))
    for source in appliance.files(_SKELETON):
        path = account.home + source.removeprefix(_SKELETON)
        if "/" not in path.removeprefix(f"{account.home}/"):  # deeper ones are a desktop's, and not needed to log in
            files.put(appliance, path, appliance.read(source), owner=(account.uid, account.gid))


def _set_password(appliance: base.Appliance, name: str, password_hash: str) -> None:
    """In shadow(5), or in passwd(5) of a guest without it. Raises: errors.ApplianceFailed where it has no such account."""
    path = _SHADOW if appliance.is_file(_SHADOW) else _PASSWD
    _find(appliance, name)
    if path == _SHADOW and not _has(appliance, path, name):
        _append(appliance, path, f"{name}:{password_hash}::0:99999:7:::")
    _change_field(appliance, path, name, 1, password_hash)


def _groups(appliance: base.Appliance, user: final.User) -> list[str]:
    administrators = [each for each in _ADMINISTRATORS if _has(appliance, _GROUP, each)][:1]
    return list(dict.fromkeys([*user.groups, *(administrators if user.is_administrator else [])]))


def _join(appliance: base.Appliance, name: str, group: str) -> bool:
    """Whether the user is in the group now; there must be such a group."""
    if not _has(appliance, _GROUP, group):
        return False
    for path in (_GROUP, _GSHADOW):
        for line in _lines(appliance, path):
            fields = line.split(":")
            if fields[0] == group and len(fields) == 4:
                members = [each for each in fields[3].split(",") if each]
                if name not in members:
                    _change_field(appliance, path, group, 3, ",".join([*members, name]))
    return True


def _let_administer(appliance: base.Appliance, user: final.User) -> final.Change:
    """By sudo: with the password where there is one, else without."""
    if not (linux.has_program(appliance, "sudo") and appliance.is_dir(_SUDOERS)):
        return telling.left(f"sudo for {user.name}", "not set", why=f"the guest has no sudo with {_SUDOERS}")
    # sudo passes over files in there whose names hold a dot (sudoers(5)).
    path = f"{_SUDOERS}/90-estampe-{user.name.replace('.', '_')}"
    asked = "" if user.password_hash else "NOPASSWD:"
    files.put(appliance, path, f"{files.HEADER}{user.name} ALL=(ALL) {asked}ALL\n", mode=0o440)
    return telling.done(f"sudo for {user.name}", "with the password" if user.password_hash else "without a password")


def _keys_for(appliance: base.Appliance, account: _Account, keys: tuple[str, ...]) -> final.Change:
    """Add keys that are not there; sshd wants the directory and file to be the user's alone (sshd(8), StrictModes)."""
    owner = (account.uid, account.gid)
    directory = f"{account.home.rstrip('/')}/.ssh"
    path = f"{directory}/authorized_keys"
    known = _lines(appliance, path)
    added = [key.strip() for key in keys if key.strip() not in known]
    appliance.make_directory(directory)
    appliance.give(directory, mode=0o700, owner=owner)
    files.put(appliance, path, "".join(f"{line}\n" for line in [*known, *added]), mode=0o600, owner=owner)
    return telling.done(f"SSH keys of {account.name}", f"{len(keys)} in {path}")

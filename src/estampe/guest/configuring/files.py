"""Writing files of a guest: with their directories and modes, and lines of files that are there already."""

from __future__ import annotations

import re

from estampe.guest import base

HEADER = "# Written by Estampe when this server was deployed.\n"


def put(appliance: base.Appliance, path: str, text: str, *, mode: int = 0o644, owner: tuple[int, int] = (0, 0)) -> None:
    """Write a whole file, with its directory. What is in the way and no file, a dangling link for example, goes."""
    appliance.make_directory(path.rpartition("/")[0])
    if appliance.exists(path) and not appliance.is_file(path):
        appliance.remove(path)
    appliance.write(path, text)
    appliance.give(path, mode=mode, owner=owner)


def read(appliance: base.Appliance, path: str) -> str:
    """The file's text; nothing where there is none."""
    return appliance.read(path) if appliance.is_file(path) else ""


def assign(text: str, key: str, value: str) -> str:
    """`KEY="value"` in a file of shell variables: where the key is, else at the end; repetitions go."""
    line = f'{key}="{value}"\n'
    pattern = re.compile(rf"^[ \t]*{re.escape(key)}=.*\n?", re.MULTILINE)
    found = pattern.search(text)
    if found is None:
        return text + ("" if text.endswith("\n") or not text else "\n") + line
    return text[: found.start()] + line + pattern.sub("", text[found.end() :])


def reassign(appliance: base.Appliance, path: str, key: str, value: str) -> bool:
    """Assign where the key is set already. Whether it is."""
    text = read(appliance, path)
    if assigned(text, key) is None:
        return False
    appliance.write(path, assign(text, key, value))
    return True


def assigned(text: str, key: str) -> str | None:
    """The value of `KEY=value`, quotes taken off."""
    found = re.findall(rf"^[ \t]*{re.escape(key)}=(.*)$", text, re.MULTILINE)
    return found[-1].split("#")[0].strip().strip("\"'") if found else None

"""Programs and Python bindings that come from the distribution."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Iterator
from typing import Final

from estampe import errors, process
from estampe.doctor import check

_SECONDS: Final = 30.0  # loading libguestfs on a cold, busy machine takes some

# Debian's packages; the first is looked at by `doctor.examine`.
_BINDINGS: Final = (
    ("libvirt", "python3-libvirt", "import libvirt; v = libvirt.getVersion(); print(v // 1000000, v // 1000 % 1000, sep='.')"),
    ("nbd", "python3-libnbd", "import nbd; print(nbd.NBD().get_version())"),
    ("guestfs", "python3-guestfs", "import guestfs; v = guestfs.GuestFS(python_return_dict=True).version(); print(v['major'], v['minor'], sep='.')"),
)  # fmt: skip
# The oldest that Estampe is tried with: Debian 12's.
_PROGRAMS: Final = (
    ("qemu-system-x86_64", "qemu-system-x86", (7, 2)),
    ("qemu-img", "qemu-utils", (7, 2)),
    ("qemu-nbd", "qemu-utils", (7, 2)),
    ("nbdkit", "nbdkit", (1, 32)),
)


def check_bindings() -> Iterator[check.Check]:
    """One check for each, imported in a child: a binding that does not fit its C library may end the process."""
    for module, package, script in _BINDINGS:
        yield check_binding(module, package=package, script=script)


def check_binding(module: str, *, package: str, script: str) -> check.Check:
    """Whether `script`, which imports the module and prints its version, works."""
    name = f"Python module {module}"
    try:
        version = _first_line([sys.executable, "-c", script])
    except errors.EstampeError as error:
        fix = (
            f"apt-get install {package}\n"
            "and make the virtual environment with `/usr/bin/python3 -m venv --system-site-packages`"
        )
        return check.fail(name, str(error), fix=fix)
    return check.ok(name, version)


def check_programs() -> Iterator[check.Check]:
    """One check for each, and one for nbdkit's plugin."""
    for program, package, oldest in _PROGRAMS:
        yield check_program(program, package=package, oldest=oldest)
    if shutil.which("nbdkit"):
        yield check_plugin(_dump_plugin(), running=sys.version_info[:2])


def check_program(program: str, *, package: str, oldest: tuple[int, int]) -> check.Check:
    """Whether the program is there, runs and is not older than what Estampe is tried with."""
    try:
        found = _first_line([process.find_program(program, package=package), "--version"])
    except errors.ProgramMissing as error:
        return check.fail(program, str(error), fix=f"apt-get install {package}")
    except errors.EstampeError as error:
        return check.fail(program, str(error), fix=f"apt-get install --reinstall {package}")
    version = re.search(r"(\d+)\.(\d+)", found)
    if version is None or (int(version[1]), int(version[2])) < oldest:
        tried = ".".join(map(str, oldest))
        return check.warn(
            program, f"{found}; Estampe is tried with {tried} and newer", fix=f"apt-get install {package}"
        )
    return check.ok(program, version[0])


def check_plugin(dump: str | None, *, running: tuple[int, int]) -> check.Check:
    """Whether nbdkit has its Python plugin, with the Python that Estampe runs on: both load the same native modules.

    `dump` is what `nbdkit python --dump-plugin` printed, None if it failed.
    """
    name, package = "nbdkit's Python plugin", "nbdkit-plugin-python"
    if dump is None:
        return check.fail(name, "it is not installed", fix=f"apt-get install {package}")
    embedded = re.search(r"^python_version=(\d+)\.(\d+)", dump, re.MULTILINE)
    if embedded and (int(embedded[1]), int(embedded[2])) != running:
        found = f"it embeds Python {embedded[1]}.{embedded[2]}, Estampe runs on {running[0]}.{running[1]}"
        return check.fail(name, found, fix="install Estampe on the distribution's own Python: /usr/bin/python3")
    return check.ok(name, f"Python {embedded[1]}.{embedded[2]}" if embedded else "there")


def _dump_plugin() -> str | None:
    try:
        return process.run(["nbdkit", "python", "--dump-plugin"], deadline_seconds=_SECONDS).decode(errors="replace")
    except errors.EstampeError:
        return None


def _first_line(argv: list[str]) -> str:
    lines = process.run(argv, deadline_seconds=_SECONDS).decode(errors="replace").strip().splitlines()
    return lines[0] if lines else ""

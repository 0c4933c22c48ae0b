"""A script that a guest runs once, at its next boot: by a systemd unit, an init script, or OpenRC.

It lies in /etc/estampe and is taken out of the way before it runs, so that it runs once even where it fails or the server is
powered off meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from estampe.guest import base, linux

DIRECTORY: Final = "/etc/estampe"
_UNITS: Final = "/etc/systemd/system"
_RUN_LEVELS: Final = ("2", "3", "4", "5")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to run, and when."""

    name: str  # of the unit or init script
    description: str
    script: str  # of sh, without its first line
    before: Sequence[str] = ()  # services that must find it done
    is_network_needed: bool = False

    @property
    def script_path(self) -> str:
        """Where it waits to be run."""
        return f"{DIRECTORY}/{self.name}.sh"

    @property
    def command(self) -> str:
        """Run it, out of the way first. For sh -c, and so without single quotes."""
        ran = f"{DIRECTORY}/{self.name}.ran"
        return f"mv -f {self.script_path} {ran} && exec sh {ran}"


def install(appliance: base.Appliance, job: Job) -> str | None:
    """Make the guest's next boot run it. By what, or None where the guest has nothing that could."""
    by = _way(appliance)
    if by is None:
        return None
    appliance.make_directory(DIRECTORY)
    appliance.write(job.script_path, f"#!/bin/sh\n# {job.description}\n{job.script}")
    appliance.give(job.script_path, mode=0o700)  # it may hold secrets
    return by(appliance, job)


def can_run(appliance: base.Appliance) -> bool:
    """Whether `install` would find a way."""
    return _way(appliance) is not None


def _way(appliance: base.Appliance) -> Callable[[base.Appliance, Job], str] | None:
    if linux.has_systemd(appliance):
        return _by_systemd
    if appliance.is_dir("/etc/runlevels/default") or linux.has_program(appliance, "openrc-run"):
        return _by_openrc
    if _sysv_directory(appliance) is not None:
        return _by_sysv
    if appliance.glob("/etc/init.d/rcS"):
        return _by_busybox
    return None


def _by_systemd(appliance: base.Appliance, job: Job) -> str:
    path = f"{_UNITS}/{job.name}.service"
    after = "network-online.target" if job.is_network_needed else ""
    lines = [
        "[Unit]",
        f"Description={job.description}",
        f"ConditionPathExists={job.script_path}",
        *([f"Wants={after}", f"After={after}"] if after else []),
        # Services only: an order before a socket would make a cycle, as sockets come before every ordinary service.
        *([f"Before={' '.join(f'{each}.service' for each in job.before)}"] if job.before else []),
        "",
        "[Service]",
        "Type=oneshot",
        f"ExecStart=/bin/sh -c '{job.command}'",
        "TimeoutStartSec=0",
        "",
        "[Install]",
        "WantedBy=multi-user.target",
    ]
    wants = f"{_UNITS}/multi-user.target.wants"
    appliance.make_directory(wants)
    appliance.write(path, "\n".join(lines) + "\n")
    appliance.link(f"{wants}/{job.name}.service", f"../{job.name}.service")
    return path


def _by_openrc(appliance: base.Appliance, job: Job) -> str:
    path = f"/etc/init.d/{job.name}"
    need = "\tneed net\n" if job.is_network_needed else ""
    before = f"\tbefore {' '.join(job.before)}\n" if job.before else ""
    depend = f"depend() {{\n\tneed localmount\n{need}{before}}}\n\n"
    start = f"start() {{\n\t[ -e {job.script_path} ] || return 0\n\tsh -c '{job.command}'\n}}\n"
    text = f'#!/sbin/openrc-run\n\ndescription="{job.description}"\n\n{depend}{start}'
    _put_script(appliance, path, text)
    appliance.make_directory("/etc/runlevels/default")
    appliance.link(f"/etc/runlevels/default/{job.name}", path)
    return path


def _sysv_directory(appliance: base.Appliance) -> str | None:
    """Where the run levels' links are: Debian's /etc, Red Hat's /etc/rc.d, SUSE's /etc/init.d."""
    parents = ("/etc", "/etc/rc.d", "/etc/init.d")
    return next((each for each in parents if appliance.is_dir(f"{each}/rc3.d")), None)


def _by_sysv(appliance: base.Appliance, job: Job) -> str:
    path = f"/etc/init.d/{job.name}"
    directory = _sysv_directory(appliance)
    header = "\n".join(
        [
            "### BEGIN INIT INFO",
            f"# Provides:          {job.name}",
            f"# Required-Start:    $local_fs{' $network' if job.is_network_needed else ''}",
            "# Required-Stop:",
            *([f"# X-Start-Before:    {' '.join(job.before)}"] if job.before else []),
            f"# Default-Start:     {' '.join(_RUN_LEVELS)}",
            "# Default-Stop:",
            f"# Short-Description: {job.description}",
            "### END INIT INFO",
        ]
    )
    _put_script(appliance, path, f"#!/bin/sh\n{header}\n{_start(job)}")
    # Before Debian's and Red Hat's sshd (S02 to S55), or last of all.
    order = "S01" if job.before else "S99"
    for level in _RUN_LEVELS:
        if appliance.is_dir(f"{directory}/rc{level}.d"):
            appliance.link(f"{directory}/rc{level}.d/{order}{job.name}", path)
    return path


def _by_busybox(appliance: base.Appliance, job: Job) -> str:
    """Buildroot's rcS and its like run S* scripts in order with `start`."""
    path = f"/etc/init.d/{'S01' if job.before else 'S99'}{job.name}"
    _put_script(appliance, path, f"#!/bin/sh\n{_start(job)}")
    return path


def _start(job: Job) -> str:
    return f"[ \"$1\" = start ] && [ -e {job.script_path} ] || exit 0\nsh -c '{job.command}'\n"


def _put_script(appliance: base.Appliance, path: str, text: str) -> None:
    appliance.make_directory("/etc/init.d")
    appliance.write(path, text)
    appliance.give(path, mode=0o755)

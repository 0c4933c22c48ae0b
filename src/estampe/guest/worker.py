"""The child process that owns the appliance: `python -m estampe.guest.worker`. See protocol.py for what it reads and says.

A process of its own, since libguestfs may hang for ever (an appliance whose kernel does not come up has no time limit),
may crash in C, and works on what a stranger's guest wrote.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import resource
import sys
import tempfile
from collections.abc import Callable
from typing import Any, Final, TextIO

import guestfs

from estampe import errors, units
from estampe.guest import adapting, finishing, protocol, text, turning

# Of the worker and of each child, QEMU too: its memory, 1 GiB of translated code under TCG, and libraries come to 3 GiB.
_ADDRESS_SPACE_BYTES: Final = 8 * units.GIB
_QMP_SOCKET: Final = "qmp"
_SECTOR_BYTES, _LARGE_SECTOR_BYTES = 512, 4096  # what libguestfs knows (guestfs(3), add_drive_opts)


def main() -> int:
    """Do one job. Returns the exit status: 0 when an outcome was said, a bad one included."""
    out = _take_stdout()
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE_BYTES, _ADDRESS_SPACE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    job = protocol.decode_job(sys.stdin.buffer.read())

    def say(line: str) -> None:
        out.write(line)
        out.flush()

    try:
        outcome = _work(job, lambda text: say(protocol.progress_line(text)))
    except errors.ApplianceFailed as error:
        say(protocol.failed_line(str(error.facts["detail"])))
    else:
        say(outcome)
    return 0


def _take_stdout() -> TextIO:
    """Standard output for the protocol alone: whatever libguestfs and its children print there goes to standard error."""
    ours = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(ours, "w", encoding="utf-8")


def _work(job: protocol.Job, tell: Callable[[str], None]) -> str:
    """Returns the line that tells the outcome."""
    tell("starting the appliance")
    handle = _launch(job)
    targets = [drive.target for drive in job.drives]
    launched = finishing.Launched(handle=handle, targets=targets, is_uefi=job.is_uefi, tell=tell, wish=job.wish)
    if job.adaptation is None:
        outcome = protocol.finished_line(finishing.finish(launched))
    else:
        with contextlib.ExitStack() as stack:
            if job.adaptation.configurations:
                turns = stack.enter_context(contextlib.closing(turning.Turns(_QMP_SOCKET, job.drives)))
                launched = dataclasses.replace(launched, put_over=turns.put_over)
            outcome = protocol.adapted_line(adapting.adapt(launched, job.adaptation))
    tell("stopping the appliance")
    finishing.shut_down(handle)
    return outcome


def _launch(job: protocol.Job) -> Any:
    handle = guestfs.GuestFS(python_return_dict=True)
    try:
        handle.set_network(False)
        handle.set_memsize(job.memory_mib)
        for drive in job.drives:
            # unsafe: no flushes to the host's medium. The overlay is read back by this host or made anew, never kept.
            handle.add_drive_opts(
                str(drive.overlay),
                format="qcow2",
                discard="enable",
                cachemode="unsafe",
                blocksize=_LARGE_SECTOR_BYTES if drive.sector_size_bytes == _LARGE_SECTOR_BYTES else _SECTOR_BYTES,
            )
        if job.adaptation is not None and job.adaptation.configurations:
            # In the launch's own directory, by a relative name: the path of a socket may have 107 bytes only.
            os.chdir(tempfile.gettempdir())
            handle.config("-qmp", f"unix:{_QMP_SOCKET},server=on,wait=off")
        handle.launch()
    except RuntimeError as error:
        raise errors.ApplianceFailed(detail=text.plain(f"it does not start: {error}")) from error
    return handle


if __name__ == "__main__":
    sys.exit(main())

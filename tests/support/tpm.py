"""What a TPM keeps, asked of it with tpm2-tools: neither libvirt nor Estampe has a part in it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.support import shell

STATES = Path("/var/lib/libvirt/swtpm")
_INDEX = "0x1500016"  # one that an owner may define


def remember(uuid: str, secret: str) -> None:
    """Have the TPM of a server that is off keep a secret."""
    with _running(uuid) as environment, tempfile.NamedTemporaryFile("w") as file:
        file.write(secret)
        file.flush()
        _tool(environment, "tpm2_nvdefine", _INDEX, "-C", "o", "-s", str(len(secret)))
        _tool(environment, "tpm2_nvwrite", _INDEX, "-C", "o", "-i", file.name)


def remembered(uuid: str) -> str | None:
    """The secret that the TPM of a server that is off keeps, or None."""
    with _running(uuid) as environment:
        indexes = _tool(environment, "tpm2_getcap", "handles-nv-index")
        return _tool(environment, "tpm2_nvread", _INDEX, "-C", "o") if _INDEX in indexes.lower() else None


@contextlib.contextmanager
def _running(uuid: str) -> Iterator[dict[str, str]]:
    port = _free_ports()
    argv = [
        "swtpm", "socket", "--tpm2", "--tpmstate", f"dir={STATES / uuid / 'tpm2'}", "--flags", "not-need-init,startup-clear",
        "--server", f"type=tcp,bindaddr=127.0.0.1,port={port}", "--ctrl", f"type=tcp,bindaddr=127.0.0.1,port={port + 1}",
    ]  # fmt: skip
    process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        shell.wait_for("swtpm", lambda: _listens(port + 1), deadline_seconds=30, poll_seconds=0.05)
        yield {**os.environ, "TPM2TOOLS_TCTI": f"swtpm:host=127.0.0.1,port={port}"}
    finally:
        process.terminate()
        process.communicate(timeout=30)


def _tool(environment: dict[str, str], *argv: str) -> str:
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise shell.Failed(f"{' '.join(argv)}: {done.stderr}")
    return done.stdout


def _free_ports() -> int:
    """The first of two ports on loopback that nobody has, side by side: tools find the control channel so."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            with contextlib.suppress(OSError, OverflowError):
                second.bind(("127.0.0.1", port + 1))
                return int(port)


def _listens(port: int) -> bool:
    # By the kernel's list, since swtpm takes one connection for good.
    listening, wanted = "0A", f"0100007F:{port:04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(row[1] == wanted and row[3] == listening for row in rows)

"""What the demo and the tests ask before they delete an installation's state."""

from __future__ import annotations

import subprocess
import sys

from tests.support import installation

_HOLD = (
    "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX); print('held', flush=True); input()"
)


def test_a_daemon_that_works_elsewhere_is_found_by_its_lock(tmp_path):
    ours = installation.Installation(state_directory=tmp_path, run_directory=tmp_path)
    assert ours.served_by() is None
    (tmp_path / "lock").write_bytes(b"")
    assert ours.served_by() is None  # left by one that has ended
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path / "lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "held\n"
        assert ours.served_by() == other.pid
        other.communicate("\n")
    assert ours.served_by() is None

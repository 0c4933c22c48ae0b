"""Servers taking turns over shared overlays, before a QEMU that is a few lines on a socket."""

import json
import socket
import threading
from pathlib import Path

import pytest

from estampe import errors
from estampe.guest import protocol, turning

DRIVES = tuple(
    protocol.Drive(target=target, overlay=Path(f"/w/{target}"), own=(Path(f"/w/{target}.0"), Path(f"/w/{target}.1")))
    for target in ("vda", "vdb")
)
# As QEMU tells them: libguestfs' own drive among them, and not in the order in which they were added.
BLOCKS = [
    {"device": "appliance", "qdev": "/a", "inserted": {"node-name": "#9"}},
    {"device": "hd1", "qdev": "/d1", "inserted": {"node-name": "#1"}},
    {"device": "hd0", "qdev": "/d0", "inserted": {"node-name": "#0"}},
]


class Qemu:
    """Answers, after an event each time, and keeps what it was asked."""

    def __init__(self, path):
        self.asked, self.refused, self.is_gone = [], None, False
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(path)
        self._listening.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        connection, _address = self._listening.accept()
        with connection, connection.makefile("rw") as stream:
            self._say(stream, {"QMP": {}})
            for line in stream:
                request = json.loads(line)
                self.asked.append((request["execute"], request["arguments"]))
                if self.is_gone:
                    return
                self._say(stream, {"event": "BLOCK_SOMETHING"})
                if request["execute"] == self.refused:
                    self._say(stream, {"error": {"class": "GenericError", "desc": "it is in use"}})
                else:
                    self._say(stream, {"return": BLOCKS if request["execute"] == "query-block" else {}})

    def _say(self, stream, message):
        stream.write(json.dumps(message) + "\n")
        stream.flush()

    def close(self):
        self._listening.close()
        self._thread.join(5)


@pytest.fixture
def turns(tmp_path):
    """(the turns, QEMU)."""
    qemu = Qemu(str(tmp_path / "qmp"))
    made = turning.Turns(str(tmp_path / "qmp"), DRIVES)
    yield made, qemu
    made.close()
    qemu.close()


def told(asked):
    return [(command, arguments.get("node-name") or arguments.get("overlay") or arguments.get("value"))
            for command, arguments in asked]  # fmt: skip


def test_the_first_files_are_put_over_what_is_shared(turns):
    made, qemu = turns
    made.put_over(0)
    assert told(qemu.asked[2:]) == [
        ("blockdev-add", "own0-vda"), ("blockdev-snapshot", "own0-vda"),
        ("blockdev-add", "own0-vdb"), ("blockdev-snapshot", "own0-vdb"),
    ]  # fmt: skip
    added, snapshot = qemu.asked[2][1], qemu.asked[3][1]
    assert (added["file"]["filename"], added["backing"]) == ("/w/vda.0", None)
    assert snapshot == {"node": "#0", "overlay": "own0-vda"}


def test_the_next_ones_take_their_place_over_the_same(turns):
    made, qemu = turns
    made.put_over(0)
    qemu.asked.clear()
    made.put_over(1)
    assert told(qemu.asked) == [
        ("blockdev-add", "own1-vda"), ("qom-set", "own1-vda"), ("blockdev-add", "own1-vdb"), ("qom-set", "own1-vdb"),
        ("blockdev-del", "own0-vda"), ("blockdev-del", "own0-vdb"),
    ]  # fmt: skip
    added, moved = qemu.asked[2][1], qemu.asked[3][1]
    assert (added["file"]["filename"], added["backing"]) == ("/w/vdb.1", "#1")
    assert moved == {"path": "/d1", "property": "drive", "value": "own1-vdb"}


def test_what_qemu_refuses_is_an_error_that_says_so(turns):
    made, qemu = turns
    qemu.refused = "blockdev-add"
    with pytest.raises(errors.ApplianceFailed, match=r"refuses blockdev-add: it is in use"):
        made.put_over(0)


def test_a_qemu_that_ends_is_an_error(turns):
    made, qemu = turns
    qemu.is_gone = True
    with pytest.raises(errors.ApplianceFailed, match="does not answer blockdev-add"):
        made.put_over(0)


def test_a_qemu_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(errors.ApplianceFailed, match="not to be asked"):
        turning.Turns(str(tmp_path / "none"), DRIVES)

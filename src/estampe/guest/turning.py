"""One launch for several servers: their own overlays take turns in the appliance, over what they share. Runs in the worker's process.

    export ◀── overlay, with all that is the same ◀─┬─ the 1st server's own files
                                                    ├─ the 2nd's, put in its place
                                                    └─ ...
    QEMU's drive: always the same, of one server at a time

Nothing that two servers have in common (UUIDs of file systems and LVM, names of volume groups) ever meets in the appliance, and drives keep
their names. Whoever asks for the next turn has let go of everything on the drives before: see `adapting`.

QEMU is asked by its own protocol (QMP) on a socket in the launch's own directory, which goes with it.
"""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from estampe import errors
from estampe.guest import protocol, text

_SECONDS: Final = 60.0  # for an answer; they come within milliseconds
_NO_FLUSH: Final = {"direct": False, "no-flush": True}  # as the worker adds drives: thrown away with whatever breaks


def not_asked(_nth: int) -> None:
    """In place of `Turns.put_over`, for launches in which no server has files of its own."""
    raise errors.ApplianceFailed(detail="no server of this launch has files of its own")


class Turns:
    """Puts one server's files over the shared overlays of a running QEMU. Only the last one put there is written to."""

    def __init__(self, path: str, drives: Sequence[protocol.Drive]) -> None:
        """`path` is QMP's socket. Raises: errors.ApplianceFailed, as whatever here asks QEMU."""
        self._drives, self._nodes = drives, list[str]()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_SECONDS)
        try:
            self._socket.connect(path)
            self._stream = self._socket.makefile("rw", encoding="utf-8")
            self._stream.readline()  # its greeting
        except OSError as error:
            self._socket.close()
            raise errors.ApplianceFailed(detail=text.plain(f"its QEMU is not to be asked: {error}")) from error
        self._ask("qmp_capabilities")
        known = {each["device"]: each for each in self._ask("query-block")}
        # libguestfs calls drives hd0, hd1 ... in the order in which they were added (lib/launch-direct.c).
        self._shared = [known[f"hd{nth}"] for nth in range(len(drives))]

    def close(self) -> None:
        """Leave QEMU alone; what is in place stays."""
        with contextlib.suppress(OSError):
            self._stream.close()
        self._socket.close()

    def put_over(self, nth: int) -> None:
        """Put the files of the server of this number over what is shared, in place of those that were there.

        On the drives there is then again what was there before the first turn. Raises: errors.ApplianceFailed.
        """
        before, self._nodes = self._nodes, [f"own{nth}-{drive.target}" for drive in self._drives]
        for drive, shared, node in zip(self._drives, self._shared, self._nodes, strict=True):
            self._put(drive.own[nth], shared, node, is_first=not before)
        for node in before:
            self._ask("blockdev-del", {"node-name": node})

    def _put(self, path: Path, shared: Mapping[str, Any], node: str, *, is_first: bool) -> None:
        beneath = shared["inserted"]["node-name"]
        file = {"driver": "file", "filename": str(path), "cache": _NO_FLUSH}
        options = {"driver": "qcow2", "node-name": node, "discard": "unmap", "cache": _NO_FLUSH, "file": file}
        # While the drive itself writes to the shared overlay nothing may lie over that but by `blockdev-snapshot`, which moves
        # the drive to the new node. Afterwards it is read only, and the drive is given one node after the other (since QEMU 6.1).
        self._ask("blockdev-add", options | {"backing": None if is_first else beneath})
        if is_first:
            self._ask("blockdev-snapshot", {"node": beneath, "overlay": node})
        else:
            self._ask("qom-set", {"path": shared["qdev"], "property": "drive", "value": node})

    def _ask(self, command: str, arguments: Mapping[str, Any] | None = None) -> Any:
        try:
            self._stream.write(json.dumps({"execute": command, "arguments": arguments or {}}) + "\n")
            self._stream.flush()
            answer = self._answer()
        except (OSError, ValueError) as error:
            raise errors.ApplianceFailed(detail=text.plain(f"its QEMU does not answer {command}: {error}")) from error
        if "error" in answer:
            raise errors.ApplianceFailed(
                detail=text.plain(f"its QEMU refuses {command}: {answer['error'].get('desc')}")
            )
        return answer["return"]

    def _answer(self) -> dict[str, Any]:
        """The next message that is no event. Raises: ValueError at the end of the connection."""
        while True:
            message: dict[str, Any] = json.loads(self._stream.readline())
            if "event" not in message:
                return message

"""A serial console in the terminal, and a screen at a port of this host: bytes from here to there and back."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import termios
import threading
import tty
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from estampe import errors

if TYPE_CHECKING:
    from estampe.client import terminals

ESCAPE: Final = b"\x1d"  # Ctrl+], as virsh and telnet have it
_PIECE_BYTES: Final = 4096


def attach(opened: terminals.Terminal, *, source: int, target: int) -> None:
    """Type what comes from `source`, write what the server says to `target`, to the end, or to Ctrl+] at a terminal.

    Where `source` is no terminal its end is not the end: `estampe server console web < /dev/null` listens on. Raises: as
    `Terminal.__iter__`.
    """
    with _raw(source) as is_terminal:
        typing = threading.Thread(target=_type, args=(opened, source, is_terminal), name="typing", daemon=True)
        typing.start()
        for piece in opened:
            _write(target, piece)


def _type(opened: terminals.Terminal, source: int, is_terminal: bool) -> None:
    while piece := os.read(source, _PIECE_BYTES):
        before, escape, _after = piece.partition(ESCAPE) if is_terminal else (piece, b"", b"")
        opened.send(before)
        if escape:
            opened.close()
            return


def _write(target: int, piece: bytes) -> None:
    while piece:
        piece = piece[os.write(target, piece) :]


@contextlib.contextmanager
def _raw(source: int) -> Iterator[bool]:
    """Every key goes to the server, Ctrl+C too; whether `source` is a terminal at all. It is as before afterwards."""
    if not os.isatty(source):
        yield False
        return
    before = termios.tcgetattr(source)
    try:
        tty.setraw(source, termios.TCSANOW)
        yield True
    finally:
        termios.tcsetattr(source, termios.TCSANOW, before)


def offer(open_screen: Callable[[], terminals.Terminal], *, port: int, tell: Callable[[int], None]) -> None:
    """The screen for one viewer of VNC at a port of this host, to its end; 0 chooses the port. `tell` is told it.

    Whoever connects first gets it, and nobody after: other users of this host could connect, too. Raises: errors.SocketInUse; as
    `open_screen` and `Terminal.__iter__`.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind(("127.0.0.1", port))
        except OSError as error:
            raise errors.SocketInUse(socket=f"127.0.0.1:{port}", detail=error.strerror or str(error)) from error
        listening.listen(1)
        tell(listening.getsockname()[1])
        viewer, _address = listening.accept()
    with viewer, open_screen() as opened:
        threading.Thread(target=_from_viewer, args=(viewer, opened), name="viewer", daemon=True).start()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for piece in opened:
                viewer.sendall(piece)


def _from_viewer(viewer: socket.socket, opened: terminals.Terminal) -> None:
    with contextlib.suppress(OSError):
        while piece := viewer.recv(_PIECE_BYTES):
            opened.send(piece)
    opened.close()


def standard() -> tuple[int, int]:
    """Where people type, and where they read."""
    return sys.stdin.fileno(), sys.stdout.fileno()

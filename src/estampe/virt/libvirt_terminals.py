"""The screens and serial consoles of the domains of one connection, each as a socket."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any, Final

import libvirt

from estampe import errors
from estampe.model import terminal
from estampe.virt import domain_xml, libvirt_connection, libvirt_domains

_ACTIVE_SESSION: Final = "Active console session exists"  # libvirt 9.0 has no code of its own for it
_PIECE_BYTES: Final = 4096
_GONE: Final = -2  # virStreamRecv: would block; a blocking stream says so where its end has gone


class Terminals:
    """Opens them."""

    def __init__(self, domains: libvirt_domains.Domains) -> None:
        self._domains = domains

    def check(self, uuid: str, kind: terminal.Kind) -> None:
        """See virt.base.Host.check_terminal."""
        self._domains.on(
            uuid, f"look for the {kind} of {uuid}", lambda domain: domain_xml.check_terminal(_live(domain), kind)
        )

    def open(self, uuid: str, kind: terminal.Kind, *, is_taken_over: bool) -> socket.socket:
        """See virt.base.Host.open_terminal."""

        def opened(domain: Any) -> socket.socket:
            if kind is terminal.Kind.SCREEN:
                return _open_screen(domain)
            return _open_serial(domain, is_taken_over=is_taken_over)

        return self._domains.on(uuid, f"open the {kind} of {uuid}", opened)


def _live(domain: Any) -> str:
    """Raises: errors.ServerStateForbids where it is off."""
    if not domain.isActive():
        raise errors.ServerStateForbids(server=domain.name(), state="shut off", advice="start it first")
    return str(domain.XMLDesc(0))


def _open_screen(domain: Any) -> socket.socket:
    """A socket pair whose other end libvirt hands to QEMU: that works wherever the display listens, and where it does not.

    Who gets here has passed the daemon's gate, so a password of the display's own is not asked for. libvirt 9.0 gives the descriptor
    to a client on the same host only.
    """
    index = domain_xml.screen_index(_live(domain))
    descriptor = domain.openGraphicsFD(index, libvirt.VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH)
    return socket.socket(fileno=descriptor)


def _open_serial(domain: Any, *, is_taken_over: bool) -> socket.socket:
    domain_xml.check_terminal(_live(domain), terminal.Kind.SERIAL)
    # SAFE: libvirt locks the pseudo-terminal, so that two readers do not each get half of what it says.
    flags = libvirt.VIR_DOMAIN_CONSOLE_SAFE | (libvirt.VIR_DOMAIN_CONSOLE_FORCE if is_taken_over else 0)
    stream = domain.connect().newStream(0)
    try:
        domain.openConsole(None, stream, flags)
    except libvirt.libvirtError as error:
        if _ACTIVE_SESSION in libvirt_connection.message_of(error):
            raise errors.SerialConsoleInUse(server=domain.name()) from error
        raise
    ours, theirs = socket.socketpair()
    _Pump(stream, ours).start()
    return theirs


class _Pump:
    """Carries bytes between a libvirt stream and a socket: a thread for each direction, as both block.

    A stream that is aborted in one thread ends the other's `recv` (tried with libvirt 9.0), and so does one whose server is off or
    whose console was taken over.
    """

    def __init__(self, stream: Any, ours: socket.socket) -> None:
        self._stream, self._ours = stream, ours

    def start(self) -> None:
        for way in (self._to_socket, self._to_stream):
            threading.Thread(target=way, name="serial", daemon=True).start()

    def _to_socket(self) -> None:
        with contextlib.suppress(libvirt.libvirtError, OSError):
            while (piece := self._stream.recv(_PIECE_BYTES)) not in {b"", _GONE}:
                self._ours.sendall(piece)
        with contextlib.suppress(OSError):
            self._ours.shutdown(socket.SHUT_RDWR)  # the other thread, and whoever has the other end, read the end

    def _to_stream(self) -> None:
        with self._ours, contextlib.suppress(libvirt.libvirtError, OSError):
            while piece := self._ours.recv(_PIECE_BYTES):
                self._send(piece)
        with contextlib.suppress(libvirt.libvirtError):
            self._stream.abort()

    def _send(self, piece: bytes) -> None:
        while piece:
            piece = piece[self._stream.send(piece) :]

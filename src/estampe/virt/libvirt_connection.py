"""The connection to libvirt: opened when needed, opened anew when it died, its errors translated in one place."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

import libvirt

from estampe import errors

T = TypeVar("T")

_KEEPALIVE_SECONDS: Final = 5
_KEEPALIVE_COUNT: Final = 4  # so a daemon that hangs as a whole is told dead after 25 s
_NO_CONNECTION: Final = {libvirt.VIR_ERR_NO_CONNECT, libvirt.VIR_ERR_INVALID_CONN, libvirt.VIR_ERR_AUTH_FAILED}

_event_loop_lock: Final = threading.Lock()
_event_loop: threading.Thread | None = None


class Connection:
    """One connection, shared by all threads (libvirt's own are thread-safe)."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._lock = threading.Lock()
        self._open: Any = None

    def run(self, action: str, call: Callable[[Any], T], *, is_repeatable: bool = True) -> T:
        """Do `call` on the open connection. `action` completes "libvirt could not ..." in errors.

        Where the connection died meanwhile (libvirtd was restarted) and the call may be repeated, it runs once more on a
        new one. Raises: errors.HypervisorUnavailable, errors.HypervisorFailed; what `call` raises else.
        """
        connection = self._connect()
        try:
            return call(connection)
        except libvirt.libvirtError as error:
            if self._is_alive(connection):
                raise self._translate(action, error) from error
            self._forget(connection)
            if not is_repeatable:
                raise errors.HypervisorUnavailable(uri=self.uri, detail=message_of(error)) from error
        try:
            return call(self._connect())
        except libvirt.libvirtError as error:
            raise self._translate(action, error) from error

    def close(self) -> None:
        """Give it back; the next call would open it anew."""
        with self._lock:
            if self._open is not None:
                with contextlib.suppress(libvirt.libvirtError):
                    self._open.close()
                self._open = None

    def _connect(self) -> Any:
        with self._lock:
            if self._open is None:
                _ensure_event_loop()
                self._open = self._try_to_open()
            return self._open

    def _try_to_open(self) -> Any:
        try:
            connection = libvirt.open(self.uri)
        except libvirt.libvirtError as error:
            raise errors.HypervisorUnavailable(uri=self.uri, detail=message_of(error)) from error
        with contextlib.suppress(libvirt.libvirtError):  # test:/// and embedded drivers have nothing to keep alive
            connection.setKeepAlive(_KEEPALIVE_SECONDS, _KEEPALIVE_COUNT)
        return connection

    def _is_alive(self, connection: Any) -> bool:
        try:
            return bool(connection.isAlive())
        except libvirt.libvirtError:
            return False

    def _forget(self, connection: Any) -> None:
        with self._lock:
            if self._open is connection:
                with contextlib.suppress(libvirt.libvirtError):
                    connection.close()
                self._open = None

    def _translate(self, action: str, error: Any) -> errors.EstampeError:
        if error.get_error_code() in _NO_CONNECTION:
            return errors.HypervisorUnavailable(uri=self.uri, detail=message_of(error))
        return errors.HypervisorFailed(action=action, detail=message_of(error))


def message_of(error: Any) -> str:
    """The message of libvirt on one line."""
    return " ".join(str(error.get_error_message() or error).split())


def has_code(error: Any, *codes: int) -> bool:
    """Whether a libvirtError has one of libvirt's VIR_ERR_ codes."""
    return error.get_error_code() in codes


def _ensure_event_loop() -> None:
    """Run libvirt's event loop in a thread of its own, one per process: keepalive, and with it a dead daemon noticed, needs it.

    It also keeps libvirt from printing errors on standard error, where it would print each beside raising it.
    """
    global _event_loop  # noqa: PLW0603 - libvirt's event loop is one per process
    with _event_loop_lock:
        if _event_loop is None:
            libvirt.registerErrorHandler(lambda _context, _error: None, None)
            libvirt.virEventRegisterDefaultImpl()
            _event_loop = threading.Thread(target=_run_events, name="libvirt-events", daemon=True)
            _event_loop.start()


def _run_events() -> None:
    while True:
        with contextlib.suppress(libvirt.libvirtError):
            libvirt.virEventRunDefaultImpl()

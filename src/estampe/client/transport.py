"""HTTP over the daemon's unix socket, with errors as Estampe's own."""

from __future__ import annotations

import socket
import sys
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import pydantic

from estampe import errors
from estampe.schemas import problem, wire

# httpx 0.28 imports its own command line (click, rich, pygments) whenever click is there: 0.2 s of each of our
# commands. With the name taken it falls back as it does where click is missing. To go when httpx imports it lazily
# (https://github.com/encode/httpx/blob/0.28.1/httpx/__init__.py).
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]  # importlib: None is "cannot be imported"
import httpx  # noqa: E402 - after the line above

REQUEST_SECONDS: Final = 30.0
_CONNECT_SECONDS: Final = 5.0
_Answer = TypeVar("_Answer", bound=wire.Answer)


class Transport:
    """One connection to the daemon. Context manager; not for several threads."""

    def __init__(
        self, socket_path: Path, *, request_seconds: float = REQUEST_SECONDS, headers: Mapping[str, str] | None = None
    ) -> None:
        """`headers` go with every request: who asks, and for which account."""
        self._socket_path = socket_path
        self._request_seconds = request_seconds
        # The host in the URL is not used for a unix socket, but HTTP wants one.
        self._http = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(socket_path)),
            base_url="http://estampe/v1",
            trust_env=False,
            headers=headers,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._http.close()

    def ask(
        self,
        kind: type[_Answer],
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: wire.Request | None = None,
        timeout_seconds: float | None = None,
    ) -> _Answer:
        """The answer as `kind`. Raises: errors.EstampeError, as `send`."""
        content = self.send(method, path, query=query, body=body, timeout_seconds=timeout_seconds)
        try:
            return kind.model_validate_json(content)
        except pydantic.ValidationError as error:
            raise self._unavailable(f"its answer to {method} {path} is not understood") from error

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: wire.Request | None = None,
        timeout_seconds: float | None = None,
    ) -> bytes:
        """The answer's body.

        Raises: errors.DaemonUnavailable, errors.SocketDenied, and whatever error the daemon answered.
        """
        self._check_listening()
        try:
            response = self._http.request(
                method,
                path,
                params={name: value for name, value in (query or {}).items() if value is not None},
                content=None if body is None else body.as_sent(),
                headers={} if body is None else {"content-type": "application/json"},
                timeout=httpx.Timeout(timeout_seconds or self._request_seconds, connect=_CONNECT_SECONDS),
            )
        except httpx.HTTPError as error:
            raise self._translated(error) from error
        if response.is_error:
            raise self._answered(response)
        return response.content

    def _check_listening(self) -> None:
        """Connect once, for a plain reason where that fails: httpcore 1.0 wraps it twice, and leaves the socket unclosed."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(_CONNECT_SECONDS)
            try:
                probe.connect(str(self._socket_path))
            except PermissionError as error:
                raise errors.SocketDenied(socket=str(self._socket_path)) from error
            except OSError as error:
                raise self._unavailable(error.strerror or str(error)) from error

    def _translated(self, error: httpx.HTTPError) -> errors.DaemonUnavailable:
        if isinstance(error, httpx.TimeoutException):
            return self._unavailable("no answer in time")
        return self._unavailable("the connection ended before an answer came")

    def _answered(self, response: httpx.Response) -> errors.EstampeError:
        try:
            described = problem.Problem.model_validate_json(response.content)
        except pydantic.ValidationError:
            return self._unavailable(f"it answered with HTTP status {response.status_code} and no explanation")
        return errors.from_record(described.record())

    def _unavailable(self, detail: str) -> errors.DaemonUnavailable:
        return errors.DaemonUnavailable(socket=str(self._socket_path), detail=detail)


def segment(reference: str, missing: errors.NotFound) -> str:
    """`reference` as one segment of a path. Raises: `missing` where no path can name it, so nothing can have that name."""
    if not reference or "/" in reference or reference in {".", ".."}:
        raise missing
    return urllib.parse.quote(reference, safe="@", errors="backslashreplace")

"""What both clients do alike between a call and its answer, without any input or output of their own."""

from __future__ import annotations

import socket
import urllib.parse
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
import pydantic

from estampe import errors
from estampe.client.call import Call, Watch
from estampe.schemas import operation, problem

KEY_HEADER: Final = "Idempotency-Key"
ACCOUNT_HEADER: Final = "Estampe-Account"
_LOOPBACK: Final = {"127.0.0.1", "::1", "localhost"}
REQUEST_SECONDS: Final = 30.0
CONNECT_SECONDS: Final = 5.0
_SILENCE_SECONDS: Final = 50.0  # of a stream of events; the daemon sends a comment every 15 s
_REPETITIONS: Final = 10  # of a create whose connection was lost: with a second between them, a restart of the daemon
_RECONNECTIONS: Final = 120  # of a follower: a restart of the daemon with its recovery
_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Daemon:
    """Where the daemon is: at a unix socket, or at a URL. `ca` is a PEM file of who signed its certificate.

    `key` is the API key that is shown with every request, `account` the account that is acted for.
    """

    socket: Path | None = None
    url: str | None = None
    ca: Path | None = None
    account: str | None = None
    key: str | None = field(default=None, repr=False)

    @property
    def where(self) -> str:
        """For messages."""
        return str(self.socket if self.url is None else self.url)

    @property
    def base_url(self) -> str:
        """Of all routes. The host in it is not used for a unix socket, but HTTP wants one."""
        return f"{'http://estampe' if self.url is None else self.url.rstrip('/')}/v1"

    def headers(self) -> dict[str, str]:
        """Of every request. Raises: errors.ApiKeyRefused, errors.AccountNotFound, errors.InvalidSetting."""
        found = {}
        if self.account is not None:
            if not _is_word(self.account):
                raise errors.AccountNotFound(account=self.account)
            found[ACCOUNT_HEADER] = self.account
        if self.key is not None:
            self._check_private()
            if not _is_word(self.key):
                raise errors.ApiKeyRefused
            found["Authorization"] = f"Bearer {self.key}"
        return found

    def _check_private(self) -> None:
        """A key goes to another host by TLS only. Raises: errors.InvalidSetting."""
        parsed = None if self.url is None else urllib.parse.urlsplit(self.url)
        if parsed is not None and parsed.scheme != "https" and parsed.hostname not in _LOOPBACK:
            problem = f"{self.where} is not https: whoever is on the way would read the API key"
            raise errors.InvalidSetting(setting="url", problem=problem)

    def probe(self) -> None:
        """Connect once, for a plain reason where that fails: httpcore 1.0 wraps it twice, and leaves the socket unclosed.

        Raises: errors.SocketDenied, errors.DaemonUnavailable.
        """
        if self.socket is None:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.settimeout(CONNECT_SECONDS)
            try:
                probe.connect(str(self.socket))
            except PermissionError as error:
                raise errors.SocketDenied(socket=str(self.socket)) from error
            except OSError as error:
                raise self.unavailable(error.strerror or str(error)) from error

    def verification(self) -> Any:
        """What httpx checks the daemon's certificate by."""
        import ssl

        if self.url is None:
            # Nobody shows a certificate on a socket, and to read the usual authorities takes 40 ms of each command.
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return True if self.ca is None else ssl.create_default_context(cafile=str(self.ca))

    def unavailable(self, detail: str) -> errors.DaemonUnavailable:
        """The error for a daemon that does not answer as it should."""
        return errors.DaemonUnavailable(socket=self.where, detail=detail)

    def translated(self, error: httpx.HTTPError) -> errors.DaemonUnavailable:
        """The same for what httpx raised."""
        if isinstance(error, httpx.TimeoutException):
            return self.unavailable("no answer in time")
        if isinstance(error, httpx.ConnectError):
            return self.unavailable(str(error))
        return self.unavailable("the connection ended before an answer came")

    def answered(self, status: int, content: bytes) -> errors.EstampeError:
        """The error that an answer of that status is."""
        try:
            described = problem.Problem.model_validate_json(content)
        except pydantic.ValidationError:
            return self.unavailable(f"it answered with HTTP status {status} and no explanation")
        return errors.from_record(described.record())

    def result(self, call: Call[_Answer], response: httpx.Response) -> _Answer:
        """What the call asked for. Raises: errors.DaemonUnavailable, and whatever error the daemon answered."""
        if response.is_error:
            raise self.answered(response.status_code, response.content)
        try:
            return call.read(response.content)
        except (pydantic.ValidationError, UnicodeDecodeError) as error:
            raise self.unavailable(f"its answer to {call.method} {call.path} is not understood") from error


def _is_word(text: str) -> bool:
    """Whether a header can hold it."""
    return text.isascii() and text.isprintable() and " " not in text and text != ""


def arguments(call: Call[Any], *, request_seconds: float) -> dict[str, Any]:
    """The call as httpx takes it. A create gets a key of its own here, once: each repetition has the same."""
    headers = dict(call.headers)
    if call.is_create:
        headers.setdefault(KEY_HEADER, str(uuid.uuid4()))
    if call.body is not None:
        headers["content-type"] = "application/json"
    return {
        "method": call.method,
        "url": call.path,
        "params": {name: value for name, value in call.query.items() if value is not None},
        "content": None if call.body is None else call.body.as_sent(),
        "headers": headers,
        "timeout": httpx.Timeout(call.timeout_seconds or request_seconds, connect=CONNECT_SECONDS),
    }


class Repetitions:
    """Whether a call is sent again: creates are, once a connection was lost with the answer still to come."""

    def __init__(self, call: Call[Any]) -> None:
        self._left = _REPETITIONS if call.is_create else 0
        self._was_lost = False

    def note(self, failure: errors.DaemonUnavailable, cause: httpx.HTTPError | None) -> None:
        """A try failed. Raises: `failure` where there is no other."""
        if cause is not None and not isinstance(cause, httpx.TimeoutException | httpx.ConnectError):
            self._was_lost = True
        self._left -= 1
        if not self._was_lost or self._left < 0:
            raise failure


class Following:
    """The reading side of a stream of events, over as many connections as it takes."""

    def __init__(self, watch: Watch) -> None:
        self._path = watch.path
        self._seen = None if watch.last_event_id is None else str(watch.last_event_id)
        self._left = _RECONNECTIONS
        self._event: dict[str, str] = {}
        self.has_ended = False

    def arguments(self) -> dict[str, Any]:
        """The next connection's request."""
        self._event = {}
        headers = {} if self._seen is None else {"Last-Event-ID": self._seen}
        timeout = httpx.Timeout(_SILENCE_SECONDS, connect=CONNECT_SECONDS)
        return {"method": "GET", "url": self._path, "headers": headers, "timeout": timeout}

    def feed(self, line: str) -> operation.Operation | None:
        """The state that the line completes, if it does (https://html.spec.whatwg.org/multipage/server-sent-events.html).

        Raises: pydantic.ValidationError where the daemon's words are not understood.
        """
        if line:
            name, _colon, value = line.partition(":")
            if name:  # without one it is a comment
                self._event[name] = value.removeprefix(" ")
            return None
        event, self._event = self._event, {}
        if "data" not in event:
            return None
        self._seen = event.get("id", self._seen)
        self._left = _RECONNECTIONS
        self.has_ended = event.get("event") == "ended"
        return operation.Operation.model_validate_json(event["data"])

    def note(self, failure: errors.DaemonUnavailable) -> None:
        """A connection ended too early. Raises: `failure` where the daemon stays away."""
        self._left -= 1
        if self._left < 0:
            raise failure


def segment(reference: str, missing: errors.NotFound, *, has_publisher: bool = False) -> str:
    """`reference` as one segment of a path; with `has_publisher` it may hold a slash, which is written `%2F`.

    Raises: `missing` where no path can name it, so nothing can have that name.
    """
    if not reference or ("/" in reference and not has_publisher) or reference in {".", ".."}:
        raise missing
    return urllib.parse.quote(reference, safe="@", errors="backslashreplace")

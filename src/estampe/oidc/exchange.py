"""HTTP with the provider: every exchange has a deadline and a size, and nothing is followed elsewhere."""

from __future__ import annotations

import functools
import json
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx

from estampe import errors

_MOST_BYTES: Final = 512 * 1024  # key sets of large providers have some 20 KiB


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """Asks one provider. `certificates`: a file of those that its TLS is trusted by; None: the system's. Threads may share it."""

    issuer: str
    certificates: str | None = None
    deadline_seconds: float = 10.0
    clock: Callable[[], float] = time.monotonic

    @functools.cached_property
    def _trust(self) -> ssl.SSLContext:
        """Read once: it takes longer than what it is needed for. httpx would bring a list of its own; administrators keep the system's."""
        return ssl.create_default_context(cafile=self.certificates)

    def get(self, url: str) -> Mapping[str, Any]:
        """A JSON object. Raises: errors.OidcUnavailable."""
        status, answer = self._ask("GET", url)
        if status != 200:
            raise self._unavailable(f"{url} answered {status}")
        return answer

    def post(
        self, url: str, form: Mapping[str, str], *, basic: tuple[str, str] | None
    ) -> tuple[int, Mapping[str, Any]]:
        """Status and JSON object of the answer to a form. Raises: errors.OidcUnavailable."""
        return self._ask("POST", url, form=form, basic=basic)

    def _ask(
        self, method: str, url: str, *, form: Mapping[str, str] | None = None, basic: tuple[str, str] | None = None
    ) -> tuple[int, Mapping[str, Any]]:  # fmt: skip
        ends_at = self.clock() + self.deadline_seconds
        try:
            with (
                httpx.Client(
                    timeout=self.deadline_seconds, follow_redirects=False, verify=self._trust
                ) as client,
                client.stream(
                    method, url, data=form, auth=None if basic is None else httpx.BasicAuth(*basic),
                    headers={"accept": "application/json"},
                ) as answer,
            ):  # fmt: skip
                return answer.status_code, self._object(url, self._read(url, answer, ends_at))
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            # Its own words only: a request's text holds the code and the client's secret.
            raise self._unavailable(f"{url}: {str(error) or type(error).__name__}") from error

    def _read(self, url: str, answer: httpx.Response, ends_at: float) -> bytes:
        """The body. httpx bounds each wait, not their sum: an answer in single bytes would hold a thread for ever."""
        body = bytearray()
        for part in answer.iter_bytes():
            body += part
            if len(body) > _MOST_BYTES:
                raise self._unavailable(f"{url} answered with more than {_MOST_BYTES} bytes")
            if self.clock() > ends_at:
                raise self._unavailable(f"{url} did not answer within {self.deadline_seconds:g} s")
        return bytes(body)

    def _object(self, url: str, body: bytes) -> Mapping[str, Any]:
        try:
            content = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise self._unavailable(f"{url} did not answer with JSON") from error
        if not isinstance(content, dict):
            raise self._unavailable(f"{url} did not answer with a JSON object")
        return content

    def _unavailable(self, detail: str) -> errors.OidcUnavailable:
        return errors.OidcUnavailable(issuer=self.issuer, detail=detail)

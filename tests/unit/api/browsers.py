"""A browser for tests: keeps cookies as one does, and says where its pages are from."""

from __future__ import annotations

from typing import Any

import fastapi
from starlette import testclient

ORIGIN = "https://estampe.test"
PASSWORD = "correct horse battery"


class Browser(testclient.TestClient):
    """At the public address, from an address of its own."""

    def __init__(self, api: fastapi.FastAPI, *, base: str = ORIGIN, address: str = "192.0.2.7") -> None:
        super().__init__(
            api, base_url=base, client=(address, 50000), raise_server_exceptions=False, follow_redirects=False
        )

    def sign_in(self, name: str = "alice", password: str = PASSWORD, **more: Any) -> Any:
        return self.post("/v1/session", json={"name": name, "password": password, **more})

    def token(self) -> str:
        """The CSRF token that our own pages would read."""
        return str(self.get("/v1/session").json()["csrf_token"])

    def code_of(self, answer: Any) -> tuple[int, str | None]:
        return answer.status_code, answer.json()["code"] if answer.status_code >= 400 else None


def cookies_of(answer: Any) -> dict[str, str]:
    """Name -> what the answer says of the cookie."""
    return {line.partition("=")[0]: line for line in answer.headers.get_list("set-cookie")}

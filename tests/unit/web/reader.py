"""A person with a browser: keeps cookies, follows redirects when told to, and fills in the forms that pages hold."""

from __future__ import annotations

from html import parser
from typing import Any

from starlette import testclient
from tests.unit.web import town


class Page(parser.HTMLParser):
    """What a test asks of a page: its text, its forms and its links."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.forms: list[dict[str, Any]] = []
        self.links: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self.tags.append((tag, told))
        if tag == "form":
            self.forms.append({"action": told.get("action"), "method": told.get("method", "get"), "fields": {}})
        is_left_out = told.get("type") in {"checkbox", "radio"} and "checked" not in told  # as a browser does
        if tag == "input" and self.forms and told.get("name") and not is_left_out:
            self.forms[-1]["fields"].setdefault(told["name"], told.get("value") or "")
        if tag == "a" and told.get("href"):
            self.links.append(str(told["href"]))

    def handle_data(self, data: str) -> None:
        self._words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self._words).split())

    def form(self, action: str) -> dict[str, Any]:
        return next(each for each in self.forms if each["action"] == action)


class Reader(testclient.TestClient):
    """At the public address."""

    def __init__(
        self, made: town.Town, *, address: str = "192.0.2.7", language: str = "en", served: Any = None
    ) -> None:
        super().__init__(
            served or made.served, base_url=town.ORIGIN, client=(address, 50000), follow_redirects=False,
            headers={"Accept-Language": language, "Accept": "text/html"},
        )  # fmt: skip

    def sign_in(self, name: str = "alice", *, account: str | None = "acme", **more: str) -> Any:
        fields = {"name": name, "password": town.PASSWORD, **({} if account is None else {"account": account}), **more}
        return self.post("/sign-in", data=fields)

    def open(self, path: str) -> Page:
        answer = self.get(path)
        assert answer.status_code == 200, (path, answer.status_code, Page(answer.text).text)
        return Page(answer.text)

    def token(self) -> str:
        return str(self.get("/v1/session").json()["csrf_token"])

    def fill(self, path: str, **fields: str) -> Any:
        """A form as its page would send it."""
        return self.post(path, data={"csrf_token": self.token(), **fields})

    def act(self, reference: str, action: str, **fields: str) -> Any:
        """A form of a template's page, as the reader of it now would send it."""
        form = self.open(f"/templates/{reference}").form(f"/templates/{reference}/-/{action}")
        return self.post(form["action"], data=form["fields"] | fields)

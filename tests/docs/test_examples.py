"""The examples of the Python client's page run, each by itself, against a daemon with fake services."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.docs import generate
from tests.unit.api import fakes, serving

from estampe.model import operation

_PAGE = (generate.DOCS / "howto/python-client.md").read_text()
_EXAMPLES = re.findall(r"^## (.+?)$|^```python\n(.+?)^```$", "## Begin\n" + _PAGE, re.MULTILINE | re.DOTALL)


def _named() -> Iterator[Any]:
    title = ""
    for heading, code in _EXAMPLES:
        title = heading or title
        if code:
            yield pytest.param(code, id=title)


class Quick(fakes.World):
    """Operations have ended as soon as they have begun."""

    def begin(self, kind: operation.Kind, subject: str, request: dict[str, Any] | None = None) -> operation.Operation:
        begun = super().begin(kind, subject, request)
        self.change(begun.id, state=operation.State.SUCCEEDED, result={}, ended_at=fakes.NOW)
        return begun


@pytest.fixture(scope="module")
def socket_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("examples") / "estampe.sock"
    with serving.serving(Quick(), path):
        yield path


@pytest.mark.parametrize("code", list(_named()))
def test_an_example_runs(code: str, socket_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESTAMPE_SOCKET", str(socket_path))
    exec(compile(code, "python-client.md", "exec"), {"__name__": str(uuid.uuid4())})  # noqa: S102 - our own page


def test_the_page_has_examples() -> None:
    assert len(list(_named())) >= 6

"""The daemon's log: one line an event, in the form that was asked for, with the request and the operation it is of."""

from __future__ import annotations

import contextvars
import io
import json
import logging
import threading
from collections.abc import Iterator

import pytest
import structlog

from estampe import correlation, log


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def _lines(form: log.Format) -> io.StringIO:
    stream = io.StringIO()
    log.configure("info", form, stream=stream)
    return stream


@pytest.mark.parametrize("form", ["json", "logfmt"])
def test_our_lines_and_the_libraries_look_alike(form: log.Format) -> None:
    stream = _lines(form)
    structlog.get_logger("ours").info("serving", socket="/run/x")
    logging.getLogger("theirs").warning("%s is full", "disk", extra={"code": "no-space"})
    logging.getLogger("theirs").debug("unheard")
    ours, theirs = stream.getvalue().splitlines()
    if form == "json":
        assert json.loads(ours) | {"timestamp": ""} == {
            "event": "serving", "socket": "/run/x", "level": "info", "logger": "ours", "timestamp": "",
        }  # fmt: skip
        told = json.loads(theirs)
        assert (told["event"], told["code"], told["level"], told["logger"]) == (
            "disk is full", "no-space", "warning", "theirs",
        )  # fmt: skip
    else:
        assert "level=info event=serving logger=ours socket=/run/x" in ours
        assert 'level=warning event="disk is full" logger=theirs code=no-space' in theirs


def test_every_line_inside_carries_the_request_and_the_operation() -> None:
    stream = _lines("json")
    with correlation.bound(request_id="r-1", operation_id=None):
        logging.getLogger("x").warning("one")
        with correlation.bound(operation_id="o-1"):
            threading.Thread(target=contextvars.copy_context().run, args=(logging.getLogger("x").error, "two")).start()
    logging.getLogger("x").warning("three")
    one, two, three = map(json.loads, stream.getvalue().splitlines())
    assert (one["request_id"], "operation_id" in one) == ("r-1", False)
    assert (two["request_id"], two["operation_id"]) == ("r-1", "o-1")
    assert "request_id" not in three


def test_a_traceback_is_one_line_of_json() -> None:
    stream = _lines("json")
    logging.getLogger("x").error("a defect", exc_info=RuntimeError("the inside"))
    (line,) = stream.getvalue().splitlines()
    assert "RuntimeError: the inside" in json.loads(line)["exception"]

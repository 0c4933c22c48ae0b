"""Errors as people meet them in pages: in words, with what to do next, and never with the inside of the daemon."""

from __future__ import annotations

import re
import string

import pytest
from tests.unit.web import reader

from estampe import errors
from estampe.web import advice, languages


def test_a_defect_shows_a_number_and_nothing_of_the_inside(world, http) -> None:
    world.failure = RuntimeError("the inside: /var/lib/estampe/secret")
    answer = http.get("/catalogue")
    page = reader.Page(answer.text)
    assert answer.status_code == 500
    assert f"request {answer.headers['X-Request-Id']}" in page.text
    assert "Try again in a moment." in page.text
    assert "secret" not in answer.text


def test_what_does_not_answer_is_told_to_try_again(world, http) -> None:
    world.failure = errors.DatabaseUnavailable(where="x", detail="the disk is full")
    answer = http.get("/catalogue")
    assert (answer.status_code, "database-unavailable" in answer.text) == (503, True)
    assert "Try again in a moment." in answer.text


def test_a_refused_form_says_why_on_the_page_it_came_from(world, http) -> None:
    page = reader.Page(http.get("/templates/web@2").text)
    form = page.form("/templates/web@2/-/share")
    answer = http.post(form["action"], data=form["fields"] | {"account": "globex", "until": "soon"})
    assert answer.status_code == 400
    assert "Something in the form cannot be taken." in answer.text
    assert "must be a day, as 2026-12-31" in answer.text


@pytest.mark.parametrize("kind", errors.all_errors().values(), ids=lambda kind: kind.code)
def test_every_error_has_words_in_every_language(kind: type[errors.EstampeError]) -> None:
    """And those of its own name no fact that the error does not have."""
    fields = string.Formatter().parse(kind.message)
    facts = {name: 7.0 if written else f"<{name}>" for _text, name, written, _conversion in fields if name}
    error = kind(**facts)
    for language in languages.all_languages().values():
        told = advice.of(error, language)
        assert told.title
        assert told.what_next
        assert told.code == kind.code
        assert not re.search(r"%\(\w+\)", told.title + told.what_next)

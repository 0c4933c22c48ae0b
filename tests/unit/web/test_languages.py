"""Every text in every language, and numbers, sizes and dates as each writes them."""

from __future__ import annotations

import datetime
import re

import pytest
from tests.unit.web import catalogues

from estampe.web import languages

AT = datetime.datetime(2026, 11, 23, 14, 5, tzinfo=datetime.UTC)


@pytest.mark.parametrize("code", languages.CODES)
def test_a_catalogue_is_in_step_with_what_is_said(code: str) -> None:
    told = "run `python -m tests.unit.web.catalogues`, and translate what is new"
    assert catalogues.path(code).read_text() == catalogues.text_of(code), told


def test_every_message_is_translated() -> None:
    """None missing, none guessed, none that nothing says any more, and each with the facts of the original."""
    catalogue = catalogues.read("fr")
    missing, fuzzy, strange = [], [], []
    for message in catalogue:
        if not message.id:
            continue
        texts = message.string if isinstance(message.string, tuple) else (message.string,)
        originals = message.id if isinstance(message.id, tuple) else (message.id,)
        missing += [message.id] if not all(texts) else []
        fuzzy += [message.id] if message.fuzzy else []
        strange += [message.id] if any(_facts(text) != _facts(originals[-1]) for text in texts if text) else []
    assert (missing, fuzzy, strange, list(catalogue.obsolete)) == ([], [], [], [])


def _facts(text: str) -> set[str]:
    return set(re.findall(r"%\(\w+\)s", text))


def test_french_spaces_do_not_break() -> None:
    loose = [each.id for each in catalogues.read("fr") if each.id and re.search(r" [:;!?»]|« ", str(each.string))]
    assert loose == []


@pytest.mark.parametrize(
    ("kept", "accepted", "code"),
    [
        (None, None, "en"),
        (None, "fr-FR,fr;q=0.9,en;q=0.8", "fr"),
        (None, "de-DE, en;q=0.3, fr;q=0.7", "fr"),
        (None, "fr;q=0, en", "en"),
        ("en", "fr", "en"),
        ("fr", "en", "fr"),
        ("xx", "fr", "fr"),
        (None, "*;q=x,,,;q=", "en"),
    ],
)
def test_a_choice_goes_before_what_the_browser_asks_for(kept: str | None, accepted: str | None, code: str) -> None:
    assert languages.choose(kept=kept, accepted=accepted).code == code


@pytest.mark.parametrize(
    ("size", "english", "french"),
    [
        (None, "—", "—"),
        (0, "0 B", "0 o"),
        (1023, "1,023 B", "1 023 o"),
        (1536, "1.5 KiB", "1,5 Kio"),
        (12 * 1024**3, "12 GiB", "12 Gio"),
        (12.34 * 1024**3, "12.3 GiB", "12,3 Gio"),
        (345.6 * 1024**4, "346 TiB", "346 Tio"),
        (2000 * 1024**5, "2,000 PiB", "2 000 Pio"),
    ],
)
def test_sizes_are_written_as_the_language_does(size: float | None, english: str, french: str) -> None:
    found = [_plain(each.size(size)) for each in languages.all_languages().values()]
    assert found == [english, french]


def test_numbers_and_times_are_written_as_the_language_does() -> None:
    english, french = languages.all_languages().values()
    assert (english.number(1234.5), _plain(french.number(1234.5))) == ("1,234.5", "1 234,5")
    assert (english.percent(0.25), _plain(french.percent(0.25))) == ("25%", "25 %")
    assert _plain(english.time(AT)) == "Nov 23, 2026, 2:05:00 PM UTC"
    assert _plain(french.time(AT)) == "23 nov. 2026, 14:05:00 UTC"
    assert _plain(french.date(AT)) == "23 nov. 2026"


def _plain(text: str) -> str:
    """With ordinary spaces."""
    return re.sub(r"\s", " ", text)

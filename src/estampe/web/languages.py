"""Languages: texts from the catalogues, and numbers, sizes and dates as each language writes them.

The catalogues are compiled in memory when the console starts: no build step, and no compiled file that is out of step.
"""

from __future__ import annotations

import datetime
import functools
import gettext
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import babel
from babel import dates, numbers
from babel.messages import mofile, pofile

from estampe import units

DIRECTORY: Final = Path(__file__).parent / "locale"
DOMAIN: Final = "estampe"
DEFAULT: Final = "en"
CODES: Final = ("en", "fr")  # the first is the language of the messages in the code
_STEP: Final = 1024
_LEAST_DETAILED: Final = 100  # from here on no decimals: 123 GiB, but 12.3 GiB


def _(message: str) -> str:
    """Marks a message that is translated later, where the language is known."""
    return message


_UNITS: Final = (_("B"), _("KiB"), _("MiB"), _("GiB"), _("TiB"), _("PiB"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """One language with its catalogue."""

    code: str
    locale: babel.Locale
    catalogue: gettext.NullTranslations

    @property
    def name(self) -> str:
        """What those who speak it call it."""
        return (self.locale.display_name or self.code).capitalize()

    def gettext(self, message: str) -> str:
        """The message in this language."""
        return self.catalogue.gettext(message)

    def number(self, value: float) -> str:
        """With the marks that the language groups and divides by."""
        return numbers.format_decimal(value, locale=self.locale)

    def percent(self, share: float) -> str:
        """Of a share between 0 and 1."""
        return numbers.format_percent(share, format=None, locale=self.locale)

    def size(self, size_bytes: float | None) -> str:
        """`12.3 GiB`, `12,3 Gio`: binary units, three figures."""
        if size_bytes is None:
            return "—"
        value, unit = float(size_bytes), 0
        while abs(value) >= _STEP and unit < len(_UNITS) - 1:
            value, unit = value / _STEP, unit + 1
        digits = "#,##0" if abs(value) >= _LEAST_DETAILED or unit == 0 else "#,##0.##" if abs(value) < 10 else "#,##0.#"
        written = numbers.format_decimal(value, format=digits, locale=self.locale)
        return f"{written}\N{NO-BREAK SPACE}{self.gettext(_UNITS[unit])}"

    def duration(self, seconds: float) -> str:
        """`0.4 s`, `12 s`, `3 min 05 s`, `2 h 10 min`: the symbols are the same everywhere."""
        if seconds < 10:
            return f"{numbers.format_decimal(seconds, format='0.0', locale=self.locale)}\N{NO-BREAK SPACE}s"
        return units.format_duration(seconds).replace(" ", "\N{NO-BREAK SPACE}")

    def date(self, at: datetime.datetime) -> str:
        """Day, month and year, in UTC."""
        return dates.format_date(at.astimezone(datetime.UTC), format="medium", locale=self.locale)

    def time(self, at: datetime.datetime) -> str:
        """The same with the time of the day; a module in the page makes it the reader's own zone's."""
        written = dates.format_datetime(at, format="medium", tzinfo=dates.UTC, locale=self.locale)
        return f"{written} UTC"


@functools.cache
def all_languages() -> Mapping[str, Language]:
    """Every language by its code."""
    return {code: _load(code) for code in CODES}


def _load(code: str) -> Language:
    with (DIRECTORY / code / "LC_MESSAGES" / f"{DOMAIN}.po").open("rb") as stream:
        catalogue = pofile.read_po(stream, locale=code, domain=DOMAIN)
    compiled = io.BytesIO()
    mofile.write_mo(compiled, catalogue)
    compiled.seek(0)
    return Language(code=code, locale=babel.Locale.parse(code), catalogue=gettext.GNUTranslations(compiled))


def choose(*, kept: str | None, accepted: str | None) -> Language:
    """The person's choice (a cookie), else what the browser asks for (Accept-Language), else English."""
    known = all_languages()
    if kept is not None and kept in known:
        return known[kept]
    for wanted in _wanted(accepted or ""):
        found = wanted.partition("-")[0]
        if found in known:
            return known[found]
    return known[DEFAULT]


def _wanted(accepted: str) -> list[str]:
    """Of Accept-Language, the dearest first (RFC 9110, section 12.5.4)."""
    weighed = []
    for nth, part in enumerate(accepted.lower().split(",")[:20]):
        name, _semicolon, weight = part.strip().partition(";q=")
        try:
            quality = float(weight) if weight else 1.0
        except ValueError:
            quality = 0.0
        if quality > 0:
            weighed.append((-quality, nth, name))
    return [name for _quality, _nth, name in sorted(weighed)]

"""What a browser remembers for a person, in cookies: language, colours, and a word about what was just done.

None of them lets anybody in, and what they hold is checked before it is used.
"""

from __future__ import annotations

import urllib.parse
from typing import Final

from starlette import requests, responses

LANGUAGE: Final = "estampe-language"
THEME: Final = "estampe-theme"
_NOTICE: Final = "estampe-notice"
AUTOMATIC: Final = "auto"
THEMES: Final = (AUTOMATIC, "light", "dark")
_YEAR_SECONDS: Final = 365 * 86_400
_NOTICE_SECONDS: Final = 60
_MOST_CHARACTERS: Final = 1000


def theme_of(request: requests.Request) -> str:
    """Light, dark, or as the browser's system has it."""
    kept = request.cookies.get(THEME, AUTOMATIC)
    return kept if kept in THEMES else AUTOMATIC


def keep(response: responses.Response, name: str, value: str, *, is_secure: bool) -> None:
    """Remember a choice for a year."""
    _set(response, name, value, is_secure=is_secure, seconds=_YEAR_SECONDS)


def notice_of(request: requests.Request) -> str:
    """What the page before had to say; empty where nothing."""
    return urllib.parse.unquote(request.cookies.get(_NOTICE, ""))[:_MOST_CHARACTERS]


def tell(response: responses.Response, notice: str, *, is_secure: bool) -> None:
    """Have the next page say it."""
    value = urllib.parse.quote(notice[:_MOST_CHARACTERS], safe="")
    _set(response, _NOTICE, value, is_secure=is_secure, seconds=_NOTICE_SECONDS)


def forget_notice(response: responses.Response) -> None:
    """It was said."""
    response.delete_cookie(_NOTICE, path="/", httponly=True, samesite="lax")


def _set(response: responses.Response, name: str, value: str, *, is_secure: bool, seconds: int) -> None:
    response.set_cookie(name, value, max_age=seconds, path="/", secure=is_secure, httponly=True, samesite="lax")

"""Jinja2 with everything escaped: what comes from the API is somebody's text, and may be meant to harm."""

from __future__ import annotations

import datetime
import json
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import jinja2
import markupsafe

from estampe.model import sight
from estampe.web import languages, words

DIRECTORY: Final = Path(__file__).parent / "templates"
EXTENSIONS: Final = ("jinja2.ext.i18n", "jinja2.ext.do")


class Renderer:
    """Templates in every language: one environment each, since a translated text is compiled into the template."""

    def __init__(self) -> None:
        self._environments = {code: _environment(each) for code, each in languages.all_languages().items()}

    def render(self, template: str, language: languages.Language, facts: Mapping[str, Any]) -> str:
        """The text of a page."""
        return self._environments[language.code].get_template(template).render(facts)


def _environment(language: languages.Language) -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(DIRECTORY),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=list(EXTENSIONS),
        auto_reload=False,
    )
    made.install_gettext_translations(language.catalogue, newstyle=True)  # type: ignore[attr-defined]  # its extension's
    made.filters |= {
        "size": language.size,
        "number": language.number,
        "percent": language.percent,
        "duration": language.duration,
        "day": language.date,
        "content": lambda kind: language.gettext(words.CONTENTS.get(kind, kind)),
        "setting": lambda name: language.gettext(words.SETTINGS.get(name, name)),
        "setting_value": lambda value: _setting(value, language),
        "phase": lambda name: words.of_phase(name, language),
        "document": _document,
        "moment": lambda at: _moment(at, language),
        "segment": lambda text: urllib.parse.quote(text, safe="@/"),
        "word": lambda value: language.gettext(words.of(value)),
        "action": lambda name: language.gettext(words.of_action(name)),
    }
    made.tests["followable"] = sight.leads_somewhere
    return made


def _setting(value: Any, language: languages.Language) -> str:
    """A tuned setting's value: words of libvirt stay as they are."""
    if isinstance(value, bool):
        return language.gettext(words.YES if value else words.NO)
    return language.gettext(words.PER_CPU) if value == words.CPUS else str(value)


def _document(value: Any) -> str:
    """What a page shows as it is, in full."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def _moment(at: datetime.datetime, language: languages.Language) -> markupsafe.Markup:
    """A `time` element, which js/time.js rewrites to the reader's own zone."""
    exact = at.astimezone(datetime.UTC).isoformat(timespec="seconds")
    return markupsafe.Markup('<time datetime="{}">{}</time>').format(exact, language.time(at))

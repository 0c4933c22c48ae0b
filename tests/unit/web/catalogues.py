"""The message catalogues and what the code and the templates say: `python -m tests.unit.web.catalogues` brings them together.

New messages come in untranslated, those that nothing says any more go. Nothing is guessed ("fuzzy"): a wrong text is worse than a
missing one, and a test finds the missing.
"""

from __future__ import annotations

import io
from pathlib import Path

from babel.messages import catalog, extract, pofile

from estampe.web import languages, rendering

SOURCES = Path(rendering.__file__).parent
_OPTIONS = {"extensions": ",".join(rendering.EXTENSIONS), "trim_blocks": "true", "lstrip_blocks": "true"}
_METHODS = [("templates/**.html", "jinja2"), ("**.py", "python")]
_WIDTH = 120
_UNSAID = tuple(
    f'"{name}' for name in (
        "POT-Creation", "PO-Revision", "Generated-By", "Report-Msgid", "Last-Translator", "Language-Team", "Project-Id",
    )
)  # fmt: skip
PLURALS = {"en": "(n != 1)", "fr": "(n > 1)"}


def extracted() -> catalog.Catalog:
    """Every message that is said."""
    found = catalog.Catalog(domain=languages.DOMAIN)
    said = extract.extract_from_dir(
        SOURCES,
        method_map=_METHODS,
        options_map={"templates/**.html": _OPTIONS},
        comment_tags=(),
        strip_comment_tags=True,
    )
    for name, _line, message, _comments, context in said:
        found.add(message, locations=[(name, 0)], context=context)
    return found


def path(code: str) -> Path:
    return languages.DIRECTORY / code / "LC_MESSAGES" / f"{languages.DOMAIN}.po"


def read(code: str) -> catalog.Catalog:
    with path(code).open("rb") as stream:
        return pofile.read_po(stream, locale=code, domain=languages.DOMAIN)


def renewed(code: str) -> catalog.Catalog:
    """The catalogue with what is said now, and the translations that it has of it."""
    before = read(code) if path(code).exists() else catalog.Catalog(locale=code, domain=languages.DOMAIN)
    made = catalog.Catalog(
        locale=code, domain=languages.DOMAIN, project="Estampe", version="console", fuzzy=False,
        header_comment="# Texts of the web console; `python -m tests.unit.web.catalogues` keeps this file in step with them.",
    )  # fmt: skip
    # Babel (2.19) follows CLDR, where French has a third form for whole millions ("un million de serveurs"); we count no millions.
    made._num_plurals, made._plural_expr = 2, PLURALS[code]
    for message in extracted():
        if not message.id:
            continue
        kept = before.get(message.id, message.context)
        text = kept.string if kept is not None else None
        places = sorted(set(message.locations))
        made.add(message.id, text, locations=places, flags=message.flags - {"fuzzy"}, context=message.context)
    return made


def text_of(code: str) -> str:
    """The file as it should be: without dates, which would differ each time."""
    written = io.BytesIO()
    pofile.write_po(written, renewed(code), width=_WIDTH, sort_output=True, include_lineno=False)
    lines = written.getvalue().decode().splitlines()
    return "\n".join(line for line in lines if not line.startswith(_UNSAID)) + "\n"


def write(code: str) -> None:
    path(code).parent.mkdir(parents=True, exist_ok=True)
    path(code).write_text(text_of(code))


if __name__ == "__main__":
    for each in languages.CODES:
        write(each)

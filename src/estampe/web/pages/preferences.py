"""Language and colours: choices of a browser, so they are there before anybody signs in."""

from __future__ import annotations

from starlette import responses

from estampe.web import choices, languages, page

pages = page.Pages()


@pages.get("/preferences", is_open=True)
async def show_preferences(view: page.View) -> responses.Response:
    """The form."""
    return view.render("preferences.html", languages=languages.all_languages().values(), themes=choices.THEMES)


@pages.post("/preferences", is_open=True)
async def set_preferences(view: page.View) -> responses.Response:
    """Keeps what is named, and goes back to where it was chosen: the whole page here, one choice in the layout."""
    code, theme = view.form.text("language"), view.form.text("theme")
    chosen = languages.all_languages().get(code)
    if chosen is not None:
        view.language = chosen
    response = view.redirect(page.own_path(view.form.text("next")), notice=view.gettext("Your choice is kept."))
    if chosen is not None:
        choices.keep(response, choices.LANGUAGE, code, is_secure=view.is_secure)
    if theme in choices.THEMES:
        choices.keep(response, choices.THEME, theme, is_secure=view.is_secure)
    return response

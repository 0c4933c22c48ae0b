"""People who may sign in, for the cloud operator."""

from __future__ import annotations

from typing import Any, Final

from starlette import responses

from estampe.client import calls, client
from estampe.schemas import account
from estampe.web import acts, page
from estampe.web.languages import _
from estampe.web.sections import Section

pages = page.Pages(section=Section.ADMINISTRATION)
_PAGE: Final = 50
_MOST_CHARACTERS: Final = 62  # with the two stars around it a pattern of the API
_ADDRESS: Final = "/administration/people"


@pages.get(_ADDRESS)
async def show_people(view: page.View) -> responses.Response:
    """All of them, by name."""
    return view.render("administration_people.html", **await _facts(view, ""))


async def _facts(view: page.View, _reference: str) -> dict[str, Any]:
    wanted = view.query("name").lower()[:_MOST_CHARACTERS]
    asked = calls.list_users(name=f"*{wanted}*" if wanted else None, limit=_PAGE)
    found = await view.api.page(asked, view.query("after") or None)
    return {"people": found.users, "next": found.next, "wanted": wanted}


async def _create(view: page.View, _reference: str) -> str | None:
    request = client.make(
        account.CreateUserRequest, name=view.form.text("name").lower(), password=view.form.secret("password") or None,
        is_cloud_operator=view.form.flag("is_cloud_operator"),
    )  # fmt: skip
    await view.api.create_user(request)
    return None


async def _set_password(view: page.View, _reference: str) -> str | None:
    request = client.make(account.PasswordRequest, password=view.form.secret("password"))
    await view.api.set_password(view.form.text("name"), request)
    return None


async def _delete(view: page.View, _reference: str) -> str | None:
    await view.api.delete_user(view.form.text("name"))
    return None


_acts = acts.Acts(
    template="administration_people.html",
    facts=_facts,
    address=lambda _reference: _ADDRESS,
    acts={
        "create": (_create, _("The person may sign in. Now make him a member of an account.")),
        "password": (
            _set_password,
            _("The password is changed, and what was signed in with the old one is signed out."),
        ),
        "delete": (_delete, _("The person is deleted, with memberships and keys.")),
    },
)


@pages.post(f"{_ADDRESS}/-/{{act}}")
async def act(view: page.View) -> responses.Response:
    """Do something with one of them, whom the form names."""
    return await _acts.do(view, "", view.request.path_params["act"])

"""The detour to the OpenID provider, as a browser sees it: the API's two addresses, with pages where they meet an error.

The provider knows the way back by its address, which is the API's. A browser that came there would be shown JSON where something is
wrong; so for browsers the console asks the API itself, passes its answer on, and puts words to an error.
"""

from __future__ import annotations

from typing import Final

from starlette import responses, routing, types

from estampe import errors
from estampe.web import page

PATHS: Final = ("/v1/oidc/start", "/v1/oidc/callback")
_PASSED_ON: Final = ("location", "cache-control", "referrer-policy")


def is_detour(scope: types.Scope) -> bool:
    """Whether a browser asks for one of them as a page."""
    accepted = b",".join(value for name, value in scope["headers"] if name == b"accept")
    return scope["path"] in PATHS and scope["method"] == "GET" and b"text/html" in accepted


def routes(shell: page.Shell) -> list[routing.Route]:
    """Open: nobody is signed in yet."""
    return [routing.Route(path, shell.endpoint(_pass_on, is_open=True)) for path in PATHS]


async def _pass_on(view: page.View) -> responses.Response:
    url = view.request.url
    view.api.cookies.clear()
    answer = await view.api.pass_on(url.path.removeprefix("/v1"), url.query)
    if answer.is_redirect:
        response = responses.Response(status_code=answer.status_code)
        for name in _PASSED_ON:
            if name in answer.headers:
                response.headers[name] = answer.headers[name]
        for cookie in view.api.cookies:
            response.headers.append("set-cookie", cookie)
        return response
    error = view.api.error_of(answer)
    if isinstance(error, errors.AccountAmbiguous):
        return view.render("sign_in_account.html", accounts=error.facts["known"].split(", "))
    return view.problem(error)

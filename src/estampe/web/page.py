"""What a page is made of: `Pages` collects a module's handlers, `View` is what a handler gets, `Shell` runs it.

    pages = page.Pages(section=Section.SERVERS, entry="/servers")

    @pages.get("/servers")
    async def show(view: page.View) -> responses.Response:
        found = await view.api.page(calls.list_servers(), None)
        return view.render("servers.html", servers=found.servers)

A handler parses, calls the API and renders. It looks after none of the following, which happen around it: who is signed in, the
CSRF token of a form, the other account's things (the API does not find them), and every error of the API, which becomes a page
that says what to do next.
"""

from __future__ import annotations

import datetime
import hmac
import logging
import urllib.parse
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import markupsafe
from starlette import requests, responses, routing

from estampe import correlation, errors
from estampe.client import in_process
from estampe.model import account, oidc, origin
from estampe.schemas import problem, session
from estampe.web import advice, assets, choices, forms, languages, rendering
from estampe.web.sections import LABELS, Section

SIGN_IN: Final = "/sign-in"
_HTMX: Final = "HX-Request"
_FORWARDED: Final = ("cookie", "origin", "sec-fetch-site", "user-agent", "host")
_CSRF: Final = "X-CSRF-Token"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A link of the navigation."""

    section: Section
    path: str
    is_operators: bool  # only the cloud operator's

    @property
    def label(self) -> str:
        """In the language of the code."""
        return LABELS[self.section]


@dataclass(kw_only=True)
class View:
    """One request for a page: who asks, in which language, and the API as that person may use it."""

    shell: Shell
    request: requests.Request
    language: languages.Language
    theme: str
    api: in_process.InProcessClient
    form: forms.Form = forms.NOTHING
    current: session.CurrentSession | None = None  # None: nobody is signed in, and the page is open to nobody
    section: Section | None = None
    _notice: str = ""

    @property
    def me(self) -> session.CurrentSession:
        """Who is signed in. Only for pages that are not open to nobody."""
        if self.current is None:
            raise errors.SignInNeeded
        return self.current

    @property
    def is_partial(self) -> bool:
        """Whether htmx asks, for a part of the page."""
        return self.request.headers.get(_HTMX) == "true"

    @property
    def is_secure(self) -> bool:
        """Whether the browser speaks HTTPS."""
        return self.shell.origin_of(self.request).startswith("https")

    def may(self, role: str) -> bool:
        """Whether the role is enough; only to leave out what would be refused: the gate decides."""
        actor = self.me.actor
        return actor.is_cloud_operator or actor.role.covers(account.Role(role))

    def query(self, name: str) -> str:
        """A parameter of the address, without white space around it."""
        return self.request.query_params.get(name, "").strip()

    @property
    def now(self) -> datetime.datetime:
        """The time, with its zone."""
        return self.shell.clock()

    def gettext(self, message: str, **facts: Any) -> str:
        """The message in the reader's language."""
        return self.language.gettext(message) % facts if facts else self.language.gettext(message)

    def render(self, template: str, /, *, status: int = 200, **facts: Any) -> responses.Response:
        """A page."""
        self._notice = choices.notice_of(self.request)
        text = self.shell.renderer.render(template, self.language, {"view": self, "csrf": self.csrf, **facts})
        response = responses.HTMLResponse(text, status_code=status)
        if self._notice:
            choices.forget_notice(response)
        return self._finish(response)

    def redirect(self, path: str, *, notice: str | None = None) -> responses.Response:
        """To another page of ours, which says the notice. After a form: a reload does not send it again."""
        response = responses.RedirectResponse(path, status_code=303)
        if notice is not None:
            choices.tell(response, notice, is_secure=self.is_secure)
        return self._finish(response)

    def refused(self, template: str, error: errors.EstampeError, /, **facts: Any) -> responses.Response:
        """The page of a form again, with what the API has against it; htmx shows it as any other."""
        told = advice.of(error, self.language)
        return self.render(template, status=problem.status_of(type(error)), advice=told, **facts)

    def problem(self, error: errors.EstampeError) -> responses.Response:
        """A page that says what is wrong and what to do."""
        status = problem.status_of(type(error))
        number = correlation.request_id() if status >= 500 else None
        return self.render(
            "problem.html", status=status, advice=advice.of(error, self.language), code=status, request_id=number
        )

    def sign_in_first(self) -> responses.Response:
        """To the sign-in page, and back to where this was after it."""
        here = _path_of(self.request) if self.request.method == "GET" else "/"
        if self.is_partial:
            here = _path_of_url(self.request.headers.get("HX-Current-URL", "/"))
        target = f"{SIGN_IN}?{urllib.parse.urlencode({'next': here})}"
        if not self.is_partial:
            return self._finish(responses.RedirectResponse(target, status_code=303))
        return self._finish(responses.Response(status_code=204, headers={"HX-Redirect": target}))

    def _finish(self, response: responses.Response) -> responses.Response:
        for cookie in self.api.cookies:
            response.headers.append("set-cookie", cookie)
        return response

    # --- what the layout asks -----------------------------------------------------------------------------------------

    @property
    def notice(self) -> str:
        """What the page before has to say."""
        return self._notice

    @property
    def entries(self) -> Sequence[Entry]:
        """The navigation, for this person."""
        if self.current is None:
            return ()
        is_operator = self.current.actor.is_cloud_operator
        return [each for each in self.shell.sections if is_operator or not each.is_operators]

    @property
    def here(self) -> str:
        """Path and query of this page."""
        return _path_of(self.request) if self.request.method == "GET" else "/"

    @property
    def csrf_token(self) -> str:
        """What every form sends along; empty where nobody is signed in."""
        return "" if self.current is None else self.current.csrf_token or ""

    def csrf(self) -> markupsafe.Markup:
        """The field that holds it, for every form."""
        return markupsafe.Markup('<input type="hidden" name="{}" value="{}">').format(forms.CSRF_FIELD, self.csrf_token)

    def asset(self, name: str) -> str:
        """The address of a file that the page loads."""
        return self.shell.assets.url(name)


def in_utc() -> datetime.datetime:
    """The time, with its zone."""
    return datetime.datetime.now(datetime.UTC)


Handler = Callable[[View], Awaitable[responses.Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """What surrounds every page."""

    api: in_process.Application
    assets: assets.Assets
    public_origin: str | None
    sections: Sequence[Entry]
    clock: Callable[[], datetime.datetime] = in_utc
    renderer: rendering.Renderer = field(default_factory=rendering.Renderer)

    def origin_of(self, request: requests.Request) -> str:
        """Where the browser reaches us."""
        return self.public_origin or f"{request.url.scheme}://{request.headers.get('host', '')}"

    def endpoint(
        self, handler: Handler, *, is_open: bool = False, needs_token: bool = True, section: Section | None = None
    ) -> Callable[[requests.Request], Awaitable[responses.Response]]:
        """`handler` as Starlette calls it."""

        async def answer(request: requests.Request) -> responses.Response:
            view = self.view(request, section)
            async with view.api:
                return await _answered(view, handler, is_open=is_open, needs_token=needs_token)

        return answer

    def view(self, request: requests.Request, section: Section | None = None) -> View:
        """Of a request, before it is known who asks."""
        told = {name: request.headers[name] for name in _FORWARDED if name in request.headers}
        told["x-request-id"] = correlation.request_id() or ""
        language = languages.choose(
            kept=request.cookies.get(choices.LANGUAGE), accepted=request.headers.get("accept-language")
        )
        return View(
            shell=self, request=request, language=language, theme=choices.theme_of(request), section=section,
            api=in_process.InProcessClient(self.api, scope=request.scope, headers=told),
        )  # fmt: skip


async def _answered(view: View, handler: Handler, *, is_open: bool, needs_token: bool) -> responses.Response:
    """The page, or the one that says why not."""
    try:
        await _identify(view, is_open=is_open)
        if view.request.method not in origin.SAFE_METHODS:
            await _take_form(view, needs_token=needs_token)
        return await handler(view)
    except (errors.SignInNeeded, errors.SessionEnded) as error:
        return view.problem(error) if is_open else view.sign_in_first()
    except errors.EstampeError as error:
        return view.problem(error)
    except Exception:  # noqa: BLE001 - the edge of a request
        _log.exception("%s %s met a defect", view.request.method, view.request.url.path)
        return view.problem(errors.EstampeError(detail=""))


async def _identify(view: View, *, is_open: bool) -> None:
    """Raises: errors.SignInNeeded, errors.SessionEnded, unless the page is open."""
    try:
        view.current = await view.api.get_session()
    except errors.NotSignedIn:
        if not is_open:
            raise


async def _take_form(view: View, *, needs_token: bool) -> None:
    """The form, and its token to the API with it. A form of a page that only sets cookies is held to the same.

    Raises: errors.CrossSiteRefused, errors.InvalidRequest.
    """
    headers = view.request.headers
    origin.check(
        site=headers.get("sec-fetch-site"), origin=headers.get("origin"), own=view.shell.origin_of(view.request)
    )
    view.form = await forms.read(view.request)
    if view.current is None or not needs_token:
        return
    shown = view.form.secret(forms.CSRF_FIELD)
    if not hmac.compare_digest(shown.encode(), (view.current.csrf_token or "").encode()):
        raise errors.CrossSiteRefused(problem="its CSRF token is not the session's; load the page again")
    view.api.add_header(_CSRF, shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled:
    """One address, and who answers there."""

    method: str
    path: str
    handler: Handler
    is_open: bool
    needs_token: bool = True


@dataclass(kw_only=True)
class Pages:
    """The pages of one module. `entry` is the one that the navigation leads to, `is_operators` whom it is shown."""

    section: Section | None = None
    entry: str | None = None
    is_operators: bool = False
    handled: list[Handled] = field(default_factory=list)

    def get(self, path: str, *, is_open: bool = False) -> Callable[[Handler], Handler]:
        """The handler of a page; `is_open` to nobody, too."""

        def keep(handler: Handler) -> Handler:
            self.handled.append(Handled(method="GET", path=path, handler=handler, is_open=is_open))
            return handler

        return keep

    def post(self, path: str, *, is_open: bool = False, needs_token: bool = True) -> Callable[[Handler], Handler]:
        """The handler of a form; without `needs_token` it is one that nobody's session stands behind, as the one to sign in."""

        def keep(handler: Handler) -> Handler:
            self.handled.append(
                Handled(method="POST", path=path, handler=handler, is_open=is_open, needs_token=needs_token)
            )
            return handler

        return keep

    def routes(self, shell: Shell) -> list[routing.Route]:
        """As Starlette takes them, in the order they were written."""
        return [
            routing.Route(
                each.path,
                shell.endpoint(each.handler, is_open=each.is_open, needs_token=each.needs_token, section=self.section),
                methods=[each.method],
            )
            for each in self.handled
        ]


async def missing(view: View) -> responses.Response:
    """Whatever is no page."""
    raise errors.RouteNotFound(method=view.request.method, path=view.request.url.path)


def own_path(text: str) -> str:
    """`text` where it is a path of ours, else the first page: an address must not lead its reader to another host."""
    try:
        return oidc.check_next(text)
    except errors.InvalidRequest:
        return "/"


def _path_of(request: requests.Request) -> str:
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{request.url.path}{query}"


def _path_of_url(url: str) -> str:
    parts = urllib.parse.urlsplit(url)
    return own_path(urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, "")))

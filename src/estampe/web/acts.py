"""What is done with a thing by forms of its page: one address each, `<the thing's>/-/<act>`, which leads back to the page.

Where the API refuses, the page is shown as it is now, with what to do next and the form open that was refused.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette import responses

from estampe import errors
from estampe.web import page

# Does it; gives the page to go to, None for the thing's own.
Act = Callable[[page.View, str], Awaitable[str | None]]
_REFUSALS: Final = (
    errors.Invalid, errors.Conflict, errors.Unavailable, errors.SignInRefused, errors.RoleDenied, errors.AccountNotFound,
    errors.UserNotFound, errors.MemberNotFound, errors.ApiKeyNotFound,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Acts:
    """Of one kind of thing. `acts` are by the last part of the address: what is done, and what the next page says of it."""

    template: str
    facts: Callable[[page.View, str], Awaitable[dict[str, Any]]]  # what the page shows of the thing
    address: Callable[[str], str]  # of its page
    acts: Mapping[str, tuple[Act, str]]

    async def do(self, view: page.View, reference: str, name: str) -> responses.Response:
        """Do it, and show what came of it."""
        if name not in self.acts:
            raise errors.RouteNotFound(method="POST", path=view.request.url.path)
        act, said = self.acts[name]
        try:
            goal = await act(view, reference)
        except _REFUSALS as error:
            return view.refused(self.template, error, **await self.facts(view, reference), refused=name)
        return view.redirect(goal or self.address(reference), notice=view.gettext(said))

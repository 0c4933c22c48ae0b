"""Guided forms: what is typed is planned by the API at once, and begins only from a plan that was shown.

    show ──▶ the form ──(each change: htmx)──▶ plan ──▶ the plan beside it, or what is wrong with which field
                 └──────(no scripts: a button)─▶ plan ──▶ the page again, with the plan
                                                  └──▶ begin ──▶ the operation's page

The button that begins stands in the plan. A form carries an idempotency key: one that is sent twice begins one operation.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from starlette import responses

from estampe import errors
from estampe.model import operation as operations
from estampe.schemas import operation, wire
from estampe.web import advice, forms, page

AGAIN: Final = "again"  # in the address: the operation whose request fills the form
_KEY: Final = "key"
# Errors that are one field's fault, beside those that name it themselves.
_FIELDS: Final[Mapping[str, str]] = {
    errors.NameInUse.code: "name", errors.InvalidName.code: "name", errors.PoolNotFound.code: "pool",
    errors.NetworkNotFound.code: "interfaces.0.network",
}  # fmt: skip
# What the services call a field, in an error that names it, where the form has another name for it.
_SERVICES_WORDS: Final[Mapping[str, str]] = {
    "memory": "memory_bytes", "format": "volume_format", "ssh-key": "ssh_keys", "user-data": "user_data", "interfaces": "interfaces.0.network",
}  # fmt: skip
_BELONG_TO_THE_FORM: Final = (
    errors.Invalid, errors.Conflict, errors.Unsupported, errors.Corrupt, errors.PoolNotFound, errors.NetworkNotFound,
    errors.ProfileNotFound, errors.NoDeployableVersion,
)  # fmt: skip

_Request = TypeVar("_Request", bound=wire.Request)


@dataclass(frozen=True, slots=True, kw_only=True)
class Guided(Generic[_Request]):
    """One such form: the templates of its page and of the plan beside it, and what it asks of the API."""

    whole: str
    beside: str
    facts: Callable[[page.View], Awaitable[dict[str, Any]]]  # what the page shows; `names` are the form's fields
    read: Callable[[page.View, Mapping[str, Any]], _Request]  # the form as a request; raises errors.InvalidRequest
    foresee: Callable[[page.View, _Request], Awaitable[Any]]
    start: Callable[[page.View, _Request, str | None], Awaitable[operation.Operation]]

    async def show(self, view: page.View, filled: forms.Form, facts: Mapping[str, Any]) -> responses.Response:
        """The form; with scripts it asks for its plan by itself."""
        return view.render(self.whole, **facts, **self._parts(filled))

    async def show_plan(self, view: page.View) -> responses.Response:
        """What would happen, or what is wrong; nothing has happened."""
        facts = await self.facts(view)
        try:
            plan = await self.foresee(view, self.read(view, facts))
        except _BELONG_TO_THE_FORM as error:
            return self._refused(view, error, facts)
        told = {**facts, **self._parts(view.form), "plan": plan}
        return view.render("parts/planned.html" if view.is_partial else self.whole, **told)

    async def begin(self, view: page.View) -> responses.Response:
        """Begin it, and go where it is followed."""
        facts = await self.facts(view)
        try:
            begun = await self.start(view, self.read(view, facts), view.form.optional(_KEY))
        except _BELONG_TO_THE_FORM as error:
            return self._refused(view, error, facts)
        return view.redirect(f"/operations/{begun.id}")

    def _parts(self, filled: forms.Form) -> dict[str, Any]:
        return {"filled": filled, "key": str(uuid.uuid4()), "plan_template": self.beside, "plan": None, "marked": {}}

    def _refused(self, view: page.View, error: errors.EstampeError, facts: Mapping[str, Any]) -> responses.Response:
        told = {**facts, **self._parts(view.form), "marked": _marked(error, facts["names"], view)}
        if not view.is_partial:
            return view.refused(self.whole, error, **told)
        # A form that is not filled in yet is no mistake: an answer like any other, for the browser's console, too.
        return view.render("parts/planned.html", advice=advice.of(error, view.language), **told)


async def request_of(view: page.View, kind: operations.Kind) -> Mapping[str, Any] | None:
    """What the operation was asked that the form is to be filled with; None where the address names none that fits."""
    reference = view.query(AGAIN)
    if not reference:
        return None
    try:
        found = await view.api.get_operation(reference)
    except (errors.NotFound, errors.Invalid):
        return None
    asked = found.request.get(kind.value)
    return asked if found.kind is kind and isinstance(asked, dict) else None


def _marked(error: errors.EstampeError, names: Sequence[str], view: page.View) -> dict[str, str]:
    """What is wrong, by the field that it is wrong in."""
    if isinstance(error, errors.InvalidRequest):
        named, said = str(error.facts["field"]), str(error.facts["problem"])
        field = _SERVICES_WORDS.get(named, named)
    else:
        told = advice.of(error, view.language)
        field, said = _field_of(error), f"{told.title} {told.what_next}"
    fitting = [name for name in names if field == name or field.startswith(f"{name}.")]
    return {max(fitting, key=len): said} if fitting else {}


def _field_of(error: errors.EstampeError) -> str:
    if isinstance(error, errors.VolumeTooSmall):
        return f"volume_sizes.{error.facts['volume']}"
    if isinstance(error, errors.InvalidName) and error.facts["what"] == "host":
        return "hostname"
    return _FIELDS.get(error.code, "")

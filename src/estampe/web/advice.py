"""What a page says of an error: a sentence in the reader's language, what to do next, and the stable code.

The API's own message speaks to all its callers, in English and of commands. Errors that people meet in pages have words of their
own here; the others get their family's, with the API's message below.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from estampe import errors
from estampe.web import languages
from estampe.web.languages import _


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """An error as a page shows it."""

    title: str
    what_next: str
    code: str
    detail: str  # the API's own words, where the title does not say it all; else empty


# By code: what is wrong, and what to do. %(...)s are facts of the error.
_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    errors.SignInRefused.code: (
        _("Name, password or account is wrong."),
        _("Check what you typed. If you forgot your password, ask the cloud operator for another one."),
    ),
    errors.SignInLocked.code: (
        _("Too many attempts to sign in have failed."),
        _("Wait %(seconds)s seconds, then try again. Others are not kept out by this."),
    ),
    errors.AccountAmbiguous.code: (
        _("You belong to several accounts."),
        _("Choose the one to work in. You can change it later without signing in again."),
    ),
    errors.SessionEnded.code: (_("Your session has ended."), _("Sign in again; you come back to this page.")),
    errors.SignInNeeded.code: (_("You are not signed in."), _("Sign in; you come back to this page.")),
    errors.OidcAnswerRefused.code: (
        _("Signing in at the OpenID provider did not succeed."),
        _("Begin again from the sign-in page."),
    ),
    errors.OidcPersonUnknown.code: (
        _("The OpenID provider knows you as %(name)s, but nobody here goes by that name."),
        _("Ask the cloud operator to let you in, and tell him your subject there: %(subject)s"),
    ),
    errors.OidcUnavailable.code: (
        _("The OpenID provider does not answer as it should."),
        _("Try again in a moment, or sign in with a password."),
    ),
    errors.OidcNotConfigured.code: (_("There is no OpenID provider here."), _("Sign in with a password.")),
    errors.CrossSiteRefused.code: (
        _("This request does not come from a page of this console, or from one that is too old."),
        _("Load the page again and repeat what you did. Nothing was changed."),
    ),
    errors.RoleDenied.code: (
        _("This takes the role %(needed)s; yours in account %(account)s is %(role)s."),
        _("Ask an owner of the account."),
    ),
    errors.CloudOperatorOnly.code: (_("Only the cloud operator may do this."), _("Ask the cloud operator.")),
    errors.AccountSuspended.code: (
        _("Account %(account)s is suspended: nothing of it can be changed."),
        _("Ask the cloud operator to resume it."),
    ),
    errors.AccountNotFound.code: (_("There is no account %(account)s."), _("Check the name.")),
    errors.RouteNotFound.code: (_("There is no such page."), _("Check the address, or go on from the catalogue.")),
    errors.TemplateNotFound.code: (
        _("There is no template %(template)s that you may see."),
        _("It may have been deleted, or is not shared with your account any more. Look for it in the catalogue."),
    ),
    errors.TemplateChanged.code: (
        _("Somebody else has changed the template since you loaded the page."),
        _("Look at it as it is now, then repeat what you did. Nothing was changed."),
    ),
    errors.TemplateInUse.code: (
        _("The template is in use by an operation."),
        _("Wait until the operation has ended, or cancel it."),
    ),
    errors.TemplateProtected.code: (
        _("The template is protected."),
        _("End its protection first, if it is really to go."),
    ),
    errors.TemplateStateForbids.code: (
        _("The state of the template does not allow this now."),
        _("Look at its state on its page; it may have to be enabled or restored first."),
    ),
    errors.TemplateNotSealed.code: (
        _("The template is not sealed: it may hold keys and the identity of the server it came from."),
        _("Capture the server again with sealing, or say in the form that you accept this."),
    ),
    errors.TemplateNotOwned.code: (
        _("The template belongs to %(publisher)s: only that account can do this."),
        _("Ask its publisher."),
    ),
    errors.PublishingNotAllowed.code: (
        _("Account %(account)s may not publish templates."),
        _("Ask the cloud operator to allow it, or share the template with accounts by name."),
    ),
    errors.ShareNotFound.code: (
        _("The template is not shared with %(account)s."),
        _("Load the page again: somebody else may have ended the sharing."),
    ),
    errors.ServerNotFound.code: (
        _("There is no server %(server)s that you may see."),
        _("It may have been deleted, or belongs to another account. Look for it among the servers."),
    ),
    errors.OperationNotFound.code: (
        _("There is no operation %(operation)s that you may see."),
        _("Operations are forgotten some time after their end. Look for it in the list."),
    ),
    errors.OperationEnded.code: (_("The operation has ended already."), _("Look at what came of it.")),
    errors.OperationOutdated.code: (
        _("The operation was begun by another version of Estampe, and was undone."),
        _("Ask for it again."),
    ),
    errors.OperationNotRestored.code: (
        _("The operation was under way when the backup was made that the database was restored from."),
        _("It was not continued. See what it left, then ask for it again."),
    ),
    errors.ServerBusy.code: (
        _("Server %(server)s is in use by an operation."),
        _("Wait until the operation has ended, or cancel it."),
    ),
    errors.ServerStateForbids.code: (
        _("The state of server %(server)s does not allow this now."),
        _("Look at its state on its page, then try again."),
    ),
    errors.ServerStarted.code: (
        _("Server %(server)s was started, or written to, while it was being captured. Nothing was kept."),
        _("Capture it again, and let nobody start it meanwhile."),
    ),
    errors.ServerChanged.code: (
        _("Server %(server)s was changed while it was being captured. Nothing was kept."),
        _("Capture it again."),
    ),
    errors.ShutdownTimeout.code: (
        _("Server %(server)s did not shut down in time, and was left running."),
        _(
            "Shut it down from inside, give it more time, or let its power be cut: its data is then as after a power cut."
        ),
    ),
    errors.VolumeLocked.code: (_("A volume is in use by another process."), _("Stop what uses it, then try again.")),
    errors.NameInUse.code: (
        _("The name %(name)s is in use already."),
        _("Choose another name, or remove what has it."),
    ),
    errors.InvalidName.code: (_("%(name)s cannot be a name here."), _("Choose another name.")),
    errors.InvalidSize.code: (
        _("%(text)s is not a size."),
        _("Write a whole number with its unit, as 512MiB or 40GiB."),
    ),
    errors.VolumeTooSmall.code: (
        _("Volume %(volume)s cannot be made smaller than it is in the template."),
        _("Ask for %(least)s or more."),
    ),
    errors.BelowLeast.code: (_("This is less than the template needs: %(what)s."), _("Ask for %(least)s or more.")),
    errors.NoDeployableVersion.code: (
        _("No version of template %(template)s can be deployed."),
        _("Enable or restore one, or choose another template."),
    ),
    errors.PoolNotFound.code: (_("There is no active storage pool %(pool)s on this host."), _("There are: %(known)s.")),
    errors.NetworkNotFound.code: (
        _("There is no active network %(network)s on this host."),
        _("There are: %(known)s."),
    ),
    errors.NoSpace.code: (
        _("There is not enough space in %(where)s: %(needed)s needed, %(available)s available."),
        _("Free some, or choose another place."),
    ),
    errors.QuotaExceeded.code: (
        _("This would exceed the account's quota of %(what)s: %(asked)s asked, %(used)s of %(limit)s used."),
        _("Remove what is not needed any more, or ask the cloud operator for more."),
    ),
    errors.StoreBusy.code: (
        _("The store is in use by an operation."),
        _("Wait until the operation has ended, or cancel it."),
    ),
    errors.RequestInProgress.code: (
        _("The same form was sent a moment ago, and has not been answered yet."),
        _("Look among the operations before you send it again."),
    ),
    errors.HypervisorUnavailable.code: (
        _("The hypervisor does not answer."),
        _("Try again in a moment. If it lasts, tell the cloud operator."),
    ),
    errors.AccountInUse.code: (
        _("Account %(account)s cannot be deleted: it has %(what)s."),
        _("Delete those, or assign them to another account first."),
    ),
    errors.AccountBuiltIn.code: (
        _("Account %(account)s is always there and active."),
        _("It owns the servers that nobody was assigned."),
    ),
    errors.UserNotFound.code: (_("There is no user %(user)s."), _("Check the name.")),
    errors.MemberNotFound.code: (
        _("Account %(account)s has no member %(user)s."),
        _("Load the page again: somebody else may have removed him."),
    ),
    errors.InvalidRequest.code: (_("Something in the form cannot be taken."), _("Correct it and send the form again.")),
    errors.ManifestCorrupt.code: (
        _("The template is damaged in the store."),
        _("Tell the cloud operator; capture the server again while it is there."),
    ),
}
_FAMILIES: Final[Mapping[type[errors.EstampeError], tuple[str, str]]] = {
    errors.Invalid: (_("Something in the request cannot be taken."), _("Correct it and try again.")),
    errors.NotFound: (_("What you asked for is not there."), _("It may be gone by now. Go back and look again.")),
    errors.Denied: (_("You may not do this."), _("Ask an owner of the account, or the cloud operator.")),
    errors.Conflict: (_("This is not possible at the moment."), _("Look at how things stand, then try again.")),
    errors.Unsupported: (_("This host cannot do it."), _("Ask the cloud operator.")),
    errors.Unavailable: (_("Something did not answer in time."), _("Try again in a moment.")),
    errors.Corrupt: (_("Stored data is damaged."), _("Tell the cloud operator. Do not try again.")),
    errors.EstampeError: (
        _("Something went wrong here."),
        _("Try again in a moment. If it happens again, tell the cloud operator the number of the request."),
    ),
}
_SAID_BY_TITLE: Final = frozenset(_WORDS) - {
    errors.InvalidRequest.code, errors.TemplateStateForbids.code, errors.ManifestCorrupt.code, errors.OidcAnswerRefused.code,
    errors.CrossSiteRefused.code, errors.OidcUnavailable.code, errors.ServerStateForbids.code, errors.ServerChanged.code,
    errors.VolumeLocked.code, errors.InvalidName.code, errors.HypervisorUnavailable.code,
}  # fmt: skip


def of(error: errors.EstampeError, language: languages.Language) -> Advice:
    """The error in the reader's language."""
    family = next(_FAMILIES[kind] for kind in type(error).__mro__ if kind in _FAMILIES)
    title, what_next = _WORDS.get(error.code, family)
    return Advice(
        title=_filled(language.gettext(title), error),
        what_next=_filled(language.gettext(what_next), error),
        code=error.code,
        detail="" if error.code in _SAID_BY_TITLE else str(error),
    )


def _filled(text: str, error: errors.EstampeError) -> str:
    try:
        return text % error.facts
    except KeyError:  # a daemon of another version knows other facts
        return text

"""Routes of who else may see templates: shares and publications of an account's own, and what it hides of others'."""

from __future__ import annotations

import datetime
from typing import Final

import fastapi

from estampe import errors
from estampe.api import dependencies as given
from estampe.api import etag, gate, problems
from estampe.model import sight
from estampe.schemas import template

router = fastapi.APIRouter(prefix="/templates/{reference}", tags=["templates"], route_class=gate.Route)
_OWN: Final = (errors.TemplateNotFound, errors.TemplateNotOwned)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _seen(found: sight.Seen, response: fastapi.Response) -> template.Template:
    response.headers["etag"] = found.template.etag
    return template.Template.of(found)


@router.get("/shares", responses=problems.answers(*_OWN))
def list_shares(
    services: given.Services, owner_id: given.OwnerId, reference: given.TemplateReference
) -> template.ShareList:
    """Whom a template of the account's is shared with, by name."""
    found, at = services.sharing.list_shares(owner_id, reference), _now()
    return template.ShareList(shares=[template.Share.of(each, at=at) for each in found])


@router.put("/shares/{account}", responses=problems.answers(*_OWN, errors.AccountNotFound, errors.TemplateStateForbids))
def share_template(
    services: given.Services,
    actor: given.Actor,
    trail: given.Trail,
    reference: given.TemplateReference,
    account: given.AccountPath,
    request: template.ShareRequest,
) -> template.Share:
    """Share a template of the account's with another account, or change how it is shared."""
    until = f" until {request.expires_at.isoformat()}" if request.expires_at else ""
    trail.subject = f"{reference} with {account}: {request.right.value}{until}"
    share = services.sharing.share(actor, reference, account, request.terms(), expires_at=request.expires_at)
    return template.Share.of(share, at=share.at)


@router.delete(
    "/shares/{account}",
    status_code=204,
    responses=problems.answers(*_OWN, errors.AccountNotFound, errors.ShareNotFound),
)
def unshare_template(
    services: given.Services,
    actor: given.Actor,
    trail: given.Trail,
    reference: given.TemplateReference,
    account: given.AccountPath,
) -> None:
    """Share a template with an account no longer: nothing new is deployed from it there, and servers stay as they are."""
    trail.subject = f"{reference} with {account}"
    services.sharing.unshare(actor, reference, account)


@router.post(
    "/publish",
    responses=problems.answers(
        *_OWN,
        errors.TemplateStateForbids,
        errors.TemplateNotSealed,
        errors.PublishingNotAllowed,
        errors.TemplateChanged,
    ),
)
def publish_template(
    services: given.Services,
    actor: given.Actor,
    trail: given.Trail,
    reference: given.TemplateReference,
    request: template.PublishRequest,
    response: fastapi.Response,
    if_match: etag.IfMatch,
) -> template.Template:
    """Let every account see a template of the account's, under its publisher's name; again, the terms are changed."""
    trail.subject = f"{reference}: {request.right.value}{', unsealed' if request.is_unsealed_accepted else ''}"
    found = services.sharing.publish(
        actor, reference, request.terms(), is_unsealed_accepted=request.is_unsealed_accepted, etags=if_match
    )
    return _seen(found, response)


@router.post("/unpublish", responses=problems.answers(*_OWN, errors.TemplateChanged))
def unpublish_template(
    services: given.Services,
    actor: given.Actor,
    reference: given.TemplateReference,
    response: fastapi.Response,
    if_match: etag.IfMatch,
) -> template.Template:
    """Public no longer: only whom it is shared with sees it still, and servers stay as they are."""
    return _seen(services.sharing.unpublish(actor, reference, etags=if_match), response)


@router.post("/hide", responses=problems.answers(errors.TemplateNotFound))
def hide_template(
    services: given.Services, owner_id: given.OwnerId, reference: given.TemplateReference
) -> template.Template:
    """Leave another account's template out of this account's lists; by its name it is found as before."""
    return template.Template.of(services.sharing.hide(owner_id, reference, is_hidden=True))


@router.post("/unhide", responses=problems.answers(errors.TemplateNotFound))
def unhide_template(
    services: given.Services, owner_id: given.OwnerId, reference: given.TemplateReference
) -> template.Template:
    """Show it in this account's lists again."""
    return template.Template.of(services.sharing.hide(owner_id, reference, is_hidden=False))

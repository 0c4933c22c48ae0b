"""A function for each route of the API: what to ask, typed. `client.Routes` makes methods of both clients of them."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any, Final

from estampe import errors
from estampe.client import exchange
from estampe.client.call import Call, Listing, Watch, nothing
from estampe.model import account as accounts
from estampe.model import audit as entries
from estampe.model import listing, power, visibility
from estampe.model import operation as operations
from estampe.model import retention as rules
from estampe.model import session as sessions
from estampe.model import template as templates
from estampe.schemas import (
    account,
    api_key,
    audit,
    capture,
    characteristics,
    deploy,
    oidc,
    operation,
    publishing,
    retention,
    server,
    session,
    store,
    system,
    template,
    wire,
)

_PLAN_SECONDS: Final = 300.0  # a plan reads the extents of every volume; usage every manifest
_START_SECONDS: Final = 120.0  # of a server, by libvirt on a busy host
_MARGIN_SECONDS: Final = 15.0  # between the end of a wait in the daemon and our giving up on it
_PROVIDER_SECONDS: Final = 60.0  # the daemon asks the OpenID provider up to four times, each with 10 s
_PAGE: Final = 100


# --- servers ----------------------------------------------------------------------------------------------------------


def list_servers(
    *, name: str | None = None, power_states: Sequence[power.PowerState] = ()
) -> Listing[server.ServerList, server.Server]:
    """Servers, by name; `name` is a pattern."""
    query = {"name": name, "power_state": [state.value for state in power_states], "limit": _PAGE}

    def page(after: str | None) -> Call[server.ServerList]:
        read = server.ServerList.model_validate_json
        return Call(read=read, method="GET", path="/servers", query={**query, "after": after})

    return Listing(page=page, items=lambda found: found.servers, next=lambda found: found.next)


def get_server(reference: str) -> Call[server.ServerDetail]:
    """One server."""
    return Call(read=server.ServerDetail.model_validate_json, method="GET", path=_server(reference))


def start_server(reference: str) -> Call[server.Server]:
    """Start it; returns when it has started."""
    return Call(
        read=server.Server.model_validate_json,
        method="POST",
        path=f"{_server(reference)}/start",
        timeout_seconds=_START_SECONDS,
    )


def stop_server(reference: str, request: server.StopRequest) -> Call[server.Server]:
    """Shut it down; returns when it is off."""
    return Call(
        read=server.Server.model_validate_json,
        method="POST",
        path=f"{_server(reference)}/stop",
        body=request,
        timeout_seconds=request.timeout_seconds + _START_SECONDS,
    )


def delete_server(reference: str, *, is_volumes_deleted: bool, is_forced: bool) -> Call[None]:
    """Remove it."""
    query = {"is_volumes_deleted": is_volumes_deleted, "is_forced": is_forced}
    return Call(read=nothing, method="DELETE", path=_server(reference), query=query, timeout_seconds=_START_SECONDS)


def assign_server(reference: str, request: server.AssignRequest) -> Call[server.Server]:
    """Give it to an account."""
    return Call(
        read=server.Server.model_validate_json, method="POST", path=f"{_server(reference)}/assign", body=request
    )


# --- captures and deployments -----------------------------------------------------------------------------------------


def plan_capture(request: capture.CaptureRequest) -> Call[capture.CapturePlan]:
    """What the capture would do."""
    return Call(
        read=capture.CapturePlan.model_validate_json,
        method="POST",
        path="/captures/plan",
        body=request,
        timeout_seconds=_PLAN_SECONDS,
    )


def start_capture(request: capture.CaptureRequest, *, idempotency_key: str | None = None) -> Call[operation.Operation]:
    """Begin a capture."""
    return _create("/captures", request, idempotency_key)


def plan_deployment(request: deploy.DeployRequest) -> Call[deploy.DeployPlan]:
    """What the deployment would do."""
    return Call(
        read=deploy.DeployPlan.model_validate_json,
        method="POST",
        path="/deployments/plan",
        body=request,
        timeout_seconds=_PLAN_SECONDS,
    )


def start_deployment(request: deploy.DeployRequest, *, idempotency_key: str | None = None) -> Call[operation.Operation]:
    """Begin a deployment."""
    return _create("/deployments", request, idempotency_key)


# --- templates --------------------------------------------------------------------------------------------------------


def list_templates(  # noqa: PLR0913 - a list has as many filters as it has
    *,
    name: str | None = None,
    tag: str | None = None,
    states: Sequence[templates.State] = (),
    is_sealed: bool | None = None,
    guest: str | None = None,
    is_trashed: bool = False,
    scopes: Sequence[visibility.Scope] = (),
    is_hidden: bool = False,
    sort: listing.TemplateSort = listing.TemplateSort.NAME,
    limit: int | None = None,
) -> Listing[template.TemplateList, template.Template]:
    """Templates that fit; `name` and `guest` are patterns. The trash only where it, or its state, is asked for.

    Without `scopes` the account's own; `is_hidden` gives what it has hidden of others'.
    """
    query = {
        "name": name, "tag": tag, "state": [state.value for state in states], "is_sealed": is_sealed, "guest": guest,
        "is_trashed": is_trashed or None, "scope": [scope.value for scope in scopes],
        "is_hidden": is_hidden or None, "sort": sort.value, "limit": min(_PAGE, limit or _PAGE),
    }  # fmt: skip

    def page(after: str | None) -> Call[template.TemplateList]:
        read = template.TemplateList.model_validate_json
        return Call(read=read, method="GET", path="/templates", query={**query, "after": after})

    return Listing(page=page, items=lambda found: found.templates, next=lambda found: found.next, limit=limit)


def get_template(reference: str) -> Call[template.TemplateDetail]:
    """One template."""
    return Call(
        read=template.TemplateDetail.model_validate_json,
        method="GET",
        path=_template(reference),
        timeout_seconds=_PLAN_SECONDS,
    )


def edit_template(
    reference: str, request: template.EditRequest, *, if_match: str | None = None
) -> Call[template.Template]:
    """Change it; with `if_match`, an ETag, only as the caller has seen it."""
    return Call(
        read=template.Template.model_validate_json,
        method="PATCH",
        path=_template(reference),
        body=request,
        headers=_if_match(if_match),
    )


def delete_template(reference: str, *, if_match: str | None = None) -> Call[template.Deletion]:
    """To the trash, or where there is none, away; with `if_match`, an ETag, only as the caller has seen it."""
    return Call(
        read=template.Deletion.model_validate_json,
        method="DELETE",
        path=_template(reference),
        headers=_if_match(if_match),
        timeout_seconds=_START_SECONDS,
    )


def replace_characteristics(
    reference: str, request: characteristics.CharacteristicsRequest, *, if_match: str | None = None
) -> Call[template.Template]:
    """Say anew what it is tuned for; with `if_match`, an ETag, only as the caller has seen it."""
    return _tune("PUT", reference, request, if_match)


def change_characteristics(
    reference: str, request: characteristics.CharacteristicsChangeRequest, *, if_match: str | None = None
) -> Call[template.Template]:
    """Change a part of what it is tuned for; with `if_match`, an ETag, only as the caller has seen it."""
    return _tune("PATCH", reference, request, if_match)


# --- profiles ---------------------------------------------------------------------------------------------------------


def list_profiles() -> Call[characteristics.ProfileList]:
    """The tuned settings that Estampe ships, by name."""
    return Call(read=characteristics.ProfileList.model_validate_json, method="GET", path="/profiles")


def get_profile(name: str) -> Call[characteristics.Profile]:
    """One of them."""
    unknown = errors.ProfileNotFound(profile=name, known="see `estampe profile list`")
    path = f"/profiles/{exchange.segment(name, unknown)}"
    return Call(read=characteristics.Profile.model_validate_json, method="GET", path=path)


# --- the life of templates: with `if_match`, an ETag, only as the caller has seen it ------------------------------------


def deprecate_template(
    reference: str, request: template.DeprecateRequest, *, if_match: str | None = None
) -> Call[template.Template]:
    """It still deploys, with a warning."""
    return _move(reference, "deprecate", if_match, request)


def disable_template(reference: str, *, if_match: str | None = None) -> Call[template.Template]:
    """Nothing is deployed from it any more."""
    return _move(reference, "disable", if_match)


def enable_template(reference: str, *, if_match: str | None = None) -> Call[template.Template]:
    """Neither deprecated nor disabled any more."""
    return _move(reference, "enable", if_match)


def restore_template(reference: str, *, if_match: str | None = None) -> Call[template.Template]:
    """Out of the trash."""
    return _move(reference, "restore", if_match)


def protect_template(reference: str, *, if_match: str | None = None) -> Call[template.Template]:
    """Keep it from deletion."""
    return _move(reference, "protect", if_match)


def unprotect_template(reference: str, *, if_match: str | None = None) -> Call[template.Template]:
    """Keep it no longer."""
    return _move(reference, "unprotect", if_match)


def purge_template(reference: str, *, if_match: str | None = None) -> Call[None]:
    """Out of the trash, for ever."""
    return Call(
        read=nothing,
        method="POST",
        path=f"{_template(reference)}/purge",
        headers=_if_match(if_match),
        timeout_seconds=_START_SECONDS,
    )


def list_servers_of_template(reference: str, *, is_every_version: bool = False) -> Call[server.DeployedList]:
    """The servers that were deployed from it, or from all versions of its name, and where others have some."""
    return Call(
        read=server.DeployedList.model_validate_json,
        method="GET",
        path=f"{_template(reference)}/servers",
        query={"is_every_version": is_every_version or None},
    )


def get_template_usage(reference: str) -> Call[store.TemplateSpace]:
    """What it takes of the store."""
    return Call(
        read=store.TemplateSpace.model_validate_json,
        method="GET",
        path=f"{_template(reference)}/usage",
        timeout_seconds=_PLAN_SECONDS,
    )


# --- who else may see templates ---------------------------------------------------------------------------------------


def list_shares(reference: str) -> Call[template.ShareList]:
    """Whom it is shared with."""
    return Call(read=template.ShareList.model_validate_json, method="GET", path=f"{_template(reference)}/shares")


def share_template(reference: str, account: str, request: template.ShareRequest) -> Call[template.Share]:
    """Share it with an account, or change how it is shared."""
    return Call(read=template.Share.model_validate_json, method="PUT", path=_share(reference, account), body=request)


def unshare_template(reference: str, account: str) -> Call[None]:
    """Share it with an account no longer."""
    return Call(read=nothing, method="DELETE", path=_share(reference, account))


def publish_template(
    reference: str, request: template.PublishRequest, *, if_match: str | None = None
) -> Call[template.Template]:
    """Let every account see it; with `if_match`, an ETag, only as the caller has seen it."""
    return _move(reference, "publish", if_match, request)


def unpublish_template(reference: str, *, if_match: str | None = None) -> Call[template.Template]:
    """Public no longer; with `if_match`, an ETag, only as the caller has seen it."""
    return _move(reference, "unpublish", if_match)


def hide_template(reference: str) -> Call[template.Template]:
    """Leave another account's template out of lists."""
    return _move(reference, "hide", None)


def unhide_template(reference: str) -> Call[template.Template]:
    """Show it in lists again."""
    return _move(reference, "unhide", None)


# --- retention rules --------------------------------------------------------------------------------------------------


def list_retention_rules() -> Call[retention.RetentionRuleList]:
    """All rules, by pattern."""
    return Call(read=retention.RetentionRuleList.model_validate_json, method="GET", path="/retention/rules")


def set_retention_rule(pattern: str, request: retention.RetentionRuleRequest) -> Call[retention.RetentionRule]:
    """Keep a rule, in place of the one for that pattern."""
    return Call(read=retention.RetentionRule.model_validate_json, method="PUT", path=_rule(pattern), body=request)


def remove_retention_rule(pattern: str) -> Call[None]:
    """Forget a rule."""
    return Call(read=nothing, method="DELETE", path=_rule(pattern))


def apply_retention_rules(request: retention.ApplyRequest) -> Call[retention.RetentionReport]:
    """Apply the rules now, or tell what they would do."""
    return Call(
        read=retention.RetentionReport.model_validate_json,
        method="POST",
        path="/retention/apply",
        body=request,
        timeout_seconds=_PLAN_SECONDS,
    )


# --- operations -------------------------------------------------------------------------------------------------------


def list_operations(
    *,
    states: Sequence[operations.State] = (),
    kind: operations.Kind | None = None,
    subject: str | None = None,
    since: datetime.datetime | None = None,
    sort: listing.OperationSort = listing.OperationSort.CREATED_DESCENDING,
    limit: int | None = 100,
) -> Listing[operation.OperationList, operation.Operation]:
    """Operations that fit, at most `limit` of them, the newest first unless sorted otherwise; `subject` is a pattern."""
    query = {
        "state": [state.value for state in states], "kind": kind.value if kind else None, "subject": subject,
        "since": since.isoformat() if since else None, "sort": sort.value, "limit": min(_PAGE, limit or _PAGE),
    }  # fmt: skip

    def page(after: str | None) -> Call[operation.OperationList]:
        read = operation.OperationList.model_validate_json
        return Call(read=read, method="GET", path="/operations", query={**query, "after": after})

    return Listing(page=page, items=lambda found: found.operations, next=lambda found: found.next, limit=limit)


def get_operation(reference: str) -> Call[operation.Operation]:
    """One operation as it stands."""
    return Call(read=operation.Operation.model_validate_json, method="GET", path=_operation(reference))


def wait_operation(reference: str, *, seen: str | None, wait_seconds: float) -> Call[operation.Operation]:
    """One operation when it differs from `seen` (a change token), has ended, or those seconds have passed."""
    return Call(
        read=operation.Operation.model_validate_json,
        method="GET",
        path=_operation(reference),
        query={"wait": wait_seconds, "seen": seen},
        timeout_seconds=wait_seconds + _MARGIN_SECONDS,
    )


def watch_operation(reference: str, *, last_event_id: int | None = None) -> Watch:
    """Its states to its end, as they come; a daemon that goes away is waited for, and nothing is told twice."""
    return Watch(path=f"{_operation(reference)}/events", last_event_id=last_event_id)


def cancel_operation(reference: str) -> Call[operation.Operation]:
    """Ask it to stop."""
    return Call(read=operation.Operation.model_validate_json, method="POST", path=f"{_operation(reference)}/cancel")


# --- store ------------------------------------------------------------------------------------------------------------


def get_usage() -> Call[store.Usage]:
    """What the store holds."""
    return Call(read=store.Usage.model_validate_json, method="GET", path="/store/usage", timeout_seconds=_PLAN_SECONDS)


def start_check(request: store.CheckRequest, *, idempotency_key: str | None = None) -> Call[operation.Operation]:
    """Begin to verify the store."""
    return _create("/store/check", request, idempotency_key)


def start_sweep(request: store.SweepRequest, *, idempotency_key: str | None = None) -> Call[operation.Operation]:
    """Begin to sweep the store."""
    return _create("/store/sweep", request, idempotency_key)


# --- who one is -------------------------------------------------------------------------------------------------------


def sign_in(request: api_key.SignInRequest) -> Call[api_key.SignedIn]:
    """A key for a name and a password."""
    return Call(read=api_key.SignedIn.model_validate_json, method="POST", path="/login", body=request)


def sign_out() -> Call[None]:
    """Revoke the key that this client shows."""
    return Call(read=nothing, method="POST", path="/logout")


def get_identity() -> Call[api_key.Identity]:
    """Who this client is taken for."""
    return Call(read=api_key.Identity.model_validate_json, method="GET", path="/identity")


def get_session() -> Call[session.CurrentSession]:
    """Who this client is taken for, with the session where it has one."""
    return Call(read=session.CurrentSession.model_validate_json, method="GET", path="/session")


def create_session(request: api_key.SignInRequest) -> Call[session.CurrentSession]:
    """Sign a browser in: the answer sets its cookie, so this is for who keeps cookies."""
    return Call(read=session.CurrentSession.model_validate_json, method="POST", path="/session", body=request)


def end_session() -> Call[None]:
    """Sign the browser out whose cookie is shown."""
    return Call(read=nothing, method="DELETE", path="/session")


def switch_account(request: session.SwitchRequest) -> Call[session.CurrentSession]:
    """Act for another account of the same person from now on, with the cookie that the answer sets."""
    return Call(read=session.CurrentSession.model_validate_json, method="PUT", path="/session/account", body=request)


def list_memberships() -> Call[session.MembershipList]:
    """The accounts that the person who asks is a member of."""
    return Call(read=session.MembershipList.model_validate_json, method="GET", path="/session/accounts")


def get_sign_in_ways() -> Call[session.SignInWays]:
    """How a browser can sign in."""
    return Call(read=session.SignInWays.model_validate_json, method="GET", path="/sign-in")


def list_sessions(
    *,
    user: str | None = None,
    method: sessions.Method | None = None,
    sort: listing.SessionSort = listing.SessionSort.CREATED_DESCENDING,
    limit: int | None = None,
) -> Listing[session.SessionList, session.Session]:
    """Browsers' sessions that may be seen and fit, the newest first unless sorted otherwise; `user` is a pattern."""
    query = {
        "user": user, "method": None if method is None else method.value, "sort": sort.value,
        "limit": min(_PAGE, limit or _PAGE),
    }  # fmt: skip

    def page(after: str | None) -> Call[session.SessionList]:
        read = session.SessionList.model_validate_json
        return Call(read=read, method="GET", path="/sessions", query={**query, "after": after})

    return Listing(page=page, items=lambda found: found.sessions, next=lambda found: found.next, limit=limit)


def revoke_session(reference: str) -> Call[session.Session]:
    """End it, wherever its browser is."""
    path = f"/sessions/{exchange.segment(reference, errors.SessionNotFound(session=reference))}"
    return Call(read=session.Session.model_validate_json, method="DELETE", path=path)


def start_oidc_command(request: oidc.CommandRequest) -> Call[oidc.Departure]:
    """Where to go at the OpenID provider to sign this client in."""
    return Call(
        read=oidc.Departure.model_validate_json,
        method="POST",
        path="/oidc/command",
        body=request,
        timeout_seconds=_PROVIDER_SECONDS,
    )


def finish_oidc_command(request: oidc.RedeemRequest) -> Call[api_key.SignedIn]:
    """A key for the provider's answer."""
    return Call(
        read=api_key.SignedIn.model_validate_json,
        method="POST",
        path="/oidc/login",
        body=request,
        timeout_seconds=_PROVIDER_SECONDS,
    )


# --- accounts ---------------------------------------------------------------------------------------------------------


def list_accounts(
    *,
    name: str | None = None,
    states: Sequence[accounts.State] = (),
    sort: listing.AccountSort = listing.AccountSort.NAME,
    limit: int | None = None,
) -> Listing[account.AccountList, account.Account]:
    """Accounts that may be seen and fit; `name` is a pattern."""
    query = {
        "name": name, "state": [state.value for state in states], "sort": sort.value,
        "limit": min(_PAGE, limit or _PAGE),
    }  # fmt: skip

    def page(after: str | None) -> Call[account.AccountList]:
        read = account.AccountList.model_validate_json
        return Call(read=read, method="GET", path="/accounts", query={**query, "after": after})

    return Listing(page=page, items=lambda found: found.accounts, next=lambda found: found.next, limit=limit)


def create_account(request: account.CreateAccountRequest) -> Call[account.Account]:
    """Make one."""
    return Call(read=account.Account.model_validate_json, method="POST", path="/accounts", body=request)


def get_account(reference: str) -> Call[account.Account]:
    """One account."""
    return Call(read=account.Account.model_validate_json, method="GET", path=_account(reference))


def suspend_account(reference: str) -> Call[account.Account]:
    """Let nothing of it be changed."""
    return Call(read=account.Account.model_validate_json, method="POST", path=f"{_account(reference)}/suspend")


def resume_account(reference: str) -> Call[account.Account]:
    """Active again."""
    return Call(read=account.Account.model_validate_json, method="POST", path=f"{_account(reference)}/resume")


def delete_account(reference: str) -> Call[None]:
    """Remove it."""
    return Call(read=nothing, method="DELETE", path=_account(reference))


def get_quota(reference: str) -> Call[account.Quota]:
    """What it may have, and has."""
    return Call(
        read=account.Quota.model_validate_json,
        method="GET",
        path=f"{_account(reference)}/quota",
        timeout_seconds=_PLAN_SECONDS,
    )


def edit_quota(reference: str, request: account.QuotaRequest) -> Call[account.Quota]:
    """Change limits; only what the request names is sent, since null lifts a limit."""
    return Call(
        read=account.Quota.model_validate_json,
        method="PATCH",
        path=f"{_account(reference)}/quota",
        body=request,
        timeout_seconds=_PLAN_SECONDS,
    )


def get_publishing(reference: str) -> Call[publishing.Publishing]:
    """What it may publish, and whose templates it takes."""
    return Call(read=publishing.Publishing.model_validate_json, method="GET", path=f"{_account(reference)}/publishing")


def allow_publishing(reference: str, request: publishing.AllowRequest) -> Call[publishing.Publishing]:
    """Let it make templates public, or no longer."""
    return Call(
        read=publishing.Publishing.model_validate_json,
        method="PUT",
        path=f"{_account(reference)}/publishing",
        body=request,
    )


def limit_publishers(reference: str, request: publishing.LimitRequest) -> Call[publishing.Publishing]:
    """Let it see the templates of some publishers only, or everybody's."""
    return Call(
        read=publishing.Publishing.model_validate_json,
        method="PUT",
        path=f"{_account(reference)}/publishers",
        body=request,
    )


# --- people -----------------------------------------------------------------------------------------------------------


def list_members(
    reference: str,
    *,
    name: str | None = None,
    roles: Sequence[accounts.Role] = (),
    sort: listing.NameSort = listing.NameSort.NAME,
    limit: int | None = None,
) -> Listing[account.MemberList, account.Member]:
    """The account's members that fit; `name` is a pattern."""
    query = {
        "name": name, "role": [role.value for role in roles], "sort": sort.value, "limit": min(_PAGE, limit or _PAGE),
    }  # fmt: skip

    def page(after: str | None) -> Call[account.MemberList]:
        read = account.MemberList.model_validate_json
        return Call(read=read, method="GET", path=f"{_account(reference)}/members", query={**query, "after": after})

    return Listing(page=page, items=lambda found: found.members, next=lambda found: found.next, limit=limit)


def add_member(reference: str, request: account.AddMemberRequest) -> Call[account.Member]:
    """Let a user act for the account."""
    path = f"{_account(reference)}/members"
    return Call(read=account.Member.model_validate_json, method="POST", path=path, body=request)


def edit_member(reference: str, user: str, request: account.EditMemberRequest) -> Call[account.Member]:
    """Give a member another role."""
    path = _member(reference, user)
    return Call(read=account.Member.model_validate_json, method="PATCH", path=path, body=request)


def remove_member(reference: str, user: str) -> Call[None]:
    """Let a user act for the account no more."""
    return Call(read=nothing, method="DELETE", path=_member(reference, user))


def list_users(
    *,
    name: str | None = None,
    is_cloud_operator: bool | None = None,
    sort: listing.NameSort = listing.NameSort.NAME,
    limit: int | None = None,
) -> Listing[account.UserList, account.User]:
    """Users that fit; `name` is a pattern."""
    query = {
        "name": name, "is_cloud_operator": is_cloud_operator, "sort": sort.value, "limit": min(_PAGE, limit or _PAGE),
    }  # fmt: skip

    def page(after: str | None) -> Call[account.UserList]:
        read = account.UserList.model_validate_json
        return Call(read=read, method="GET", path="/users", query={**query, "after": after})

    return Listing(page=page, items=lambda found: found.users, next=lambda found: found.next, limit=limit)


def create_user(request: account.CreateUserRequest) -> Call[account.User]:
    """Make one."""
    return Call(read=account.User.model_validate_json, method="POST", path="/users", body=request)


def delete_user(name: str) -> Call[None]:
    """Remove one, with memberships and keys."""
    return Call(read=nothing, method="DELETE", path=_user(name))


def set_password(name: str, request: account.PasswordRequest) -> Call[None]:
    """Change one's own password, or as the cloud operator anybody's."""
    return Call(read=nothing, method="PUT", path=f"{_user(name)}/password", body=request)


def link_user(name: str, request: oidc.LinkRequest) -> Call[None]:
    """Let a person of the OpenID provider in as this user."""
    return Call(read=nothing, method="PUT", path=f"{_user(name)}/oidc", body=request)


def unlink_user(name: str) -> Call[None]:
    """Let nobody of the OpenID provider in as this user any more."""
    return Call(read=nothing, method="DELETE", path=f"{_user(name)}/oidc")


# --- API keys and the audit log -----------------------------------------------------------------------------------------


def list_api_keys(
    *,
    name: str | None = None,
    is_live: bool | None = None,
    sort: listing.ApiKeySort = listing.ApiKeySort.CREATED_DESCENDING,
    limit: int | None = None,
) -> Listing[api_key.ApiKeyList, api_key.ApiKey]:
    """Keys that may be seen and fit, the newest first unless sorted otherwise; `name` is a pattern."""
    query = {"name": name, "is_live": is_live, "sort": sort.value, "limit": min(_PAGE, limit or _PAGE)}

    def page(after: str | None) -> Call[api_key.ApiKeyList]:
        read = api_key.ApiKeyList.model_validate_json
        return Call(read=read, method="GET", path="/api-keys", query={**query, "after": after})

    return Listing(page=page, items=lambda found: found.api_keys, next=lambda found: found.next, limit=limit)


def create_api_key(request: api_key.CreateApiKeyRequest) -> Call[api_key.NewApiKey]:
    """Make one; the answer is the only place where the key itself stands."""
    return Call(read=api_key.NewApiKey.model_validate_json, method="POST", path="/api-keys", body=request)


def revoke_api_key(reference: str) -> Call[api_key.ApiKey]:
    """Let it let nobody in any more."""
    path = f"/api-keys/{exchange.segment(reference, errors.ApiKeyNotFound(key=reference))}"
    return Call(read=api_key.ApiKey.model_validate_json, method="DELETE", path=path)


def list_audit_entries(  # noqa: PLR0913 - one for each filter
    *,
    account_name: str | None = None,
    actor: str | None = None,
    action: str | None = None,
    subject: str | None = None,
    outcome: entries.Outcome | None = None,
    since: datetime.datetime | None = None,
    until: datetime.datetime | None = None,
    sort: listing.AuditSort = listing.AuditSort.AT_DESCENDING,
    limit: int | None = None,
) -> Listing[audit.AuditList, audit.AuditEntry]:
    """Entries that fit, the newest first unless sorted otherwise; `subject` is a pattern."""
    query = {
        "account": account_name, "actor": actor, "action": action, "subject": subject,
        "outcome": outcome and outcome.value, "since": since and since.isoformat(),
        "until": until and until.isoformat(), "sort": sort.value, "limit": min(_PAGE, limit or _PAGE),
    }  # fmt: skip

    def page(after: str | None) -> Call[audit.AuditList]:
        read = audit.AuditList.model_validate_json
        return Call(read=read, method="GET", path="/audit", query={**query, "after": after})

    return Listing(page=page, items=lambda found: found.entries, next=lambda found: found.next, limit=limit)


# --- the daemon itself ------------------------------------------------------------------------------------------------


def get_version() -> Call[system.Version]:
    """Which Estampe answers."""
    return Call(read=system.Version.model_validate_json, method="GET", path="/version")


def get_health() -> Call[system.Health]:
    """Whether it answers."""
    return Call(read=system.Health.model_validate_json, method="GET", path="/health")


def get_readiness() -> Call[system.Readiness]:
    """That it can do its work; raises errors.NotReady where it cannot."""
    return Call(read=system.Readiness.model_validate_json, method="GET", path="/ready")


def get_metrics() -> Call[str]:
    """Its measurements, in Prometheus' text format."""
    return Call(read=bytes.decode, method="GET", path="/metrics")


def _create(path: str, request: Any, key: str | None) -> Call[operation.Operation]:
    return Call(
        read=operation.Operation.model_validate_json,
        method="POST",
        path=path,
        body=request,
        headers={} if key is None else {exchange.KEY_HEADER: key},
        timeout_seconds=_PLAN_SECONDS,
        is_create=True,
    )


def _tune(method: str, reference: str, request: wire.Request, etag: str | None) -> Call[template.Template]:
    return Call(
        read=template.Template.model_validate_json,
        method=method,
        path=f"{_template(reference)}/characteristics",
        body=request,
        headers=_if_match(etag),
    )


def _move(reference: str, move: str, etag: str | None, request: wire.Request | None = None) -> Call[template.Template]:
    return Call(
        read=template.Template.model_validate_json,
        method="POST",
        path=f"{_template(reference)}/{move}",
        body=request,
        headers=_if_match(etag),
    )


def _if_match(etag: str | None) -> Mapping[str, str]:
    return {} if etag is None else {"If-Match": etag}


def _server(reference: str) -> str:
    return f"/servers/{exchange.segment(reference, errors.ServerNotFound(server=reference))}"


def _template(reference: str) -> str:
    missing = errors.TemplateNotFound(template=reference)
    return f"/templates/{exchange.segment(reference, missing, has_publisher=True)}"


def _share(reference: str, account: str) -> str:
    return f"{_template(reference)}/shares/{exchange.segment(account, errors.AccountNotFound(account=account))}"


def _operation(reference: str) -> str:
    return f"/operations/{exchange.segment(reference, errors.OperationNotFound(operation=reference))}"


def _account(reference: str) -> str:
    return f"/accounts/{exchange.segment(reference, errors.AccountNotFound(account=reference))}"


def _member(reference: str, user: str) -> str:
    missing = errors.MemberNotFound(account=reference, user=user)
    return f"{_account(reference)}/members/{exchange.segment(user, missing)}"


def _user(name: str) -> str:
    return f"/users/{exchange.segment(name, errors.UserNotFound(user=name))}"


def _rule(pattern: str) -> str:
    missing = errors.RetentionRuleNotFound(pattern=pattern)
    return f"/retention/rules/{exchange.segment(rules.check_pattern(pattern), missing)}"

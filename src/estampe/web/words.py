"""What the API's fixed words are called on a page: states, visibilities, roles, and the actions of the audit log."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

from estampe.model import account, audit, operation, power, template, visibility
from estampe.web import languages
from estampe.web.languages import _

# By enumeration, since members of two of them may have the same value.
WORDS: Final[Mapping[type[enum.StrEnum], Mapping[enum.StrEnum, str]]] = {
    template.State: {
        template.State.CAPTURING: _("being captured"),
        template.State.ACTIVE: _("active"),
        template.State.DEPRECATED: _("deprecated"),
        template.State.DISABLED: _("disabled"),
        template.State.TRASHED: _("in the trash"),
        template.State.DELETING: _("being purged"),
    },
    visibility.Visibility: {
        visibility.Visibility.PRIVATE: _("private"),
        visibility.Visibility.SHARED: _("shared"),
        visibility.Visibility.PUBLIC: _("public"),
    },
    visibility.Right: {visibility.Right.DEPLOY: _("may deploy"), visibility.Right.EXPORT: _("may deploy and export")},
    account.Role: {
        account.Role.VIEWER: _("viewer"),
        account.Role.OPERATOR: _("operator"),
        account.Role.OWNER: _("owner"),
    },
    account.State: {account.State.ACTIVE: _("active"), account.State.SUSPENDED: _("suspended")},
    audit.Outcome: {
        audit.Outcome.DONE: _("done"),
        audit.Outcome.REFUSED: _("refused"),
        audit.Outcome.FAILED: _("failed"),
    },
    power.PowerState: {
        power.PowerState.RUNNING: _("running"),
        power.PowerState.SHUT_OFF: _("off"),
        power.PowerState.PAUSED: _("paused"),
        power.PowerState.STOPPING: _("shutting down"),
    },
    operation.Kind: {
        operation.Kind.CAPTURE: _("Capture"),
        operation.Kind.DEPLOY: _("Deployment"),
        operation.Kind.CHECK: _("Check of the store"),
        operation.Kind.SWEEP: _("Sweep of the store"),
    },
    operation.State: {
        operation.State.QUEUED: _("waiting"),
        operation.State.RUNNING: _("under way"),
        operation.State.SUCCEEDED: _("succeeded"),
        operation.State.FAILED: _("failed"),
        operation.State.CANCELLED: _("cancelled"),
    },
}
# Nouns, so that they need not agree with anything in languages where participles do.
ACTIONS: Final[Mapping[str, str]] = {
    "start_capture": _("Capture"),
    "start_deployment": _("Deployment"),
    "edit_template": _("Change of note, tags or name"),
    "delete_template": _("Deletion"),
    "replace_characteristics": _("Change of characteristics"),
    "change_characteristics": _("Change of characteristics"),
    "deprecate_template": _("Deprecation"),
    "disable_template": _("Disabling"),
    "enable_template": _("Enabling"),
    "restore_template": _("Restoring from the trash"),
    "protect_template": _("Protection"),
    "unprotect_template": _("End of the protection"),
    "purge_template": _("Purge"),
    "share_template": _("Sharing"),
    "unshare_template": _("End of the sharing"),
    "publish_template": _("Publication"),
    "unpublish_template": _("End of the publication"),
    "hide_template": _("Hiding from the lists"),
    "unhide_template": _("Showing in the lists again"),
    "start_server": _("Start of a server"),
    "stop_server": _("Shutdown of a server"),
    "delete_server": _("Deletion of a server"),
    "assign_server": _("Assignment of a server"),
    "cancel_operation": _("Cancellation of an operation"),
    "set_retention_rule": _("Setting of a retention rule"),
    "remove_retention_rule": _("Removal of a retention rule"),
    "apply_retention_rules": _("Application of the retention rules"),
    "start_check": _("Check of the store"),
    "start_sweep": _("Sweep of the store"),
    "sign_in": _("Sign-in of a program"),
    "sign_out": _("Sign-out of a program"),
    "create_session": _("Sign-in"),
    "end_session": _("Sign-out"),
    "revoke_session": _("End of a session"),
    "switch_account": _("Change of account"),
    "finish_oidc": _("Sign-in at the OpenID provider"),
    "finish_oidc_command": _("Sign-in of a program at the OpenID provider"),
    "create_account": _("Making of an account"),
    "suspend_account": _("Suspension of an account"),
    "resume_account": _("End of the suspension of an account"),
    "delete_account": _("Deletion of an account"),
    "edit_quota": _("Change of a quota"),
    "allow_publishing": _("Change of what may be published"),
    "limit_publishers": _("Change of whose templates are taken"),
    "add_member": _("Adding of a member"),
    "edit_member": _("Change of a role"),
    "remove_member": _("Removal of a member"),
    "create_user": _("Admission of a person"),
    "delete_user": _("Deletion of a person"),
    "link_user": _("Link to the OpenID provider"),
    "unlink_user": _("End of the link to the OpenID provider"),
    "set_password": _("Change of a password"),
    "create_api_key": _("Making of an API key"),
    "revoke_api_key": _("Revocation of an API key"),
}
# What a quota counts: its name, and whether it is a size.
COUNTED: Final[Mapping[str, tuple[str, bool]]] = {
    "templates": (_("Templates"), False),
    "stored_bytes": (_("Added to the store"), True),
    "servers": (_("Servers"), False),
    "cpus": (_("Processors"), False),
    "memory_bytes": (_("Memory"), True),
    "volume_bytes": (_("Volumes of servers"), True),
}
# What operations do, one after the other, as the API tells it; those that name something end before it.
PHASES: Final[Mapping[str, str]] = {
    "starting": _("Starting"),
    "planning": _("Planning"),
    "shutting down the server": _("Shutting down the server"),
    "making the copy durable": _("Making the copy durable"),
    "giving the server its power state back": _("Giving the server its power state back"),
    "inspecting, sealing and trimming the copy": _("Inspecting, sealing and trimming the copy"),
    "storing what sealing changed": _("Storing what sealing changed"),
    "storing the manifest": _("Storing the manifest"),
    "creating volumes": _("Creating volumes"),
    "configuring": _("Configuring"),
    "confirming from inside the guest": _("Waiting for an answer from inside the guest"),
    "verifying chunks": _("Verifying chunks"),
    "sweeping": _("Removing what no template needs"),
}
PHASES_OF: Final[Mapping[str, str]] = {
    "copying": _("Copying %(what)s"),
    "restoring": _("Restoring %(what)s"),
    "zeroing": _("Clearing the rest of %(what)s"),
    "waiting to give the server its power state back:": _("Waiting to give the server its power state back: %(what)s"),
}


def of_phase(name: str, language: languages.Language) -> str:
    """In the reader's language; a phase that is not known, of another version, as it is."""
    if name in PHASES:
        return language.gettext(PHASES[name])
    for beginning, message in PHASES_OF.items():
        if name.startswith(f"{beginning} "):
            return language.gettext(message) % {"what": name.removeprefix(f"{beginning} ")}
    return name


def of(value: enum.StrEnum) -> str:
    """In the language of the code; a value without a word of its own is its own word."""
    return WORDS.get(type(value), {}).get(value, value.value)


def of_action(name: str) -> str:
    """Of an entry of the audit log."""
    return ACTIONS.get(name, name.replace("_", " "))

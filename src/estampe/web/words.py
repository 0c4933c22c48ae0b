"""What the API's fixed words are called on a page: states, visibilities, roles, and the actions of the audit log."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

from estampe.model import account, audit, power, template, visibility
from estampe.web.languages import _

# Enumerations of text: where two have the same value they share the word.
WORDS: Final[Mapping[enum.StrEnum, str]] = {
    template.State.CAPTURING: _("being captured"),
    template.State.ACTIVE: _("active"),
    template.State.DEPRECATED: _("deprecated"),
    template.State.DISABLED: _("disabled"),
    template.State.TRASHED: _("in the trash"),
    template.State.DELETING: _("being purged"),
    visibility.Visibility.PRIVATE: _("private"),
    visibility.Visibility.SHARED: _("shared"),
    visibility.Visibility.PUBLIC: _("public"),
    visibility.Right.DEPLOY: _("may deploy"),
    visibility.Right.EXPORT: _("may deploy and export"),
    account.Role.VIEWER: _("viewer"),
    account.Role.OPERATOR: _("operator"),
    account.Role.OWNER: _("owner"),
    audit.Outcome.DONE: _("done"),
    audit.Outcome.REFUSED: _("refused"),
    audit.Outcome.FAILED: _("failed"),
    power.PowerState.RUNNING: _("running"),
    power.PowerState.SHUT_OFF: _("off"),
    power.PowerState.PAUSED: _("paused"),
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
}


def of(value: enum.StrEnum) -> str:
    """In the language of the code; a value without a word of its own is its own word."""
    return WORDS.get(value, value.value)


def of_action(name: str) -> str:
    """Of an entry of the audit log."""
    return ACTIONS.get(name, name.replace("_", " "))

"""What each route asks of who calls it: the one table. A route that is not in it keeps the application from starting.

Keys are operation ids of the API's description, which are the names of the endpoint functions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from estampe.model import access, account

_VIEWER, _OPERATOR, _OWNER = account.Role.VIEWER, account.Role.OPERATOR, account.Role.OWNER


def _read(least: account.Role = _VIEWER) -> access.Rule:
    return access.Rule(least=least)


def _change(least: account.Role = _OPERATOR) -> access.Rule:
    return access.Rule(least=least, is_change=True)


_OPEN: Final = access.Rule(is_open=True)
_OPERATOR_READ: Final = access.Rule(is_operator_only=True)
_OPERATOR_CHANGE: Final = access.Rule(is_operator_only=True, is_change=True)

RULES: Final[Mapping[str, access.Rule]] = {
    "list_servers": _read(),
    "get_server": _read(),
    "start_server": _change(),
    "stop_server": _change(),
    "delete_server": _change(),
    "assign_server": _OPERATOR_CHANGE,
    "start_capture": _change(),
    "plan_capture": _read(_OPERATOR),
    "start_deployment": _change(),
    "plan_deployment": _read(_OPERATOR),
    "list_templates": _read(),
    "get_template": _read(),
    "edit_template": _change(),
    "delete_template": _change(),
    "replace_characteristics": _change(),
    "change_characteristics": _change(),
    "deprecate_template": _change(),
    "disable_template": _change(),
    "enable_template": _change(),
    "restore_template": _change(),
    "protect_template": _change(),
    "unprotect_template": _change(),
    "purge_template": _change(),
    "list_servers_of_template": _read(),
    "get_template_usage": _read(),
    "list_shares": _read(),
    "share_template": _change(_OWNER),  # what it gives away is the account's
    "unshare_template": _change(_OWNER),
    "publish_template": _change(_OWNER),
    "unpublish_template": _change(_OWNER),
    "hide_template": _change(),
    "unhide_template": _change(),
    "list_retention_rules": _read(),
    "set_retention_rule": _change(),
    "remove_retention_rule": _change(),
    "apply_retention_rules": _change(),
    "list_profiles": _read(),
    "get_profile": _read(),
    "list_operations": _read(),
    "get_operation": _read(),
    "watch_operation": _read(),
    "cancel_operation": _change(),
    "get_usage": _OPERATOR_READ,  # what the store holds for all accounts
    "start_check": _OPERATOR_CHANGE,
    "start_sweep": _OPERATOR_CHANGE,
    "get_health": _OPEN,
    "get_readiness": _OPEN,
    "get_version": _read(),
    "get_metrics": _OPERATOR_READ,  # they tell how much goes on in all accounts
    "sign_in": access.Rule(is_open=True, is_change=True),
    "create_session": access.Rule(is_open=True, is_change=True),
    "get_session": _read(),
    "end_session": access.Rule(is_change=True, is_always_allowed=True),
    "switch_account": access.Rule(is_change=True, is_always_allowed=True),  # away from a suspended one, too
    "list_memberships": _read(),
    "get_sign_in_ways": _OPEN,
    "list_sessions": _read(),
    "revoke_session": access.Rule(is_change=True, is_always_allowed=True),
    "start_oidc": _OPEN,
    "finish_oidc": access.Rule(is_open=True, is_change=True),
    "start_oidc_command": _OPEN,
    "finish_oidc_command": access.Rule(is_open=True, is_change=True),
    "sign_out": access.Rule(is_change=True, is_always_allowed=True),
    "get_identity": _read(),
    "list_accounts": _read(),
    "create_account": _OPERATOR_CHANGE,
    "get_account": _read(),
    "suspend_account": _OPERATOR_CHANGE,
    "resume_account": _OPERATOR_CHANGE,
    "delete_account": _OPERATOR_CHANGE,
    "get_quota": _read(),
    "edit_quota": _OPERATOR_CHANGE,
    "get_publishing": _read(),
    "allow_publishing": _OPERATOR_CHANGE,
    "limit_publishers": _change(_OWNER),
    "list_members": _read(),
    "add_member": _change(_OWNER),
    "edit_member": _change(_OWNER),
    "remove_member": _change(_OWNER),
    "list_users": _OPERATOR_READ,
    "create_user": _OPERATOR_CHANGE,
    "delete_user": _OPERATOR_CHANGE,
    "link_user": _OPERATOR_CHANGE,
    "unlink_user": _OPERATOR_CHANGE,
    "set_password": _change(_VIEWER),  # the person's own; anybody's for the cloud operator
    "list_api_keys": _read(),
    "create_api_key": _change(_VIEWER),
    "revoke_api_key": access.Rule(is_change=True, is_always_allowed=True),
    "list_audit_entries": _read(_OWNER),
}

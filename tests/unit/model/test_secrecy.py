"""What is secret of a request."""

from __future__ import annotations

from estampe.model import secrecy

ASKED = {
    "deploy": {
        "admin_password": "hunter2",
        "password_hash": None,
        "timezone": "Etc/UTC",
        "users": [{"name": "ana", "password_hash": "$6$hunter2"}],
        "commands": ["set hunter2"],
        "user_data": "password: hunter2",
    }
}


def test_passwords_commands_and_user_data_are_hidden_at_any_depth() -> None:
    hidden = secrecy.hide(ASKED)
    assert "hunter2" not in str(hidden)
    assert hidden["deploy"] == {
        "admin_password": "(not shown)",
        "password_hash": None,
        "timezone": "Etc/UTC",
        "users": [{"name": "ana", "password_hash": "(not shown)"}],
        "commands": ["(11 characters)"],
        "user_data": "(17 characters)",
    }


def test_what_is_hidden_once_stays_as_it_is() -> None:
    assert secrecy.hide(secrecy.hide(ASKED)) == secrecy.hide(ASKED)

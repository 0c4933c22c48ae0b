"""Settings of signing in, and what is wrong with them."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pytest

from estampe import config, errors, sign_in_wiring
from estampe.model import account, oidc


def _settings(**given: Any) -> config.Settings:
    return config.load(**given)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        (None, None), ("https://estampe.example.org", "https://estampe.example.org"),
        ("https://Estampe.Example.org/", "https://estampe.example.org"), ("https://a:443", "https://a"),
        ("https://a:8443", "https://a:8443"), ("http://127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
    ],
)  # fmt: skip
def test_the_origin_is_as_browsers_write_it(url: str | None, origin: str | None) -> None:
    assert sign_in_wiring.public_origin(_settings(public_url=url)) == origin


@pytest.mark.parametrize(
    "url",
    ["http://estampe.example.org", "https://a/path", "https://a?x", "https://a#x", "a", "https://u@a", "https://a:x"],
)
def test_a_public_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(errors.InvalidSetting, match="public_url"):
        sign_in_wiring.public_origin(_settings(public_url=url))


def _oidc(tmp_path: Path, **changes: Any) -> config.Settings:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    secret.chmod(0o600)
    given = {
        "public_url": "https://estampe.example.org", "oidc_issuer": "https://idp.example.org/realm",
        "oidc_client_id": "estampe", "oidc_client_secret_file": secret, **changes,
    }  # fmt: skip
    return _settings(**given)


def test_settings_become_a_provider_and_who_may_come(tmp_path: Path) -> None:
    role = {"group": "staff", "account": "acme", "role": "viewer"}
    made = sign_in_wiring.make(
        _oidc(
            tmp_path, oidc_groups_claim="groups", oidc_roles=[role], oidc_unknown_people="create",
            oidc_scopes=["groups"], sign_in_hours=1, session_hours=2, session_idle_minutes=3,
        )
    )  # fmt: skip
    assert made.provider is not None
    assert made.provider.issuer == "https://idp.example.org/realm"
    registration = made.provider._registration  # type: ignore[attr-defined]
    assert (registration.client_secret, registration.scopes) == ("s3cret", ("openid", "groups"))
    assert "s3cret" not in repr(registration)
    assert made.policy.redirect_uri == "https://estampe.example.org/v1/oidc/callback"
    assert made.policy.is_open
    assert made.policy.roles == (oidc.GroupRole(group="staff", account="acme", role=account.Role.VIEWER),)
    hours = datetime.timedelta(hours=1)
    assert (made.key_life, made.session_life, made.session_idle) == (hours, 2 * hours, datetime.timedelta(minutes=3))


def test_without_settings_nobody_signs_in_at_a_provider_and_unknown_people_are_refused(tmp_path: Path) -> None:
    made = sign_in_wiring.make(_settings())
    assert made.provider is None
    made = sign_in_wiring.make(_oidc(tmp_path, public_url=None))
    assert made.policy.redirect_uri is None  # commands may sign in, browsers cannot
    assert not made.policy.is_open


def test_the_environment_holds_lists_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESTAMPE_OIDC_ROLES", '[{"group": "g", "account": "a", "role": "owner"}]')
    assert _settings().oidc_roles[0].role is account.Role.OWNER


@pytest.mark.parametrize(
    ("changes", "setting"),
    [
        ({"oidc_issuer": None}, "oidc_issuer"), ({"oidc_client_id": None}, "oidc_client_id"),
        ({"oidc_issuer": "http://idp.example.org"}, "oidc_issuer"), ({"oidc_issuer": "https://i/?q"}, "oidc_issuer"),
        ({"oidc_certificates": Path("/nowhere/ca.pem")}, "oidc_certificates"),
        ({"oidc_client_secret_file": Path("/nowhere/secret")}, "oidc_client_secret_file"),
        ({"oidc_roles": [{"group": "g", "account": "a", "role": "owner"}]}, "oidc_roles"),
    ],
)  # fmt: skip
def test_settings_that_do_not_fit_keep_the_daemon_from_starting(
    tmp_path: Path, changes: dict[str, Any], setting: str
) -> None:
    with pytest.raises(errors.InvalidSetting, match=setting):
        sign_in_wiring.make(_oidc(tmp_path, **changes))


@pytest.mark.parametrize(("text", "mode"), [("", 0o600), ("a\nb", 0o600), ("s3cret", 0o644)])
def test_a_file_of_the_secret_that_holds_none_or_shows_it_is_refused(tmp_path: Path, text: str, mode: int) -> None:
    settings = _oidc(tmp_path)
    (tmp_path / "secret").write_text(text)
    (tmp_path / "secret").chmod(mode)
    with pytest.raises(errors.InvalidSetting, match="oidc_client_secret_file") as caught:
        sign_in_wiring.make(settings)
    assert "s3cret" not in str(caught.value)

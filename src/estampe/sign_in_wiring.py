"""Settings of signing in become values: how long, at which OpenID provider, and who of its people may come in."""

from __future__ import annotations

import datetime
import stat
from pathlib import Path
from typing import Final
from urllib import parse

from estampe import config, errors
from estampe.accounts import bundle, oidc_sign_in
from estampe.jobs import dispatch
from estampe.model import oidc
from estampe.oidc import metadata, provider

CALLBACK_PATH: Final = "/v1/oidc/callback"


def make(settings: config.Settings) -> bundle.Signing:
    """How people sign in. Raises: errors.InvalidSetting."""
    return bundle.Signing(
        key_life=datetime.timedelta(hours=settings.sign_in_hours),
        session_life=datetime.timedelta(hours=settings.session_hours),
        session_idle=datetime.timedelta(minutes=settings.session_idle_minutes),
        provider=_provider(settings),
        policy=_policy(settings),
    )


def public_origin(settings: config.Settings) -> str | None:
    """The origin of our own pages, as browsers name it (RFC 6454, section 6.1). Raises: errors.InvalidSetting."""
    if settings.public_url is None:
        return None
    parts = parse.urlsplit(settings.public_url)
    if not metadata.is_safe_url(settings.public_url) or parts.path not in {"", "/"} or parts.query:
        problem = f"{settings.public_url!r} is not https://host or https://host:port (http only for 127.0.0.1 and ::1)"
        raise errors.InvalidSetting(setting="public_url", problem=problem)
    default = {"https": 443, "http": 80}[parts.scheme]
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}" + ("" if parts.port in {None, default} else f":{parts.port}")


def _provider(settings: config.Settings) -> provider.Provider | None:
    issuer, client_id = settings.oidc_issuer, settings.oidc_client_id
    if issuer is None and client_id is None:
        return None
    if issuer is None or client_id is None:
        missing = "oidc_issuer" if issuer is None else "oidc_client_id"
        raise errors.InvalidSetting(setting=missing, problem="a provider needs both oidc_issuer and oidc_client_id")
    if not metadata.is_safe_url(issuer) or parse.urlsplit(issuer).query:
        problem = f"{issuer!r} is not an https URL without query (http only for 127.0.0.1 and ::1)"
        raise errors.InvalidSetting(setting="oidc_issuer", problem=problem)
    registration = provider.Registration(
        issuer=issuer,
        client_id=client_id,
        client_secret=None if settings.oidc_client_secret_file is None else _secret(settings.oidc_client_secret_file),
        scopes=("openid", *(scope for scope in settings.oidc_scopes if scope != "openid")),
        name_claim=settings.oidc_name_claim,
        groups_claim=settings.oidc_groups_claim,
    )
    return provider.Provider(registration, certificates=_certificates(settings), now=dispatch.utc_now)


def _certificates(settings: config.Settings) -> str | None:
    if settings.oidc_certificates is None:
        return None
    if not settings.oidc_certificates.is_file():
        problem = f"there is no file {str(settings.oidc_certificates)!r}"
        raise errors.InvalidSetting(setting="oidc_certificates", problem=problem)
    return str(settings.oidc_certificates)


def _secret(path: Path) -> str:
    """The file's one line. Raises: errors.InvalidSetting."""
    setting = "oidc_client_secret_file"
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise errors.InvalidSetting(setting=setting, problem=f"{path} cannot be read: {error}") from error
    if mode & stat.S_IRWXO:
        raise errors.InvalidSetting(setting=setting, problem=f"every user of this host may open {path}: chmod 600 it")
    if not text or len(text.splitlines()) != 1:
        raise errors.InvalidSetting(setting=setting, problem=f"{path} must hold the secret, and nothing else")
    return text


def _policy(settings: config.Settings) -> oidc_sign_in.Policy:
    if settings.oidc_roles and settings.oidc_groups_claim is None:
        raise errors.InvalidSetting(setting="oidc_roles", problem="oidc_groups_claim must say where the groups are")
    origin = public_origin(settings)
    return oidc_sign_in.Policy(
        redirect_uri=None if origin is None or settings.oidc_issuer is None else f"{origin}{CALLBACK_PATH}",
        is_open=settings.oidc_unknown_people == "create",
        roles=tuple(
            oidc.GroupRole(group=each.group, account=each.account, role=each.role) for each in settings.oidc_roles
        ),
    )

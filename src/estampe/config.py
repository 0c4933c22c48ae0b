"""Settings: from /etc/estampe/estampe.toml (or ESTAMPE_CONFIG) and ESTAMPE_* in the environment, which wins.

They stop at `wiring` and `doctor`: inner code takes plain values. Every setting is described in docs/reference/settings.md.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import pydantic
import pydantic_settings

from estampe import errors
from estampe.model import account as accounts

DEFAULT_CONFIG: Final = Path("/etc/estampe/estampe.toml")

_Threads = Annotated[int, pydantic.Field(ge=1, le=64)]
_Seconds = Annotated[float, pydantic.Field(gt=0, le=30 * 86_400)]


class OidcRole(pydantic.BaseModel):
    """A group at the OpenID provider gives its people a role in an account."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)

    group: str
    account: str
    role: accounts.Role


class Settings(pydantic_settings.BaseSettings):
    """All settings, with the defaults of a single host."""

    model_config = pydantic_settings.SettingsConfigDict(
        env_prefix="ESTAMPE_",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,  # a URL may hold a password
    )

    socket: Path = pydantic.Field(Path("/run/estampe/estampe.sock"), description="Unix socket of the API.")
    group: str = pydantic.Field("estampe", description="Group that may open the socket, if it exists.")
    state_directory: Path = pydantic.Field(
        Path("/var/lib/estampe"), description="Database, working files of operations, seeds of deployed servers."
    )
    store_directory: Path | None = pydantic.Field(
        None, description="The store of chunks and manifests; unset: `store` in the state directory."
    )
    database_url: pydantic.SecretStr | None = pydantic.Field(
        None, description="PostgreSQL, as postgresql://user@host/database; unset: SQLite files in the state directory."
    )
    run_directory: Path = pydantic.Field(Path("/run/estampe"), description="Sockets of running operations.")
    libvirt_uri: str = pydantic.Field("qemu:///system", description="The libvirt host.")
    default_pool: str = pydantic.Field("default", description="Storage pool of deployed volumes where none is named.")
    default_network: str = pydantic.Field("default", description="Network of deployed servers where none is named.")
    nvram_directory: Path = pydantic.Field(
        Path("/var/lib/libvirt/qemu/nvram"), description="Where UEFI variables of deployed servers are kept."
    )
    swtpm_directory: Path = pydantic.Field(
        Path("/var/lib/libvirt/swtpm"), description="Where libvirt keeps the states of emulated TPMs."
    )
    accelerator: Literal["auto", "kvm", "tcg"] = pydantic.Field(
        "auto", description="`auto` boots a probe once per boot of the host; `tcg` is full emulation."
    )
    compression_level: Annotated[int, pydantic.Field(ge=1, le=19)] = pydantic.Field(
        1, description="zstd level of new chunks."
    )
    copy_threads: _Threads | None = pydantic.Field(
        None, description="Threads that copy one volume; unset: the number of CPUs plus one, at most 16."
    )
    concurrent_captures: _Threads = pydantic.Field(
        1, description="Captures that run at once; others wait in the queue."
    )
    concurrent_deploys: _Threads = pydantic.Field(2, description="Deploys that run at once; others wait in the queue.")
    confirm_timeout_seconds: _Seconds = pydantic.Field(
        300.0, description="How long a deploy waits for the new server's guest agent to say who it is."
    )
    late_shutdown_seconds: _Seconds = pydantic.Field(
        120.0,
        description="After a shutdown that was given up (deadline, cancel), the server is watched so long: if it shuts down "
        "after all, it is started again. systemd kills what does not stop within 90 s.",
    )
    power_restore_seconds: _Seconds = pydantic.Field(
        600.0,
        description="How long a capture tries to give its server the power state back that it had, where libvirt does not "
        "answer or a volume is locked.",
    )
    sweep_grace_seconds: _Seconds = pydantic.Field(
        86_400.0, description="Chunks that no template names stay at least this long; longer than any capture takes."
    )
    operation_days: Annotated[int, pydantic.Field(ge=1, le=3650)] = pydantic.Field(
        90, description="Ended operations are forgotten after this many days."
    )
    trash_days: Annotated[int, pydantic.Field(ge=0, le=3650)] = pydantic.Field(
        7, description="Deleted templates stay in the trash for this many days; 0: they are purged at once."
    )
    audit_days: Annotated[int, pydantic.Field(ge=1, le=3650)] = pydantic.Field(
        365,
        description="Entries of the audit log, and keys that let nobody in any more, are dropped after this many days.",
    )
    sign_in_hours: Annotated[float, pydantic.Field(gt=0, le=30 * 24)] = pydantic.Field(
        12.0, description="How long one is signed in by `estampe login`."
    )
    session_hours: Annotated[float, pydantic.Field(gt=0, le=30 * 24)] = pydantic.Field(
        12.0, description="How long one is signed in with a browser, however much it is used."
    )
    session_idle_minutes: Annotated[float, pydantic.Field(ge=2, le=30 * 24 * 60)] = pydantic.Field(
        60.0, description="A browser's session that is not used for so long ends."
    )
    public_url: str | None = pydantic.Field(
        None,
        description="Where browsers reach the API, as `https://estampe.example.org`: the origin of our own pages, and the "
        "OpenID provider's way back. Unset: what a request says, and no signing in at a provider with a browser.",
    )
    trusted_proxies: tuple[str, ...] = pydantic.Field(
        (),
        description="Addresses or networks of reverse proxies before `listen`, whose X-Forwarded-For and X-Forwarded-Proto are "
        "believed.",
    )
    oidc_issuer: str | None = pydantic.Field(
        None, description="The OpenID provider, by its issuer identifier (a URL); unset: nobody signs in that way."
    )
    oidc_client_id: str | None = pydantic.Field(None, description="What we are called at the provider.")
    oidc_client_secret_file: Path | None = pydantic.Field(
        None, description="File with the client's secret; unset: a public client, protected by PKCE alone."
    )
    oidc_certificates: Path | None = pydantic.Field(
        None, description="PEM file of the authorities that vouch for the provider's TLS; unset: the system's."
    )
    oidc_scopes: tuple[str, ...] = pydantic.Field(
        ("openid", "profile", "email"), description="What is asked of the provider; always with `openid`."
    )
    oidc_name_claim: str = pydantic.Field(
        "preferred_username",
        description="The claim of the ID token that is a person's name here, in small letters. `email` counts only where the "
        "provider has verified it.",
    )
    oidc_groups_claim: str | None = pydantic.Field(
        None, description="The claim that lists a person's groups, for `oidc_roles`."
    )
    oidc_roles: tuple[OidcRole, ...] = pydantic.Field(
        (), description="Which group gives which role in which account: a list of `group`, `account`, `role`."
    )
    oidc_unknown_people: Literal["refuse", "create"] = pydantic.Field(
        "refuse",
        description="Whom the provider knows and we do not: `refuse` lets in only users that were made without a password, or "
        "linked; `create` makes a user.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = pydantic.Field("info", description="Least level logged.")
    log_format: Literal["logfmt", "json"] = pydantic.Field("logfmt", description="How lines of the log are written.")
    listen: str | None = pydantic.Field(
        None, description="Also answer at this TCP address, `host:port`; unset: only on the unix socket."
    )
    tls_certificate: Path | None = pydantic.Field(
        None, description="PEM file of the certificate, and those that signed it, for `listen`; SIGHUP reads it again."
    )
    tls_key: Path | None = pydantic.Field(None, description="PEM file of the certificate's private key.")

    @pydantic.field_validator("database_url")
    @classmethod
    def _is_postgresql(cls, value: pydantic.SecretStr | None) -> pydantic.SecretStr | None:
        """Only the beginning, which holds no secret; libpq judges the rest."""
        if value is not None and not value.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("it must begin with postgresql:// (leave it unset for SQLite)")
        return value

    @property
    def store(self) -> Path:
        """The store's directory."""
        return self.store_directory or self.state_directory / "store"

    @property
    def threads(self) -> int:
        """Threads that copy one volume: one more than CPUs, so that one may wait for the disk."""
        return self.copy_threads or min(16, (os.cpu_count() or 1) + 1)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[pydantic_settings.BaseSettings],
        init_settings: pydantic_settings.PydanticBaseSettingsSource,
        env_settings: pydantic_settings.PydanticBaseSettingsSource,
        dotenv_settings: pydantic_settings.PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic's
        file_secret_settings: pydantic_settings.PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[pydantic_settings.PydanticBaseSettingsSource, ...]:
        """Arguments, then the environment, then the file."""
        toml = pydantic_settings.TomlConfigSettingsSource(settings_cls, toml_file=_file())
        return init_settings, env_settings, toml


def _file() -> Path | None:
    """The file of settings. The usual one may be missing; one that was named may not: a mistyped name would be all defaults.

    Raises: errors.InvalidSetting.
    """
    named = os.environ.get("ESTAMPE_CONFIG")
    if named is None:
        return DEFAULT_CONFIG
    if named in {"", os.devnull}:
        return None
    if not Path(named).is_file():
        problem = f"there is no file {named!r}; correct the name, or set it to {os.devnull} for no file at all"
        raise errors.InvalidSetting(setting="ESTAMPE_CONFIG", problem=problem)
    return Path(named)


def load(**given: Any) -> Settings:
    """The settings. Raises: errors.InvalidSetting."""
    try:
        return Settings(**given)
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "file"
        raise errors.InvalidSetting(setting=name, problem=first["msg"]) from error
    except (ValueError, OSError) as error:  # the file is no TOML, or cannot be read
        raise errors.InvalidSetting(setting="file", problem=str(error)) from error

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

DEFAULT_CONFIG: Final = Path("/etc/estampe/estampe.toml")

_Threads = Annotated[int, pydantic.Field(ge=1, le=64)]
_Seconds = Annotated[float, pydantic.Field(gt=0, le=30 * 86_400)]


class Settings(pydantic_settings.BaseSettings):
    """All settings, with the defaults of a single host."""

    model_config = pydantic_settings.SettingsConfigDict(env_prefix="ESTAMPE_", extra="forbid", frozen=True)

    socket: Path = pydantic.Field(Path("/run/estampe/estampe.sock"), description="Unix socket of the API.")
    group: str = pydantic.Field("estampe", description="Group that may open the socket, if it exists.")
    state_directory: Path = pydantic.Field(
        Path("/var/lib/estampe"), description="Database, working files of operations, seeds of deployed servers."
    )
    store_directory: Path | None = pydantic.Field(
        None, description="The store of chunks and manifests; unset: `store` in the state directory."
    )
    run_directory: Path = pydantic.Field(Path("/run/estampe"), description="Sockets of running operations.")
    libvirt_uri: str = pydantic.Field("qemu:///system", description="The libvirt host.")
    default_pool: str = pydantic.Field("default", description="Storage pool of deployed volumes where none is named.")
    default_network: str = pydantic.Field("default", description="Network of deployed servers where none is named.")
    nvram_directory: Path = pydantic.Field(
        Path("/var/lib/libvirt/qemu/nvram"), description="Where UEFI variables of deployed servers are kept."
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
    sweep_grace_seconds: _Seconds = pydantic.Field(
        86_400.0, description="Chunks that no template names stay at least this long; longer than any capture takes."
    )
    operation_days: Annotated[int, pydantic.Field(ge=1, le=3650)] = pydantic.Field(
        90, description="Ended operations are forgotten after this many days."
    )
    audit_days: Annotated[int, pydantic.Field(ge=1, le=3650)] = pydantic.Field(
        365,
        description="Entries of the audit log, and keys that let nobody in any more, are dropped after this many days.",
    )
    sign_in_hours: Annotated[float, pydantic.Field(gt=0, le=30 * 24)] = pydantic.Field(
        12.0, description="How long one is signed in by `estampe login`."
    )
    log_level: Literal["debug", "info", "warning", "error"] = pydantic.Field("info", description="Least level logged.")

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
        file = Path(os.environ.get("ESTAMPE_CONFIG", DEFAULT_CONFIG))
        toml = pydantic_settings.TomlConfigSettingsSource(settings_cls, toml_file=file)
        return init_settings, env_settings, toml


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

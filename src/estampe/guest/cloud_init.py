"""cloud-init in a guest: whether it will read a seed, what it will do, and its memory of the source's first boot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import yaml

from estampe.guest import base, linux
from estampe.model import final

_MEMORY: Final = linux.Removal(
    "cloud-init's memory of the source's first boot",
    (
        "/var/lib/cloud/instance", "/var/lib/cloud/instances/*", "/var/lib/cloud/data/*", "/var/lib/cloud/sem/*",
        "/var/lib/cloud/handlers/*",
    ),
)  # fmt: skip
_SEEDS: Final = linux.Removal("the source's own seed", ("/var/lib/cloud/seed/*",))
_NETWORK: Final = linux.Removal(
    "the network configuration that cloud-init wrote for the source",
    (
        "/etc/network/interfaces.d/50-cloud-init*", "/etc/netplan/50-cloud-init.yaml", "/etc/systemd/network/10-cloud-init-*.network",
        "/etc/systemd/network/50-cloud-init*.link", "/etc/NetworkManager/system-connections/cloud-init-*.nmconnection",
    ),
)  # fmt: skip


_SOURCES: Final = {final.SeedFormat.NOCLOUD: "nocloud", final.SeedFormat.CONFIG_DRIVE: "configdrive"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudInit:
    """How a guest's cloud-init is set up."""

    is_installed: bool
    is_disabled: bool
    datasources: tuple[str, ...] | None  # lower case; None: all that it knows
    modules: frozenset[str]  # of the init stage, with hyphens for underscores
    is_network_disabled: bool

    @property
    def reads_seeds(self) -> bool:
        """Whether a seed given to the guest will be read."""
        return bool(self.seed_formats)

    @property
    def seed_formats(self) -> tuple[str, ...]:
        """Of the seeds that will be read, those that Estampe makes; the best first."""
        if not self.is_installed or self.is_disabled:
            return ()
        return tuple(
            seed_format
            for seed_format, source in _SOURCES.items()
            if self.datasources is None or source in self.datasources
        )

    @property
    def renews_host_keys(self) -> bool:
        """Whether its first boot in a new server makes SSH host keys."""
        return self.reads_seeds and "ssh" in self.modules

    @property
    def grows_root(self) -> bool:
        """Whether its boot grows the root partition and file system."""
        return self.reads_seeds and {"growpart", "resizefs"} <= self.modules


def read(appliance: base.Appliance) -> CloudInit:
    """The guest's cloud-init. Files that are not YAML count as empty, as they do for cloud-init."""
    config = _config(appliance)
    datasources = config.get("datasource_list")
    network = config.get("network")
    modules = config.get("cloud_init_modules")
    return CloudInit(
        is_installed=linux.has_program(appliance, "cloud-init"),
        is_disabled=appliance.exists("/etc/cloud/cloud-init.disabled"),
        datasources=tuple(str(name).lower() for name in datasources) if isinstance(datasources, list) else None,
        modules=frozenset(_module_name(each) for each in modules) if isinstance(modules, list) else frozenset(),
        is_network_disabled=isinstance(network, dict) and network.get("config") == "disabled",
    )


def _config(appliance: base.Appliance) -> dict[str, Any]:
    """cloud.cfg and then cloud.cfg.d/*.cfg in order of name; a later key replaces an earlier one.

    cloud-init merges mappings deeper than this; what is read here are lists and one small mapping, which it replaces.
    """
    config: dict[str, Any] = {}
    for path in ("/etc/cloud/cloud.cfg", *appliance.glob("/etc/cloud/cloud.cfg.d/*.cfg")):
        if not appliance.is_file(path):
            continue
        try:
            content = yaml.safe_load(appliance.read(path))
        except (yaml.YAMLError, ValueError, RecursionError):  # a hostile guest's too
            continue
        if isinstance(content, dict):
            config.update(content)
    return config


def _module_name(module: Any) -> str:
    """`growpart`, or `[growpart, always]`."""
    name = module[0] if isinstance(module, list) and module else module
    return str(name).replace("_", "-")


def clean(appliance: base.Appliance, found: CloudInit) -> base.Stripped:
    """Strip its memory, so that it takes the next boot for a new server's first. The scripts of its administrator stay."""
    if not found.is_installed:
        return base.Stripped(actions=(), notes=())
    removals = [_MEMORY]
    if found.reads_seeds:
        removals += [_SEEDS] if found.is_network_disabled else [_SEEDS, _NETWORK]
    actions = linux.strip_all(appliance, removals)
    if found.reads_seeds:
        actions += linux.forget_own_name(appliance)
    return base.Stripped(actions=tuple(actions), notes=tuple(_notes(found)))


def _notes(found: CloudInit) -> list[str]:
    if found.is_disabled:
        return ["cloud-init is disabled in the guest: host name, addresses and keys are not set at deploy"]
    if not found.reads_seeds:
        return [
            "cloud-init's datasource_list in the guest leaves out NoCloud and ConfigDrive: host name, addresses and keys are not set at deploy"
        ]
    if found.is_network_disabled:
        return ["cloud-init is told to leave the network alone in the guest: addresses are not set at deploy"]
    return []

"""Resolving a deploy: what was asked, the template and this host together give every figure and name of the new servers."""

from __future__ import annotations

import datetime
import secrets
import uuid as uuids  # a field has the module's name, and pydantic would find that
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from estampe import errors
from estampe.deploy import adjusting, definition, new_volumes, resources, sizing, tuning, vtpm
from estampe.deploy import means as ways
from estampe.deploy import request as requests
from estampe.deploy import resolved as decisions
from estampe.deploy import wish as wishes
from estampe.model import characteristics, configuration, manifest
from estampe.model import server as servers
from estampe.virt import base as virt

_QEMU_OUI: Final = "52:54:00"
MAX_COUNT: Final = 100
_RAID_MEMBER: Final = "_raid_member"  # blkid's words end so: linux_raid_member, and what firmware makes


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What the installation says where a request is silent."""

    pool: str
    network: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Common:
    """What all servers of a deploy have in common."""

    sizes: dict[str, int]  # of the template's volumes, by target
    added: dict[str, requests.NewVolumeRequest]  # by target
    pool: virt.Pool
    means: ways.Means
    fitted: tuning.Fitted
    is_own: bool  # the template is of the account that asks


def server_names(request: requests.DeployRequest) -> list[str]:
    """`web` alone, or `web-1` ... `web-N`. Raises: errors.InvalidName, errors.InvalidRequest."""
    if not 1 <= request.count <= MAX_COUNT:
        raise errors.InvalidRequest(field="count", problem=f"must be from 1 to {MAX_COUNT}")
    numbers = range(1, request.count + 1)
    names = [request.name] if request.count == 1 else [f"{request.name}-{number}" for number in numbers]
    fixed = [wish for wish in request.interfaces if wish.addresses or wish.mac]
    if request.count > 1 and fixed:
        problem = "a fixed address can be given to one server only; without, --count servers use DHCP"
        raise errors.InvalidRequest(field="interfaces", problem=problem)
    return [servers.check_name(name) for name in names]


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolver:
    """Resolves requests on one host."""

    host: virt.Host
    defaults: Defaults

    def resolve(
        self,
        request: requests.DeployRequest,
        found: manifest.Manifest,
        *,
        template: str,
        at: datetime.datetime,
        is_own: bool,
        needs: characteristics.Characteristics | None = None,
    ) -> decisions.Resolved:
        """Decide everything, and check that it can be: names free, sizes enough, pool, networks, space, guest.

        `needs` are the template's characteristics, `is_own` tells whether it is of the account that asks. Raises: errors.BelowLeast, errors.InvalidRequest, errors.InvalidName,
        errors.NameInUse, errors.VolumeTooSmall, errors.VolumeNotFound, errors.PoolNotFound, errors.NetworkNotFound,
        errors.NoSpace, errors.GuestLacks, errors.HostLacks.
        """
        names = server_names(request)
        for name in names:
            if self.host.find_domain(name) is not None:
                raise errors.NameInUse(name=name, what="a server of this host")
        pool = self.host.get_pool(request.pool or self.defaults.pool)
        vtpm.check(request, found, template, capabilities=self.host.capabilities(), is_own=is_own)
        means = ways.decide(request, found, template)
        needs = needs or characteristics.Characteristics()
        decided = resources.Deciding(
            request=request, found=found, template=template, needs=needs, capabilities=self.host.capabilities()
        ).decide()
        added = new_volumes.by_target(request, found)
        plan = adjusting.decide(
            request, found, decided.volume_sizes, added, template=template, is_seeded=means.seed_format is not None
        )
        fitted = self._fit(request, needs, found, decided.cpus, pool)
        common = _Common(sizes=decided.volume_sizes, added=added, pool=pool, means=means, fitted=fitted, is_own=is_own)
        resolved = decisions.Resolved(
            template_id=found.template_id,
            template=template,
            servers=tuple(self._server(request, found, name, common) for name in names),
            cpus=decided.cpus,
            memory_bytes=decided.memory_bytes,
            pool=pool.name,
            means=means,
            is_agent_expected=request.is_started and found.guest is not None and found.guest.has_guest_agent,
            changes=(),
            decided_at=at,
            tuning=fitted.tuning,
            settings=(*decided.settings, *fitted.settings),
            left_out=request.left_out,
            is_renewed=request.is_renewed,
            actions=tuple(plan.actions),
            adjustments=tuple(plan.changes),
            takes_turns=_takes_turns(names, found),
        )
        sizes = {volume.target: volume.size_bytes for volume in resolved.servers[0].volumes}
        sizing.check_space(pool, sizing.needed_bytes(found, pool, sizes, count=len(names)))
        return self._with_changes(resolved, found)

    def _with_changes(self, resolved: decisions.Resolved, found: manifest.Manifest) -> decisions.Resolved:
        """What of the record this host cannot give is the same for each server: told by rebuilding the first one."""
        xml_and_changes = definition.rebuild(self.host, resolved, resolved.servers[0], found, paths={}, seed_path=None)
        fields = {name: getattr(resolved, name) for name in decisions.Resolved.__dataclass_fields__}
        return decisions.Resolved(**{**fields, "changes": xml_and_changes[1]})

    def _fit(
        self,
        request: requests.DeployRequest,
        needs: characteristics.Characteristics,
        found: manifest.Manifest,
        cpus: int,
        pool: virt.Pool,
    ) -> tuning.Fitted:
        """The tuned settings that can be given, unless they are not wanted."""
        tuned = needs.tuned if request.is_tuned else characteristics.Tuned()
        place = tuning.Place(
            capabilities=self.host.capabilities(),
            cpus=cpus,
            # Asked only where it matters: it makes a file in the pool for a moment.
            takes_direct_io=tuned.cache in characteristics.DIRECT_CACHES and self.host.takes_direct_io(pool.name),
            interface_models=_interface_models(request, found),
        )
        return tuning.fit(tuned, found, place)

    def _server(
        self, request: requests.DeployRequest, found: manifest.Manifest, name: str, common: _Common
    ) -> decisions.ResolvedServer:
        identity = uuids.uuid4()
        stem = f"{name}-{str(identity)[:8]}"
        is_uefi = found.configuration.firmware is configuration.Firmware.UEFI
        hostname = servers.check_hostname(_hostname(request, name))
        interfaces = self._interfaces(request, found, common.fitted.interface_models)
        wish = wishes.make(request, identity=str(identity), hostname=hostname, interfaces=interfaces)
        ways.check(wish, common.means)
        has_nvram = bool(is_uefi or found.nvram)
        return decisions.ResolvedServer(
            name=name,
            uuid=identity,
            hostname=hostname,
            volumes=_volumes(request, found, stem, common),
            interfaces=interfaces,
            nvram_name=f"{stem}_VARS.fd" if has_nvram else None,
            has_tpm_state=vtpm.is_kept(request),
            seed_name=f"{stem}-seed.iso" if common.means.seed_format is not None else None,
            wish=wish,
            in_appliance=wish if common.means.is_by_appliance else None,
            told=(
                *ways.told(wish, common.means, found, has_nvram=has_nvram),
                *vtpm.told(request, found, is_own=common.is_own),
            ),
        )

    def _interfaces(
        self, request: requests.DeployRequest, found: manifest.Manifest, models: Sequence[str]
    ) -> tuple[virt.NewInterface, ...]:
        wished = request.wished_interfaces(len(found.configuration.interfaces))
        known = self.host.list_networks()
        made = []
        for interface, model in zip(wished, models, strict=True):
            network, bridge = self._attachment(interface.network or self.defaults.network, known)
            mac = interface.mac or new_mac()
            made.append(virt.NewInterface(mac=mac, network=network, bridge=bridge, model=model))
        return tuple(made)

    def _attachment(self, text: str, known: Sequence[str]) -> tuple[str | None, str | None]:
        kind, colon, bridge = text.partition(":")
        is_bridge = bool(colon and kind == "bridge" and bridge)
        if is_bridge and bridge in self.host.list_bridges():
            return None, bridge
        if is_bridge or text not in known:
            all_known = [*known, *(f"bridge:{name}" for name in self.host.list_bridges())]
            raise errors.NetworkNotFound(network=text, known=", ".join(all_known) or "none")
        return text, None


def _takes_turns(names: Sequence[str], found: manifest.Manifest) -> bool:
    """Whether one launch may do these servers one after the other.

    The appliance runs an array (RAID) from its start to its end, and would go on with what it knows of the server before.
    """
    if len(names) == 1:
        return True
    return found.layout is not None and not any(kind.endswith(_RAID_MEMBER) for kind in found.layout.contents())


def _volumes(
    request: requests.DeployRequest, found: manifest.Manifest, stem: str, common: _Common
) -> tuple[decisions.ResolvedVolume, ...]:
    recorded = {volume.target: volume for volume in found.configuration.volumes}
    pool, made = common.pool, []
    for target, size in common.sizes.items():
        volume_format = sizing.volume_format(request, pool, recorded=recorded[target].format)
        made.append(
            decisions.ResolvedVolume(
                target=target,
                bus=common.fitted.buses.get(target, recorded[target].bus),
                volume_name=sizing.volume_name(pool, stem, target, volume_format),
                format=volume_format,
                size_bytes=size,
                serial=recorded[target].serial,
                boot_order=recorded[target].boot_order,
                is_preallocated=sizing.is_preallocated(found, target, size, volume_format=volume_format),
            )
        )
    new = (
        new_volumes.resolve(request, pool, target, volume, stem=stem, bus=made[0].bus)
        for target, volume in common.added.items()
    )
    return (*made, *new)


def _interface_models(request: requests.DeployRequest, found: manifest.Manifest) -> tuple[str, ...]:
    """As recorded in the same place; virtio where there was none."""
    recorded = [interface.model for interface in found.configuration.interfaces]
    count = len(request.wished_interfaces(len(recorded)))
    return tuple((recorded[nth] if nth < len(recorded) else None) or "virtio" for nth in range(count))


def _hostname(request: requests.DeployRequest, name: str) -> str:
    """The name asked for; with several servers, each gets its number: web.example.org -> web-2.example.org."""
    if request.hostname is None and request.fqdn is not None and request.count == 1:
        return request.fqdn.partition(".")[0]
    if request.hostname is None:
        return name.replace("_", "-")
    if request.count == 1:
        return request.hostname
    host, dot, domain = request.hostname.partition(".")
    return f"{host}-{name.rpartition('-')[2]}{dot}{domain}"


def new_mac() -> str:
    """A random address under QEMU's prefix (52:54:00 is the locally administered one that libvirt uses as well)."""
    return ":".join([_QEMU_OUI, *(f"{byte:02x}" for byte in secrets.token_bytes(3))])

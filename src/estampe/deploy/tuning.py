"""Which of a template's tuned settings a new server can have: by the guest, by this host, by where its volumes come to lie.

What cannot be given is never an error, since the server runs without it; each is told, with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeVar

from estampe.model import characteristics, manifest
from estampe.virt import base as virt
from estampe.virt import domain_xml

T = TypeVar("T")

_LIBVIRT_BUSES: Final = {"virtio-blk": "virtio", "virtio-scsi": "scsi"}
_VIRTIO: Final = tuple(_LIBVIRT_BUSES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the servers come to be."""

    capabilities: virt.Capabilities
    cpus: int  # of each new server
    takes_direct_io: bool  # of the storage pool
    interface_models: tuple[str, ...]  # of each server's interfaces, as they are without tuning


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What the new servers get."""

    tuning: virt.Tuning | None = None
    buses: dict[str, str] = field(default_factory=dict)  # target -> libvirt's bus, of volumes that change theirs
    interface_models: tuple[str, ...] = ()
    settings: tuple[virt.Setting, ...] = ()


def fit(tuned: characteristics.Tuned, found: manifest.Manifest, place: Place) -> Fitted:
    """The settings that can be given, and a line for each that was asked for."""
    return _Fitting(tuned, found, place).fit()


class _Fitting:
    """One fit, setting by setting; `_told` collects the lines."""

    def __init__(self, tuned: characteristics.Tuned, found: manifest.Manifest, place: Place) -> None:
        self._tuned, self._found, self._place = tuned, found, place
        self._on_scsi = domain_xml.read_virtio_scsi(found.configuration.domain_xml)
        self._told: list[virt.Setting] = []

    def fit(self) -> Fitted:
        """In an order in which each may look at those before."""
        tuned = self._tuned
        buses = self._buses()
        now = {target: buses.get(target, bus) for target, bus in self._recorded_buses().items()}
        cache = self._cache()
        models = self._interface_models()
        tuning = virt.Tuning(
            queues=self._queues(now),
            cache=cache,
            io=self._io(cache),
            discard=self._plain("discard", tuned.discard),
            io_threads=self._io_threads(now),
            cpu=self._cpu(),
            interface_queues=self._interface_queues(models),
            has_rng=self._switch("random number generator", tuned.rng),
            balloon=self._plain("memory balloon", tuned.balloon),
        )
        self._firmware()
        return Fitted(
            tuning=None if tuning == virt.Tuning() else tuning,
            buses={target: _LIBVIRT_BUSES[bus] for target, bus in buses.items()},
            interface_models=models,
            settings=tuple(self._told),
        )

    def _tell(self, what: str, asked: object, given: object, why: str | None = None) -> None:
        self._told.append(virt.Setting(what=what, asked=str(asked), given=str(given), why=why))

    def _plain(self, what: str, asked: T | None) -> T | None:
        """A setting that every host can give."""
        if asked is not None:
            self._tell(what, asked, asked)
        return asked

    def _switch(self, what: str, asked: bool | None) -> bool | None:
        if asked is not None:
            word = "yes" if asked else "no"
            self._tell(what, word, word)
        return asked

    # --- volumes ---

    def _recorded_buses(self) -> dict[str, str]:
        """By target; virtio-blk and virtio-scsi by these names, any other by libvirt's."""
        names = {}
        for volume in self._found.configuration.volumes:
            is_virtio = volume.bus == "virtio"
            names[volume.target] = "virtio-blk" if is_virtio else volume.bus
            if volume.target in self._on_scsi:
                names[volume.target] = "virtio-scsi"
        return names

    def _buses(self) -> dict[str, str]:
        """The volumes that change their bus, with the new one."""
        wanted = self._tuned.bus
        changed: dict[str, str] = {}
        if wanted is None:
            return {}
        before = self._recorded_buses()
        taken = [domain_xml.letters(target) for target in before]
        for target, recorded in before.items():
            why_not = None if recorded == wanted else self._why_not_bus(wanted)
            if recorded != wanted and wanted == "virtio-blk" and taken.count(domain_xml.letters(target)) > 1:
                why_not = why_not or f"libvirt cannot tell it from another volume of this letter on {wanted}"
            self._tell(f"bus of volume {target}", wanted, recorded if why_not else wanted, why_not)
            if recorded != wanted and why_not is None:
                changed[target] = wanted
        return changed

    def _why_not_bus(self, wanted: str) -> str | None:
        """Why the guest might not find its volumes on that bus."""
        guest = self._found.guest
        if guest is None:
            return "the guest is not known, and might not start from another bus"
        if wanted not in guest.volume_buses:
            return (
                f"the guest is not known to start from {wanted}: its driver in the initramfs, and volumes named by UUID"
            )
        return None

    def _queues(self, buses: dict[str, str]) -> int | None:
        asked = self._tuned.queues
        if asked is None:
            return None
        count, why = self._at_most_cpus(asked)
        for target, bus in buses.items():
            if bus in _VIRTIO:
                self._tell(f"queues of volume {target}", _queues_text(asked), count, why)
            else:
                self._tell(f"queues of volume {target}", _queues_text(asked), 1, f"its bus {bus} has one")
        return count if set(buses.values()) & set(_VIRTIO) else None

    def _at_most_cpus(self, asked: characteristics.Queues) -> tuple[int, str | None]:
        """As many as asked, and why fewer: a queue is served by a CPU, so there is no use for more."""
        cpus = self._place.cpus
        wanted = min(cpus, characteristics.MOST_QUEUES) if asked == "cpus" else int(asked)
        return min(
            wanted, cpus
        ), None if wanted <= cpus else f"the server has {cpus} CPUs, and a queue is for one of them"

    def _cache(self) -> str | None:
        asked = self._tuned.cache
        if asked is None or asked not in characteristics.DIRECT_CACHES or self._place.takes_direct_io:
            return self._plain("cache of the volumes", asked)
        self._tell(
            "cache of the volumes", asked, "libvirt's default", "the pool's file system does not take direct I/O"
        )
        return None

    def _io(self, cache: str | None) -> str | None:
        asked = self._tuned.io
        if asked != "native" or cache in characteristics.DIRECT_CACHES:
            return self._plain("I/O mode of the volumes", asked)
        self._tell("I/O mode of the volumes", asked, "libvirt's default", "it needs a cache that could not be given")
        return None

    def _io_threads(self, buses: dict[str, str]) -> int | None:
        asked = self._tuned.io_threads
        if asked is None:
            return None
        users = self._users_of_threads(buses)
        if not users:
            self._tell("I/O threads", asked, "none", "only virtio volumes use them, and there is none")
            return None
        count = min(asked, users)
        why = None if count == asked else f"only {users} volumes or controllers could use one"
        self._tell("I/O threads", asked, count, why)
        return count

    def _users_of_threads(self, buses: dict[str, str]) -> int:
        blk = sum(bus == "virtio-blk" for bus in buses.values())
        # A volume that changes to SCSI comes to the one controller that is made for all of them.
        controllers = {self._on_scsi.get(target, "new") for target, bus in buses.items() if bus == "virtio-scsi"}
        return blk + len(controllers)

    # --- the rest ---

    def _interface_models(self) -> tuple[str, ...]:
        """Every Linux has the drivers, and names its interfaces by their slots; of other guests nothing is known."""
        wanted, guest, models = self._tuned.network_model, self._found.guest, self._place.interface_models
        if wanted is None:
            return models
        given = []
        for number, recorded in enumerate(models, start=1):
            is_possible = recorded == wanted or (guest is not None and guest.kind == "linux")
            given.append(wanted if is_possible else recorded)
            why = None if is_possible else "the guest is not known to have its driver"
            self._tell(f"model of interface {number}", wanted, given[-1], why)
        return tuple(given)

    def _interface_queues(self, models: tuple[str, ...]) -> int | None:
        asked = self._tuned.network_queues
        if asked is None:
            return None
        count, why = self._at_most_cpus(asked)
        for number, model in enumerate(models, start=1):
            is_virtio = model == "virtio"
            reason = why if is_virtio else f"its model {model} has one"
            self._tell(f"queues of interface {number}", _queues_text(asked), count if is_virtio else 1, reason)
        return count if "virtio" in models else None

    def _cpu(self) -> str | None:
        asked = self._tuned.cpu
        if asked is None:
            return None
        given, why = _cpu(asked, self._place.capabilities)
        self._tell("CPU", asked, given, why)
        return given

    def _firmware(self) -> None:
        """Firmware is never changed: a boot loader is installed for one of them."""
        asked, recorded = self._tuned.firmware, self._found.configuration.firmware
        if asked is not None:
            why = (
                None
                if asked == recorded
                else f"the guest was recorded with {recorded}, and its boot loader is for that"
            )
            self._tell("firmware", asked, recorded, why)


def _queues_text(asked: characteristics.Queues) -> str:
    return "one per CPU" if asked == "cpus" else str(asked)


def _cpu(asked: str, capabilities: virt.Capabilities) -> tuple[str, str | None]:
    """(what is given, why not what was asked)."""
    if capabilities.domain_type == "kvm":
        if asked in characteristics.HOST_CPUS or asked in capabilities.cpu_models:
            return asked, None
        return "host-model", "this host cannot give that CPU model"
    if asked in characteristics.HOST_CPUS:
        return "maximum", "this host emulates CPUs: it cannot give its own (no KVM)"
    if asked in capabilities.cpu_models:
        return asked, None
    return "maximum", "this host emulates CPUs, and not that model"

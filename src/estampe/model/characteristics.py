"""What a template is tuned for: the resources that it needs, and the settings that a server made from it shall have.

Kept with the catalogue's row, not in the manifest: its owner may learn better after the capture. Whatever is None is not
said, and a server then gets what was recorded.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from estampe import errors, units

MOST_CPUS: Final = 4096
MOST_BYTES: Final = 2**50  # 1 PiB, beyond any volume or memory
LEAST_MEMORY_BYTES: Final = 64 * units.MIB
MOST_QUEUES: Final = 256  # QEMU's own bound for the queues of a tap device; virtio-blk and virtio-scsi allow more
MOST_IO_THREADS: Final = 64
MOST_CHARACTERS: Final = 500

Bus = Literal["virtio-blk", "virtio-scsi"]
Queues = int | Literal["cpus"]  # "cpus": one for each CPU of the server
# Not `unsafe`: it loses data that the guest was told is safe, on whoever deploys the template.
Cache = Literal["none", "writeback", "writethrough", "directsync"]
InputOutput = Literal["threads", "native"]
Discard = Literal["unmap", "ignore"]
Firmware = Literal["bios", "uefi"]
NetworkModel = Literal["virtio", "e1000e", "e1000"]
Balloon = Literal["none", "virtio", "free-page-reporting"]
HOST_CPUS: Final = ("host-passthrough", "host-model")  # any other CPU is a model's name
DIRECT_CACHES: Final = ("none", "directsync")  # those that go past the host's page cache, by O_DIRECT
_CPU_CHARACTERS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """CPUs, memory and volume sizes; None or no entry: nothing is said. Bounds are checked by `Characteristics`."""

    cpus: int | None = None
    memory_bytes: int | None = None
    volume_sizes: dict[str, int] = field(default_factory=dict)  # target -> bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """Tuned settings; the first six are of every volume. Raises: errors.InvalidRequest."""

    bus: Bus | None = None
    queues: Queues | None = None  # of each virtio-blk volume, or of the virtio-scsi controller
    cache: Cache | None = None
    io: InputOutput | None = None
    discard: Discard | None = None
    io_threads: int | None = None
    cpu: str | None = None  # host-passthrough, host-model, or the name of a model
    firmware: Firmware | None = None
    network_model: NetworkModel | None = None
    network_queues: Queues | None = None
    rng: bool | None = None
    balloon: Balloon | None = None

    def __post_init__(self) -> None:
        known = {
            "bus": Bus, "cache": Cache, "io": InputOutput, "discard": Discard, "firmware": Firmware,
            "network_model": NetworkModel, "balloon": Balloon,
        }  # fmt: skip
        for name, kind in known.items():
            _check_known(f"tuned.{name}", getattr(self, name), typing.get_args(kind))
        for name in ("queues", "network_queues"):
            if getattr(self, name) != "cpus":
                _check_between(f"tuned.{name}", getattr(self, name), 1, MOST_QUEUES, or_else="or `cpus`")
        _check_between("tuned.io_threads", self.io_threads, 1, MOST_IO_THREADS)
        _check_cpu(self.cpu)
        if self.io == "native" and self.cache not in DIRECT_CACHES:
            # QEMU refuses it: through the page cache, Linux' native I/O would block.
            raise errors.InvalidRequest(field="tuned.io", problem="native needs the cache none or directsync")

    def asked(self) -> Iterator[tuple[str, str | int | bool]]:
        """(name, value) of every setting that is said."""
        for each in dataclasses.fields(self):
            value = getattr(self, each.name)
            if value is not None:
                yield each.name, value


@dataclass(frozen=True, slots=True, kw_only=True)
class Characteristics:
    """All of it. Raises: errors.InvalidRequest, which names the field as `least.memory` does in a file."""

    tuned_for: str | None = None  # one line for people: "PostgreSQL 16, small transactions"
    least: Resources = field(default_factory=Resources)
    recommended: Resources = field(default_factory=Resources)
    tuned: Tuned = field(default_factory=Tuned)

    def __post_init__(self) -> None:
        if self.tuned_for is not None and not 1 <= len(self.tuned_for) <= MOST_CHARACTERS:
            raise errors.InvalidRequest(field="tuned_for", problem=f"must have 1 to {MOST_CHARACTERS} characters")
        for name in ("least", "recommended"):
            _check_resources(name, getattr(self, name))
        for name, least, recommended in _pairs(self.least, self.recommended):
            if least > recommended:
                problem = f"must be {_figure(name, least)} or more, which is the least"
                raise errors.InvalidRequest(field=f"recommended.{name}", problem=problem)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is said."""
        return self == Characteristics()

    def check_volumes(self, sizes: Mapping[str, int], *, owner: str) -> None:
        """Whether they fit volumes of these sizes, by target; `owner` is whose they are, in errors.

        Raises: errors.VolumeNotFound; errors.VolumeTooSmall where a recommended size is below the volume's own.
        """
        for target in (*self.least.volume_sizes, *self.recommended.volume_sizes):
            if target not in sizes:
                raise errors.VolumeNotFound(owner=owner, volume=target, known=", ".join(sizes) or "none")
        for target, size in self.recommended.volume_sizes.items():
            if size < sizes[target]:
                least = f"{sizes[target]} bytes ({units.format_bytes(sizes[target])})"
                why = "the template's volume is larger"
                raise errors.VolumeTooSmall(volume=target, asked=units.format_bytes(size), why=why, least=least)


def _check_known(name: str, value: object, known: Collection[object]) -> None:
    if value is not None and value not in known:
        raise errors.InvalidRequest(field=name, problem=f"must be one of {', '.join(map(str, known))}")


def _check_between(name: str, value: int | None, least: int, most: int, *, or_else: str = "") -> None:
    # bool is an int to Python, and `queues = true` a slip of the pen.
    if value is not None and (isinstance(value, bool | str) or not least <= value <= most):
        problem = f"must be a whole number from {least} to {most}"
        raise errors.InvalidRequest(field=name, problem=f"{problem} {or_else}".rstrip())


def _check_cpu(name: str | None) -> None:
    if name is not None and (not 1 <= len(name) <= 64 or not set(name) <= _CPU_CHARACTERS):
        problem = f"must be {' or '.join(HOST_CPUS)}, or the name of a CPU model, as Skylake-Server-v4"
        raise errors.InvalidRequest(field="tuned.cpu", problem=problem)


def _check_resources(name: str, resources: Resources) -> None:
    _check_between(f"{name}.cpus", resources.cpus, 1, MOST_CPUS)
    _check_size(f"{name}.memory", resources.memory_bytes, LEAST_MEMORY_BYTES)
    for target, size in resources.volume_sizes.items():
        _check_size(f"{name}.volumes.{target}", size, 1)


def _check_size(name: str, size: int | None, least: int) -> None:
    if size is not None and not least <= size <= MOST_BYTES:
        problem = f"must be from {units.format_bytes(least)} to {units.format_bytes(MOST_BYTES)}"
        raise errors.InvalidRequest(field=name, problem=problem)


def _pairs(least: Resources, recommended: Resources) -> Iterator[tuple[str, int, int]]:
    """(name, least, recommended) of what both say."""
    sizes = [
        (f"volumes.{target}", size, recommended.volume_sizes.get(target)) for target, size in least.volume_sizes.items()
    ]
    for name, low, high in [
        ("cpus", least.cpus, recommended.cpus),
        ("memory", least.memory_bytes, recommended.memory_bytes),
        *sizes,
    ]:
        if low is not None and high is not None:
            yield name, low, high


def _figure(name: str, value: int) -> str:
    return str(value) if name == "cpus" else units.format_bytes(value)


# --- changing them --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A change of characteristics: what is unset goes first, then a profile's settings come, then those given.

    Keys of `unset` are those of a file: tuned_for, least, least.cpus, least.memory, least.volumes.vda, tuned, tuned.queues, ...
    `given` is a part of a record of characteristics, where None says nothing.
    """

    unset: tuple[str, ...] = ()
    profile: str | None = None
    given: dict[str, typing.Any] = field(default_factory=dict)

    def apply(self, present: Characteristics, *, profile: Tuned | None = None) -> Characteristics:
        """The changed characteristics; `profile` are the settings of that name. Raises: errors.InvalidRequest."""
        made = dataclasses.asdict(present)
        for key in self.unset:
            _unset(made, key)
        if profile is not None:
            _merge(made["tuned"], dataclasses.asdict(profile))
        _merge(made, self.given)
        return _build(made)


def _build(made: dict[str, typing.Any]) -> Characteristics:
    return Characteristics(
        tuned_for=made["tuned_for"],
        least=Resources(**made["least"]),
        recommended=Resources(**made["recommended"]),
        tuned=Tuned(**made["tuned"]),
    )


def _merge(into: dict[str, typing.Any], given: dict[str, typing.Any]) -> None:
    for name, value in given.items():
        if isinstance(value, dict):
            _merge(into.setdefault(name, {}), value)
        elif value is not None:
            into[name] = value


_KEYS: Final = {"memory": "memory_bytes", "volumes": "volume_sizes"}  # as people write them -> as they are kept


def _unset(made: dict[str, typing.Any], key: str) -> None:
    """Take one key out; one that is not said is fine. Raises: errors.InvalidRequest where there can be no such key."""
    first, *rest = key.split(".", 2)
    empty = dataclasses.asdict(Characteristics())
    path = [first, *(_KEYS.get(part, part) for part in rest[:1]), *rest[1:]]
    is_volume = len(path) == 3 and path[0] in {"least", "recommended"} and path[1] == "volume_sizes"
    if not is_volume and (
        len(path) == 3 or path[0] not in empty or (path[1:] and path[1] not in (empty[path[0]] or {}))
    ):
        problem = (
            f"there is no {key!r} among characteristics: they are named as in a file, as tuned.queues or least.memory"
        )
        raise errors.InvalidRequest(field="unset", problem=problem)
    *outer, last = path
    for part in outer:
        made, empty = made[part], empty[part]
    if is_volume:
        made.pop(last, None)
    else:
        made[last] = empty[last]

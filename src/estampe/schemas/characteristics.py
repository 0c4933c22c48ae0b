"""Characteristics of templates, and the profiles that Estampe ships.

What may be asked is bounded here and checked whole by the model; what is answered takes any word, so that a client reads what a
newer daemon says.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pydantic

from estampe.model import characteristics
from estampe.schemas import wire

_Cpus = Annotated[int, pydantic.Field(ge=1, le=characteristics.MOST_CPUS)]
_Queues = Annotated[int, pydantic.Field(ge=1, le=characteristics.MOST_QUEUES)] | Literal["cpus"]
_TunedFor = Annotated[
    str,
    pydantic.StringConstraints(min_length=1, max_length=characteristics.MOST_CHARACTERS),
    pydantic.AfterValidator(wire.check_line),
]
_Memory = Annotated[int, pydantic.Field(ge=characteristics.LEAST_MEMORY_BYTES, le=wire.MAX_BYTES)]
_Key = Annotated[str, pydantic.StringConstraints(min_length=1, max_length=64), pydantic.AfterValidator(wire.check_line)]
ProfileName = Annotated[str, pydantic.StringConstraints(pattern=r"^[a-z0-9-]{1,63}$")]


class ResourcesRequest(wire.Request):
    """CPUs, memory and volume sizes by target; what is missing is not said."""

    cpus: _Cpus | None = None
    memory_bytes: _Memory | None = None
    volume_sizes: dict[wire.Target, wire.Bytes] = pydantic.Field(default_factory=dict, max_length=64)


class TunedRequest(wire.Request):
    """Tuned settings; what is missing is not said. `cpus` in place of a number of queues means one for each CPU."""

    bus: characteristics.Bus | None = None
    queues: _Queues | None = None
    cache: characteristics.Cache | None = None
    io: characteristics.InputOutput | None = None
    discard: characteristics.Discard | None = None
    io_threads: Annotated[int, pydantic.Field(ge=1, le=characteristics.MOST_IO_THREADS)] | None = None
    cpu: Annotated[str, pydantic.StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")] | None = None
    firmware: characteristics.Firmware | None = None
    network_model: characteristics.NetworkModel | None = None
    network_queues: _Queues | None = None
    rng: bool | None = None
    balloon: characteristics.Balloon | None = None


class CharacteristicsRequest(wire.Request):
    """What a template is tuned for, whole."""

    tuned_for: _TunedFor | None = None
    least: ResourcesRequest = ResourcesRequest()
    recommended: ResourcesRequest = ResourcesRequest()
    tuned: TunedRequest = TunedRequest()

    def to_domain(self) -> characteristics.Characteristics:
        """As the service takes it. Raises: errors.InvalidRequest where its parts do not fit each other."""
        return characteristics.Change(given=_given(self)).apply(characteristics.Characteristics())


class CharacteristicsChangeRequest(CharacteristicsRequest):
    """What to change: `unset` goes first, then the profile's settings come, then what is given; what is missing stays.

    Keys of `unset` are those of a file: tuned_for, least, least.memory, least.volumes.vda, tuned, tuned.queues, ...
    """

    unset: list[_Key] = pydantic.Field(default_factory=list, max_length=64)
    profile: ProfileName | None = None

    def to_change(self) -> characteristics.Change:
        """As the service takes it."""
        return characteristics.Change(unset=tuple(self.unset), profile=self.profile, given=_given(self))


def _given(request: CharacteristicsRequest) -> dict[str, Any]:
    return request.model_dump(include={"tuned_for", "least", "recommended", "tuned"}, exclude_none=True)


class Resources(wire.Answer):
    """CPUs, memory and volume sizes; null or no entry where nothing is said."""

    cpus: int | None
    memory_bytes: int | None
    volume_sizes: dict[str, int]


class Tuned(wire.Answer):
    """Tuned settings; null where nothing is said."""

    bus: str | None
    queues: int | str | None
    cache: str | None
    io: str | None
    discard: str | None
    io_threads: int | None
    cpu: str | None
    firmware: str | None
    network_model: str | None
    network_queues: int | str | None
    rng: bool | None
    balloon: str | None


class Characteristics(wire.Answer):
    """What a template is tuned for."""

    tuned_for: str | None
    least: Resources
    recommended: Resources
    tuned: Tuned


class Profile(wire.Answer):
    """A named set of tuned settings."""

    name: str
    summary: str
    why: str
    tuned: Tuned


class ProfileList(wire.Answer):
    """All profiles, by name."""

    profiles: list[Profile]


class Setting(wire.Answer):
    """Something that a template's characteristics ask for, and what a new server gets; `why` not as asked, else null."""

    what: str
    asked: str
    given: str
    why: str | None

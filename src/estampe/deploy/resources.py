"""CPUs, memory and volume sizes of new servers: asked for, else recommended, else as recorded; never less than the least."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from estampe import errors, units
from estampe.deploy import request as requests
from estampe.deploy import sizing
from estampe.model import characteristics, manifest
from estampe.virt import base as virt

_WISH: Final = "the request asks for it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What each new server gets, and what of the recommended it does not get."""

    cpus: int
    memory_bytes: int
    volume_sizes: dict[str, int]  # by target
    settings: tuple[virt.Setting, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deciding:
    """What a decision looks at; `template` names it in errors."""

    request: requests.DeployRequest
    found: manifest.Manifest
    template: str
    needs: characteristics.Characteristics
    capabilities: virt.Capabilities

    def decide(self) -> Decided:
        """Raises: errors.BelowLeast, errors.InvalidRequest, errors.HostLacks, errors.VolumeTooSmall, errors.VolumeNotFound."""
        cpus, memory, sizes = self._cpus(), self._memory(), self._volume_sizes()
        settings = (*self._tell_cpus(cpus), *self._tell_memory(memory), *self._tell_sizes(sizes))
        return Decided(cpus=cpus, memory_bytes=memory, volume_sizes=sizes, settings=settings)

    def _cpus(self) -> int:
        least, recommended = self.needs.least.cpus or 1, self.needs.recommended.cpus
        # More than the host has would wait for each other.
        usual = self.found.configuration.cpus if recommended is None else min(recommended, self.capabilities.cpus)
        cpus = max(usual, least) if self.request.cpus is None else self.request.cpus
        if cpus < 1:
            raise errors.InvalidRequest(field="cpus", problem="must be 1 or more")
        if cpus < least:
            raise errors.BelowLeast(what="CPUs", asked=str(cpus), template=self.template, least=str(least))
        return cpus

    def _memory(self) -> int:
        least, recommended = self.needs.least.memory_bytes or 0, self.needs.recommended.memory_bytes
        usual = max(recommended or self.found.configuration.memory_bytes, least)
        memory = usual if self.request.memory_bytes is None else self.request.memory_bytes
        if memory < 64 * units.MIB:
            raise errors.InvalidRequest(field="memory", problem="must be 64MiB or more")
        self._check_least("memory", memory, least)
        total = self.capabilities.memory_bytes
        if memory > total:
            whence = "asked" if self.request.memory_bytes is not None or recommended is None else "recommended"
            detail = f"{units.format_bytes(memory)} {whence}, the host has {units.format_bytes(total)} in all"
            raise errors.HostLacks(what="memory", detail=detail)
        return memory

    def _volume_sizes(self) -> dict[str, int]:
        least = self.needs.least.volume_sizes
        usual = least | self.needs.recommended.volume_sizes  # the recommended is never below the least
        sizes = sizing.volume_sizes(self.request, self.found, template=self.template, usual=usual)
        for target, size in sizes.items():
            self._check_least(f"volume {target}", size, least.get(target, 0))
        return sizes

    def _check_least(self, what: str, size: int, least: int) -> None:
        if size < least:
            asked, needed = units.format_bytes(size), units.format_bytes(least)
            if asked == needed:  # they differ by less than is shown
                asked, needed = f"{size} bytes", f"{least} bytes"
            raise errors.BelowLeast(what=what, asked=asked, template=self.template, least=needed)

    # --- told ---

    def _tell_cpus(self, cpus: int) -> Iterator[virt.Setting]:
        asked = self.needs.recommended.cpus
        if asked is not None:
            why = f"this host has {self.capabilities.cpus} CPUs" if self.request.cpus is None else _WISH
            yield _setting("recommended CPUs", asked, cpus, why, show=str)

    def _tell_memory(self, memory: int) -> Iterator[virt.Setting]:
        asked = self.needs.recommended.memory_bytes
        if asked is not None:
            yield _setting("recommended memory", asked, memory, _WISH)

    def _tell_sizes(self, sizes: dict[str, int]) -> Iterator[virt.Setting]:
        for target, asked in self.needs.recommended.volume_sizes.items():
            if target in sizes:
                is_asked = target in (self.request.volume_sizes or {})
                # Sizes are whole sectors: a recommended one may be rounded up.
                is_rounded = not is_asked and 0 <= sizes[target] - asked < sizing.SECTOR_BYTES
                why = _WISH if is_asked else "the template's volume is larger"
                what = f"recommended size of volume {target}"
                yield _setting(what, asked, asked if is_rounded else sizes[target], why)


def _setting(
    what: str, asked: int, given: int, why: str, *, show: Callable[[int], str] = units.format_bytes
) -> virt.Setting:
    return virt.Setting(what=what, asked=show(asked), given=show(given), why=None if asked == given else why)

"""What a new server gets where nothing is asked for it: what is recommended, else as captured, and never less than the least."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from estampe.schemas import template


class Resources(Protocol):
    """As the API takes them and as it tells them."""

    @property
    def cpus(self) -> int | None: ...  # noqa: D102 - three fields
    @property
    def memory_bytes(self) -> int | None: ...  # noqa: D102
    @property
    def volume_sizes(self) -> Mapping[str, int]: ...  # noqa: D102


class Characteristics(Protocol):
    """The two that are sizes."""

    @property
    def least(self) -> Resources: ...  # noqa: D102
    @property
    def recommended(self) -> Resources: ...  # noqa: D102


def otherwise(manifest: template.Manifest | None, traits: Characteristics | None) -> Mapping[str, int]:
    """By the names of a deployment's fields; nothing is known of a template without its manifest."""
    if manifest is None:
        return {}
    recorded = manifest.configuration
    found = {"cpus": recorded.cpus, "memory_bytes": recorded.memory_bytes}
    found |= {f"volume_sizes.{each.target}": each.size_bytes for each in manifest.volumes}
    if traits is None:
        return found
    least, recommended = by_field(traits.least), by_field(traits.recommended)
    return {name: recommended.get(name) or max(value, least.get(name, 0)) for name, value in found.items()}


def by_field(told: Resources) -> Mapping[str, int]:
    """What is said, by the names of a request's fields."""
    named = {"cpus": told.cpus, "memory_bytes": told.memory_bytes}
    named |= {f"volume_sizes.{target}": size for target, size in told.volume_sizes.items()}
    return {name: value for name, value in named.items() if value is not None}

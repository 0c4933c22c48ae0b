"""The tuned settings that Estampe ships: one file each in `profile_data`, named as the profile."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Final

from estampe import errors
from estampe.model import characteristics

_SUFFIX: Final = ".toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A named set of tuned settings."""

    name: str
    summary: str  # one line
    why: str
    tuned: characteristics.Tuned


@functools.cache
def shipped() -> Mapping[str, Profile]:
    """All profiles by name, in its order."""
    files = resources.files("estampe.catalogue").joinpath("profile_data").iterdir()
    found = [_read(file.name.removesuffix(_SUFFIX), file.read_text()) for file in files if file.name.endswith(_SUFFIX)]
    return {profile.name: profile for profile in sorted(found, key=lambda profile: profile.name)}


def get(name: str) -> Profile:
    """Raises: errors.ProfileNotFound."""
    if name not in shipped():
        raise errors.ProfileNotFound(profile=name, known=", ".join(shipped()))
    return shipped()[name]


class ProfileService:
    """The profiles of this Estampe."""

    def list(self) -> list[Profile]:
        """All, by name."""
        return [*shipped().values()]

    def get(self, name: str) -> Profile:
        """One. Raises: errors.ProfileNotFound."""
        return get(name)


def _read(name: str, text: str) -> Profile:
    told = tomllib.loads(text)
    return Profile(
        name=name,
        summary=told["summary"],
        why=" ".join(told["why"].split()),
        tuned=characteristics.Tuned(**told["tuned"]),
    )

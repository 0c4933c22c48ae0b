"""A mounted guest in which some paths are spared: sealing neither sees nor touches them."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

from estampe.guest import base, linux
from estampe.model import guest as guests


class Sparing:
    """See base.Appliance. What is spared is not there for who looks for what may go, and what holds it is emptied around it."""

    def __init__(self, appliance: base.Appliance, keep: Sequence[str]) -> None:
        """`keep` are absolute paths or patterns (glob(7)); of a directory, all that is below it."""
        self._appliance = appliance
        self._keep = tuple(each.rstrip("/") or "/" for each in keep)

    def is_spared(self, path: str) -> bool:
        """Whether the path, or a directory that it lies in, was asked to be kept."""
        parts = path.rstrip("/").split("/")
        above = ["/".join(parts[: nth + 1]) or "/" for nth in range(len(parts))]
        return any(fnmatch.fnmatchcase(place, pattern) for place in above for pattern in self._keep)

    def _holds_spared(self, path: str) -> bool:
        """Whether something that may be below the path was asked to be kept."""
        parts = path.rstrip("/").split("/")
        for pattern in self._keep:
            kept = pattern.split("/")
            if len(kept) > len(parts) and all(map(fnmatch.fnmatchcase, parts, kept)):
                return True
        return False

    def exists(self, path: str) -> bool:
        """See base.Appliance."""
        return not self.is_spared(path) and self._appliance.exists(path)

    def is_file(self, path: str) -> bool:
        """See base.Appliance."""
        return not self.is_spared(path) and self._appliance.is_file(path)

    def is_dir(self, path: str) -> bool:
        """See base.Appliance."""
        return not self.is_spared(path) and self._appliance.is_dir(path)

    def is_link(self, path: str) -> bool:
        """See base.Appliance."""
        return not self.is_spared(path) and self._appliance.is_link(path)

    def read(self, path: str) -> str:
        """See base.Appliance."""
        return self._appliance.read(path)

    def write(self, path: str, text: str) -> None:
        """See base.Appliance."""
        if not self.is_spared(path):
            self._appliance.write(path, text)

    def read_bytes(self, path: str) -> bytes:
        """See base.Appliance."""
        return self._appliance.read_bytes(path)

    def write_bytes(self, path: str, data: bytes) -> None:
        """See base.Appliance."""
        if not self.is_spared(path):
            self._appliance.write_bytes(path, data)

    def free_bytes(self, path: str) -> int:
        """See base.Appliance."""
        return self._appliance.free_bytes(path)

    def truncate(self, path: str) -> None:
        """See base.Appliance."""
        if not self.is_spared(path):
            self._appliance.truncate(path)

    def remove(self, path: str) -> None:
        """See base.Appliance."""
        if self.is_spared(path):
            return
        if not self._holds_spared(path) or not self._appliance.is_dir(path) or self._appliance.is_link(path):
            self._appliance.remove(path)
            return
        for file in self._appliance.files(path):
            if not self.is_spared(file):
                self._appliance.remove(file)

    def make_directory(self, path: str) -> None:
        """See base.Appliance."""
        self._appliance.make_directory(path)

    def copy(self, source: str, target: str) -> None:
        """See base.Appliance."""
        if not self.is_spared(target):
            self._appliance.copy(source, target)

    def give(self, path: str, *, mode: int, owner: tuple[int, int] = (0, 0)) -> None:
        """See base.Appliance."""
        if not self.is_spared(path):
            self._appliance.give(path, mode=mode, owner=owner)

    def link(self, path: str, target: str) -> None:
        """See base.Appliance."""
        if not self.is_spared(path):
            self._appliance.link(path, target)

    def glob(self, *patterns: str) -> list[str]:
        """See base.Appliance."""
        return [path for path in self._appliance.glob(*patterns) if not self.is_spared(path)]

    def digests(self, directory: str) -> base.Digests:
        """See base.Appliance."""
        return self._appliance.digests(directory)

    def mentions(self, directory: str, words: Sequence[str]) -> base.Mentions:
        """See base.Appliance."""
        return self._appliance.mentions(directory, words)

    def registry_value(self, hive: str, key: Sequence[str], name: str) -> str | None:
        """See base.Appliance."""
        return self._appliance.registry_value(hive, key, name)

    def files(self, directory: str) -> list[str]:
        """See base.Appliance."""
        return [path for path in self._appliance.files(directory) if not self.is_spared(path)]


def remove_wished(appliance: base.Appliance, wish: guests.SealingWish) -> list[str]:
    """Remove what was asked for besides; what was done, in lines."""
    return linux.Removal("what was asked for", wish.remove).strip(appliance) if wish.remove else []

"""A mounted guest in memory: see base.Appliance. For unit tests of kinds of guests; passes the contract suite."""

from __future__ import annotations

import fnmatch
import hashlib
import re
from collections.abc import Sequence
from typing import Any, Final

from estampe import errors
from estampe.guest import base

_MOST_LINKS: Final = 40  # as Linux (path_resolution(7))
_DIRECTORY: Final = None


class MemoryAppliance:
    """A tree of paths: bytes for a file, None for a directory; links apart."""

    def __init__(
        self,
        files: dict[str, str] | None = None,
        *,
        links: dict[str, str] | None = None,
        registry: dict[str, dict[str, str]] | None = None,
    ) -> None:
        r"""`files` by path with content, parents made; `links` by path with target.

        `registry` by path of its file: text values by the names that lead to them, as r"Microsoft\Windows\State\ImageState".
        """
        self.room_bytes = 1 << 40
        self._registry = registry or {}
        self._nodes: dict[str, bytes | None] = {"/": _DIRECTORY}
        self._links: dict[str, str] = {}
        self._given: dict[str, tuple[int, tuple[int, int]]] = {}
        for path, text in (files or {}).items():
            self.make_directory(_parent(path))
            self.write(path, text)
        for path in self._registry:
            self.make_directory(_parent(path))
            self.write(path, "regf")
        for path, target in (links or {}).items():
            self.make_directory(_parent(path))
            self.link(path, target)

    def exists(self, path: str) -> bool:
        """See base.Appliance."""
        place = self._find_place(path)
        return place in self._nodes or place in self._links

    def is_file(self, path: str) -> bool:
        """See base.Appliance."""
        return isinstance(self._nodes.get(self._find(path) or ""), bytes)

    def is_dir(self, path: str) -> bool:
        """See base.Appliance."""
        found = self._find(path)
        return found is not None and self._nodes[found] is _DIRECTORY

    def is_link(self, path: str) -> bool:
        """See base.Appliance."""
        return self._find_place(path) in self._links

    def read(self, path: str) -> str:
        """See base.Appliance."""
        return self._content(path).decode(errors="replace")

    def write(self, path: str, text: str) -> None:
        """See base.Appliance."""
        place = self._target(path)
        if place is None or self._nodes.get(_parent(place), b"") is not _DIRECTORY:
            raise errors.ApplianceFailed(detail=f"{path}: no such directory")
        if place in self._nodes and self._nodes[place] is _DIRECTORY:
            raise errors.ApplianceFailed(detail=f"{path} is a directory")
        self._nodes[place] = text.encode()

    def read_bytes(self, path: str) -> bytes:
        """See base.Appliance."""
        return self._content(path)

    def write_bytes(self, path: str, data: bytes) -> None:
        """See base.Appliance."""
        self._content(path)
        self._nodes[str(self._find(path))] = data

    def free_bytes(self, path: str) -> int:
        """See base.Appliance. As the test has it, else what is never used up."""
        if self._find(path) is None:
            raise errors.ApplianceFailed(detail=f"{path}: no such file")
        return self.room_bytes

    def truncate(self, path: str) -> None:
        """See base.Appliance."""
        if self.exists(path) and self._find(path) is not None:
            self._content(path)
            self.write(path, "")

    def remove(self, path: str) -> None:
        """See base.Appliance."""
        place = self._find_place(path)
        if place is None:
            return
        known: dict[str, Any]
        for known in (self._nodes, self._links, self._given):
            for other in [each for each in known if each == place or each.startswith(f"{place}/")]:
                known.pop(other)

    def make_directory(self, path: str) -> None:
        """See base.Appliance."""
        made = ""
        for name in path.strip("/").split("/"):
            if not name:
                return
            made = f"{made}/{name}"
            place = self._target(made)
            if place is None or isinstance(self._nodes.get(place), bytes):
                raise errors.ApplianceFailed(detail=f"{made} is not a directory")
            self._nodes.setdefault(place, _DIRECTORY)

    def copy(self, source: str, target: str) -> None:
        """See base.Appliance."""
        content = self._content(source)
        self.write(target, "")
        self._nodes[str(self._find(target))] = content

    def give(self, path: str, *, mode: int, owner: tuple[int, int] = (0, 0)) -> None:
        """See base.Appliance."""
        place = self._find(path)
        if place is None:
            raise errors.ApplianceFailed(detail=f"{path}: no such file")
        self._given[place] = (mode, owner)

    def given(self, path: str) -> tuple[int, tuple[int, int]] | None:
        """What `give` set last: mode and owner."""
        return self._given.get(self._find(path) or "")

    def link(self, path: str, target: str) -> None:
        """See base.Appliance."""
        place = self._find_place(path)
        if place is None or (self.is_dir(path) and not self.is_link(path)):
            raise errors.ApplianceFailed(detail=f"{path} cannot be a link")
        self.remove(path)
        self._links[place] = target

    def glob(self, *patterns: str) -> list[str]:
        """See base.Appliance."""
        return sorted({path for pattern in patterns for path in self._glob(pattern)})

    def digests(self, directory: str) -> base.Digests:
        """See base.Appliance."""
        found = self._below(directory)
        return base.Digests(
            by_path={path: hashlib.sha256(content).hexdigest() for path, content in found[: base.MOST_DIGESTED_FILES]},
            is_cut=len(found) > base.MOST_DIGESTED_FILES,
        )

    def mentions(self, directory: str, words: Sequence[str]) -> base.Mentions:
        """See base.Appliance."""
        found = self._below(directory)
        named = {
            path: tuple(word for word in words if word.encode() in content or word in path)
            for path, content in found[: base.MOST_DIGESTED_FILES]
        }
        return base.Mentions(
            by_path={path: here for path, here in named.items() if here}, is_cut=len(found) > base.MOST_DIGESTED_FILES
        )

    def _below(self, directory: str) -> list[tuple[str, bytes]]:
        """Files and links below, with their contents or targets."""
        top = self._find(directory)
        if top is None or self._nodes[top] is not _DIRECTORY:
            return []
        inside = top.rstrip("/") + "/"
        targets = {path: target.encode() for path, target in self._links.items()}
        found = {path: node for path, node in (self._nodes | targets).items() if node is not None}
        below = sorted(path for path in found if path.startswith(inside))
        return [(f"{directory.rstrip('/')}/{path[len(inside) :]}", found[path]) for path in below]

    def registry_value(self, hive: str, key: Sequence[str], name: str) -> str | None:
        """See base.Appliance."""
        if not self.is_file(hive):
            raise errors.ApplianceFailed(detail=f"{hive} is not a regular file")
        return self._registry.get(self._find(hive) or "", {}).get("\\".join([*key, name]))

    def files(self, directory: str) -> list[str]:
        """See base.Appliance."""
        top = self._find(directory)
        if top is None or self._nodes[top] is not _DIRECTORY:
            return []
        inside = top.rstrip("/") + "/"
        below = (path for path, node in self._nodes.items() if isinstance(node, bytes) and path.startswith(inside))
        return sorted(directory.rstrip("/") + "/" + path[len(inside) :] for path in below)

    def _glob(self, pattern: str) -> list[str]:
        found = [""]
        for part in pattern.strip("/").split("/"):
            if not re.search(r"[*?\[]", part):
                found = [f"{path}/{part}" for path in found if self.exists(f"{path}/{part}")]
                continue
            found = [f"{path}/{name}" for path in found for name in self._names(path or "/") if _fits(name, part)]
        return found

    def _names(self, directory: str) -> list[str]:
        top = self._find(directory)
        if top is None or self._nodes[top] is not _DIRECTORY:
            return []
        inside = top.rstrip("/") + "/"
        paths = [*self._nodes, *self._links]
        return [
            path[len(inside) :]
            for path in paths
            if path.startswith(inside) and "/" not in path[len(inside) :] and path != "/"
        ]

    def _content(self, path: str) -> bytes:
        content = self._nodes.get(self._find(path) or "")
        if content is None:
            raise errors.ApplianceFailed(detail=f"{path} is not a regular file")
        return content

    def _find(self, path: str) -> str | None:
        """Where the path leads, links followed; None where nothing is."""
        place = self._target(path)
        return place if place in self._nodes else None

    def _find_place(self, path: str) -> str | None:
        """The path with links in its directory followed, but not itself; None where the directory is missing."""
        if path == "/":
            return "/"
        directory = self._find(_parent(path))
        if directory is None or self._nodes[directory] is not _DIRECTORY:
            return None
        return directory.rstrip("/") + "/" + path.rstrip("/").rsplit("/", 1)[1]

    def _target(self, path: str) -> str | None:
        """As `_find_place`, with a link at the end followed too, to where nothing may be yet."""
        for _ in range(_MOST_LINKS):
            place = self._find_place(_normal(path))
            if place is None or place not in self._links:
                return place
            path = (
                f"{_parent(place)}/{self._links[place]}"
                if not self._links[place].startswith("/")
                else self._links[place]
            )
        return None


def _parent(path: str) -> str:
    return path.rstrip("/").rsplit("/", 1)[0] or "/"


def _normal(path: str) -> str:
    """Without `.`, `..` and double slashes; `..` of the top is the top."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in {"", "."}:
            parts.append(part)
    return "/" + "/".join(parts)


def _fits(name: str, pattern: str) -> bool:
    return (not name.startswith(".") or pattern.startswith(".")) and fnmatch.fnmatchcase(name, pattern)

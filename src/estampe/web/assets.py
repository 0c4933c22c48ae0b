"""The files that pages load, in memory. Their address holds a hash of them all, so browsers may keep them for ever.

One hash for all, not one for each: modules import each other by relative paths, which stay valid so.
"""

from __future__ import annotations

import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

DIRECTORY: Final = Path(__file__).parent / "static"
PREFIX: Final = "/static"
_HASH_CHARACTERS: Final = 16
_SERVED: Final = {".css", ".js", ".svg", ".png"}
_TYPES: Final = {".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One file."""

    content: bytes
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Assets:
    """All files by their path below `static`."""

    files: Mapping[str, Asset]
    digest: str

    @classmethod
    def load(cls, directory: Path = DIRECTORY) -> Self:
        """Read them all: they are few and small."""
        files, digest = {}, hashlib.sha256()
        for path in sorted(directory.rglob("*")):
            if path.suffix not in _SERVED or not path.is_file():
                continue
            name, content = path.relative_to(directory).as_posix(), path.read_bytes()
            files[name] = Asset(content=content, media_type=_media_type(path))
            digest.update(name.encode() + b"\0" + content)
        return cls(files=files, digest=digest.hexdigest()[:_HASH_CHARACTERS])

    def url(self, name: str) -> str:
        """Where a page finds it. Raises: KeyError where there is no such file (a defect of the page)."""
        if name not in self.files:
            raise KeyError(name)
        return f"{PREFIX}/{self.digest}/{name}"


def _media_type(path: Path) -> str:
    return _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"

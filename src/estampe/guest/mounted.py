"""The mounted guest through libguestfs: see base.Appliance. Runs in the worker's process."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from estampe import errors
from estampe.guest import base, tree_digests
from estampe.guest import text as texts

_MOST_READ_BYTES: Final = 4 * 1024 * 1024 - 65536  # libguestfs' message limit is 4 MiB (guestfs(3), PROTOCOL LIMITS)
_MOST_FILES: Final = 100_000  # a hostile or hopeless tree: beyond that the walk ends as an error
_PATTERNS_AT_ONCE: Final = 50


@contextlib.contextmanager
def guest_errors(what: str) -> Iterator[None]:
    """The one kind of error that libguestfs has, RuntimeError, as ours."""
    try:
        yield
    except (RuntimeError, UnicodeError) as error:  # its Python binding knows no name that is not UTF-8
        raise errors.ApplianceFailed(detail=texts.plain(f"{what}: {error}")) from error


class MountedGuest:
    """Over a launched handle with the guest's file systems mounted.

    libguestfs resolves links inside the guest only for calls that change their root (guestfsd: CHROOT_IN); `rm_rf` runs the
    appliance's rm on /sysroot/PATH, where an absolute link on the way would lead into the appliance itself and leave the
    guest's file in place. So paths are resolved first, by `realpath`, which does change its root.

    Opening a FIFO or a device that a guest put where a file should be would wait, or read, for ever: hence `is_file` first.
    """

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def exists(self, path: str) -> bool:
        """See base.Appliance."""
        return self.is_link(path) or self._ask("exists", path)

    def is_file(self, path: str) -> bool:
        """See base.Appliance."""
        return self._ask("is_file", path, followsymlinks=True)

    def is_dir(self, path: str) -> bool:
        """See base.Appliance."""
        return self._ask("is_dir", path, followsymlinks=True)

    def is_link(self, path: str) -> bool:
        """See base.Appliance."""
        return self._ask("is_symlink", path)

    def _ask(self, question: str, path: str, **options: bool) -> bool:
        with guest_errors(path):
            return bool(getattr(self._handle, question)(path, **options))

    def read(self, path: str) -> str:
        """See base.Appliance."""
        self._require_file(path)
        with guest_errors(path):
            if self._handle.filesize(path) > _MOST_READ_BYTES:
                raise errors.ApplianceFailed(detail=f"{path} is too large to read")
            content: bytes = self._handle.read_file(path)
        return content.decode(errors="replace")

    def write(self, path: str, text: str) -> None:
        """See base.Appliance."""
        if self._ask("exists", path):
            self._require_file(path)
        with guest_errors(path):
            self._handle.write(path, text.encode())

    def read_bytes(self, path: str) -> bytes:
        """See base.Appliance. By a file, as one message of the appliance holds 4 MiB."""
        self._require_file(path)
        with guest_errors(path), tempfile.NamedTemporaryFile() as file:
            if self._handle.filesize(path) > base.MOST_READ_BYTES:
                raise errors.ApplianceFailed(detail=f"{path} is too large to read")
            self._handle.download(path, file.name)
            return Path(file.name).read_bytes()

    def write_bytes(self, path: str, data: bytes) -> None:
        """See base.Appliance."""
        self._require_file(path)
        with guest_errors(path), tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            self._handle.upload(file.name, path)

    def free_bytes(self, path: str) -> int:
        """See base.Appliance."""
        with guest_errors(path):
            told = self._handle.statvfs(path)
        return int(told["bavail"]) * int(told["frsize"])

    def truncate(self, path: str) -> None:
        """See base.Appliance."""
        if not self._ask("exists", path):
            return
        self._require_file(path)
        with guest_errors(path):
            self._handle.truncate(path)

    def _require_file(self, path: str) -> None:
        if not self.is_file(path):
            raise errors.ApplianceFailed(detail=f"{path} is not a regular file")

    def remove(self, path: str) -> None:
        """See base.Appliance."""
        if not self.exists(path):
            return
        with guest_errors(path):
            self._handle.rm_rf(self._place(path))

    def make_directory(self, path: str) -> None:
        """See base.Appliance."""
        with guest_errors(path):
            self._handle.mkdir_p(path)

    def copy(self, source: str, target: str) -> None:
        """See base.Appliance."""
        self._require_file(source)
        if self._ask("exists", target):
            self._require_file(target)
        with guest_errors(target):
            # The appliance's own cp, as its rm: see above.
            self._handle.cp(self._handle.realpath(source), self._place(target))

    def give(self, path: str, *, mode: int, owner: tuple[int, int] = (0, 0)) -> None:
        """See base.Appliance."""
        with guest_errors(path):
            self._handle.chown(*owner, path)
            self._handle.chmod(mode, path)  # last: a change of owner takes set-id bits away

    def link(self, path: str, target: str) -> None:
        """See base.Appliance."""
        if self.is_dir(path) and not self.is_link(path):
            raise errors.ApplianceFailed(detail=f"{path} cannot be a link")
        self.remove(path)
        with guest_errors(path):
            self._handle.ln_s(target, self._place(path))

    def _place(self, path: str) -> str:
        """The path with the links in its directory resolved inside the guest, and itself not followed."""
        directory, _, name = path.rstrip("/").rpartition("/")
        place: str = self._handle.realpath(directory or "/")
        return f"{place.rstrip('/')}/{name}"

    def glob(self, *patterns: str) -> list[str]:
        """See base.Appliance. One call for many patterns: each call costs some 10 ms under full emulation."""
        found: set[str] = set()
        for first in range(0, len(patterns), _PATTERNS_AT_ONCE):
            some = patterns[first : first + _PATTERNS_AT_ONCE]
            # guestfsd calls glob(3) with GLOB_BRACE; a single alternative in braces is not one.
            bare = ",".join(pattern.removeprefix("/") for pattern in some)
            pattern = f"/{{{bare}}}" if len(some) > 1 else some[0]
            with guest_errors(pattern[:60]):
                found.update(self._handle.glob_expand(pattern, directoryslash=False))
        return sorted(found)

    def digests(self, directory: str) -> base.Digests:
        """See base.Appliance. One call for the whole tree, hashed here: the appliance hashes a tenth as fast.

        Its own checksums_out and tar_out follow an absolute link into the appliance, hence `realpath`.
        """
        if not self.is_dir(directory):
            return base.Digests(by_path={})
        with guest_errors(directory):
            place: str = self._handle.realpath(directory)
            return tree_digests.read(lambda path: self._handle.tar_out(place, path), directory.rstrip("/"))

    def mentions(self, directory: str, words: Sequence[str]) -> base.Mentions:
        """See base.Appliance. By the same stream as `digests`."""
        if not self.is_dir(directory):
            return base.Mentions(by_path={})
        with guest_errors(directory):
            place: str = self._handle.realpath(directory)
            told = tree_digests.read(
                lambda path: self._handle.tar_out(place, path), directory.rstrip("/"), tree_digests.search(words)
            )
        found = {
            path: tuple(word for word in words if word in here.splitlines() or word in path)
            for path, here in told.by_path.items()
        }
        return base.Mentions(by_path={path: here for path, here in found.items() if here}, is_cut=told.is_cut)

    def registry_value(self, hive: str, key: Sequence[str], name: str) -> str | None:
        """See base.Appliance."""
        self._require_file(hive)
        with guest_errors(hive):
            self._handle.hivex_open(self._handle.realpath(hive))
            try:
                return self._value(key, name)
            finally:
                self._handle.hivex_close()

    def _value(self, key: Sequence[str], name: str) -> str | None:
        handle, node = self._handle, self._handle.hivex_root()
        for each in key:
            node = handle.hivex_node_get_child(node, each)
            if not node:
                return None
        value = handle.hivex_node_get_value(node, name)
        return handle.hivex_value_string(value) if value else None

    def files(self, directory: str) -> list[str]:
        """See base.Appliance."""
        found: list[str] = []
        pending = [directory.rstrip("/")] if self.is_dir(directory) else []
        while pending:
            here = pending.pop()
            with guest_errors(here):
                entries = self._handle.readdir(here)
            for entry in entries:
                self._sort_in(here, entry, found=found, pending=pending)
            if len(found) + len(pending) > _MOST_FILES:
                raise errors.ApplianceFailed(detail=f"{directory} holds more than {_MOST_FILES} files")
        return sorted(found)

    def _sort_in(self, directory: str, entry: dict[str, Any], *, found: list[str], pending: list[str]) -> None:
        """By the kind that readdir(3) tells: r a regular file, d a directory, u not told (some file systems)."""
        if entry["name"] in {".", ".."}:
            return
        path, kind = f"{directory}/{entry['name']}", entry["ftyp"]
        if kind == "d" or (kind == "u" and self._ask("is_dir", path)):
            pending.append(path)
        elif kind == "r" or (kind == "u" and self._ask("is_file", path)):
            found.append(path)

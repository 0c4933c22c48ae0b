"""Contract of the guest family: the seam where kinds of guests plug in.

Everything that opens a guest's file systems runs inside the libguestfs appliance, in a child process with a deadline. A
`GuestKind` sees the mounted guest through `Appliance` and never touches the host's files.

The contract suite is tests/contract/test_appliance.py, run on memory and on the real appliance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from estampe import units
from estampe.model import final
from estampe.model import guest as guests
from estampe.model import inventory as inventories
from estampe.model import layout as layouts

# /etc of a server with many packages is 10 MiB in 3000 files; the appliance sends some 11 MiB a second under full emulation.
MOST_DIGESTED_FILES: Final = 20_000
MOST_DIGESTED_BYTES: Final = 64 * units.MIB
MOST_READ_BYTES: Final = 256 * units.MIB  # of a file that is read as it is: an initramfs with all drivers has 100 MiB


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What one appliance launch on the copy found and did; JSON-able by dataclasses.asdict.

    `is_overlay_usable`: whether what the overlays hold now is to become the template. When it is false (not sealed, or
    broken off half-way) the caller must throw every overlay away: the copy as it was captured is the template.
    `layout` is told of a guest that is not known, too; None where nobody looked, or where the appliance failed.
    """

    guest: guests.Guest | None
    sealing: guests.Sealing
    is_overlay_usable: bool = False
    layout: layouts.Layout | None = None
    inventory: inventories.Inventory | None = (
        None  # of what becomes the template: the sealed copy, or the copy as it was
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapted:
    """What one appliance launch before servers' first boot did; every action that was asked for was carried out."""

    changes: Mapping[str, tuple[final.Change, ...]]  # what the final configuration came to, by server


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a kind of guest can tell of itself by its files alone, without the volumes' layout."""

    has_cloud_init: bool  # and it will read a seed
    seed_formats: tuple[str, ...] = ()  # which it will read: as model.guest.Guest has them
    is_network_left_alone: bool = False  # and it will not set the network by the seed
    has_guest_agent: bool
    can_grow_root: bool  # its first boot grows the partition and file system under /, when root comes last
    volume_buses: tuple[str, ...] = ()  # as model.guest.Guest has them


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """How a guest goes about things, in the words of model.guest.Guest."""

    boot_loader: str = guests.UNKNOWN
    network: str = guests.UNKNOWN
    seed_reader: str | None = None
    init: str = guests.UNKNOWN
    has_guest_agent: bool = False
    is_generalised: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Digests:
    """What is below a directory, without its content."""

    by_path: Mapping[str, str]  # of each regular file, and of each link's target: SHA-256, hexadecimal
    is_cut: bool = False  # there is more than was read


@dataclass(frozen=True, slots=True, kw_only=True)
class Mentions:
    """Where below a directory words stand."""

    by_path: Mapping[str, tuple[str, ...]]  # of each file or link: the words in its content, its target or its path
    is_cut: bool = False  # there is more than was read


@dataclass(frozen=True, slots=True, kw_only=True)
class Stripped:
    """What a sealing did."""

    actions: tuple[str, ...]  # past tense, one line each
    notes: tuple[str, ...]  # what was kept that still tells of the source, and what it means


class Appliance(Protocol):
    """The mounted guest: the part of libguestfs' handle that kinds of guests use. Paths are the guest's, absolute.

    Links, absolute ones too, are followed inside the guest and must never lead out of it. Whatever cannot be done raises
    errors.ApplianceFailed: an I/O error, a file system that turned read-only, a path that is not what the call needs.
    """

    def exists(self, path: str) -> bool:
        """Whether there is anything, a dangling link included."""

    def is_file(self, path: str) -> bool:
        """Whether it is a regular file, or a link to one."""

    def is_dir(self, path: str) -> bool:
        """Whether it is a directory, or a link to one."""

    def is_link(self, path: str) -> bool:
        """Whether the path itself is a symbolic link."""

    def read(self, path: str) -> str:
        """A regular file of at most 4 MiB as text; bytes that are not UTF-8 become U+FFFD."""

    def write(self, path: str, text: str) -> None:
        """Write a regular file whole; a new one gets mode 0644 and its directory must be there."""

    def read_bytes(self, path: str) -> bytes:
        """A regular file of at most MOST_READ_BYTES as it is."""

    def write_bytes(self, path: str, data: bytes) -> None:
        """Write a regular file that is there whole; owner and mode stay."""

    def free_bytes(self, path: str) -> int:
        """How much more may be written into the file system that holds the path."""

    def truncate(self, path: str) -> None:
        """Empty a regular file; owner and mode stay. A missing one is fine and stays missing."""

    def remove(self, path: str) -> None:
        """Remove a file, link (never what it points to) or tree; a missing one is fine. Links in its directory's path are followed."""

    def make_directory(self, path: str) -> None:
        """Make it with its parents; there already is fine."""

    def copy(self, source: str, target: str) -> None:
        """Copy a regular file's bytes to another, replacing one that is there; the target's directory must be there."""

    def give(self, path: str, *, mode: int, owner: tuple[int, int] = (0, 0)) -> None:
        """Set the mode and the owner (user and group id) of a file or directory that is there; a link is followed."""

    def link(self, path: str, target: str) -> None:
        """Make `path` a symbolic link to `target`, replacing a file or link."""

    def glob(self, *patterns: str) -> list[str]:
        """What is there that fits any of the patterns (glob(7): `*` skips names with a leading dot), sorted, each once.

        A pattern must not hold a brace or a comma.
        """

    def digests(self, directory: str) -> Digests:
        """Of everything below `directory`, by path; links not followed (but `directory` itself may be one).

        At most MOST_DIGESTED_FILES, directories counted, and of MOST_DIGESTED_BYTES in all: what a hostile guest puts there may have no end.
        """

    def mentions(self, directory: str, words: Sequence[str]) -> Mentions:
        """Where below `directory` any of the words (ASCII) stands, links not followed; with the bounds of `digests`."""

    def registry_value(self, hive: str, key: Sequence[str], name: str) -> str | None:
        """A text value of a Windows registry file, by the names of the keys that lead to it; None where there is none."""

    def files(self, directory: str) -> list[str]:
        """Every regular file below `directory`, sorted, links not followed (but `directory` itself may be one)."""


class GuestKind(Protocol):
    """Knows one kind of guest: what its identity is and how it is stripped."""

    @property
    def name(self) -> str: ...

    def matches(self, os_type: str, distribution: str) -> bool:
        """Whether this kind is for an operating system of libguestfs' inspect_get_type / inspect_get_distro."""

    def facts(self, appliance: Appliance, *, root_kind: str) -> Facts:
        """Read only. `root_kind` is the file system under /: ext4, xfs, ..."""

    def why_not_sealed(self, appliance: Appliance) -> str | None:
        """Why this guest cannot be sealed, whatever is done to it; None where it can."""

    def seal(self, appliance: Appliance, wish: guests.SealingWish) -> Stripped:
        """Strip what identifies the source, as far as is wished, and what else is to go. Idempotent.

        Raises: errors.ApplianceFailed, and the copy is then neither sealed nor whole.
        """

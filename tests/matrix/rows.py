"""The guests of the matrix: what each is, what is asked of a deploy, and what has to come of it.

Their volumes are built by script/guests/matrix, whose recipe draws them.
"""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1 << 20
GATEWAY = "192.0.2.1"
COMMAND = "ran-once"
ZONE = "/usr/share/zoneinfo/Europe/Paris"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIM191m5cXCpHRXy7Oe6S2KYpyy+b5mMNdtxPl0HKqjxy matrix@test"


@dataclass(frozen=True, kw_only=True)
class Volume:
    """One volume of a guest, and the size that its clones get."""

    part: str  # of script/build-guest
    target: str
    grown_mib: int | None = None
    sector_bytes: int = 512


@dataclass(frozen=True, kw_only=True)
class Row:
    """One guest. `grown` and `swap_bytes` are what a clone has to say of itself."""

    name: str
    layout: str
    network: str  # how it configures it
    is_uefi: bool
    volumes: tuple[Volume, ...]
    grown: dict[str, tuple[str, int]]  # mount point -> (file system, least MiB)
    swap_mib: int = 0
    sector_bytes: int = 512
    subvolumes: str = ""
    has_agent: bool = True
    recipe: str = "matrix"
    is_opaque: bool = False
    has_seed: bool = False
    is_renewed: bool = False  # its clones get UUIDs of their own

    @property
    def firmware(self) -> str:
        return "UEFI" if self.is_uefi else "BIOS"

    @property
    def asked(self) -> tuple[str, ...]:
        """Options of its deploys that others do not have."""
        return ("--renew-uuids",) if self.is_renewed else ()


ROWS = (
    Row(
        name="cloud",
        layout="GPT: ESP, root (ext4)",
        network="cloud-init",
        is_uefi=True,
        has_seed=True,
        volumes=(Volume(part="cloud", target="vda", grown_mib=4096),),
        grown={"/": ("ext4", 3700)},
    ),
    Row(
        name="bios",
        layout="MBR: root (ext4), swap behind it",
        network="ifupdown",
        is_uefi=False,
        volumes=(Volume(part="bios", target="vda", grown_mib=2048),),
        grown={"/": ("ext4", 1800)},
        swap_mib=48,
    ),
    Row(
        name="logical",
        layout="MBR: /boot (ext4), extended with root (ext4) and swap behind it; no agent",
        network="systemd-networkd",
        is_uefi=False,
        has_agent=False,
        volumes=(Volume(part="logical", target="vda", grown_mib=2048),),
        grown={"/": ("ext4", 1750)},
        swap_mib=48,
    ),
    Row(
        name="lvm",
        layout="MBR: /boot (ext4), PV; a second volume as PV; root and /srv (xfs) and swap in one group",
        network="systemd-networkd",
        is_uefi=False,
        volumes=(
            Volume(part="lvm", target="vda", grown_mib=1536),
            Volume(part="lvm-data", target="vdb", grown_mib=1024),
        ),
        grown={"/": ("xfs", 1900), "/srv": ("xfs", 280)},
        is_renewed=True,
        swap_mib=48,
    ),
    Row(
        name="btrfs",
        layout="GPT: BIOS boot, btrfs with the subvolumes @, @home, @srv",
        network="NetworkManager",
        is_uefi=False,
        volumes=(Volume(part="btrfs", target="vda", grown_mib=2048),),
        grown={"/": ("btrfs", 2000)},
        subvolumes="/:/@ /home:/@home /srv:/@srv",
    ),
    Row(
        name="sectors",
        layout="4096-byte sectors; GPT: ESP, root (ext4); a second volume (ext4, no table) mounted by UUID",
        network="systemd-networkd",
        is_uefi=True,
        volumes=(
            Volume(part="sectors", target="vda", grown_mib=2048, sector_bytes=4096),
            Volume(part="sectors-data", target="vdb", grown_mib=256, sector_bytes=4096),
        ),
        grown={"/": ("ext4", 1900), "/srv/data": ("ext4", 220)},
        sector_bytes=4096,
        is_renewed=True,
    ),
    Row(
        name="opaque",
        layout="MBR: FAT with a boot loader, a kernel and one program of its own; ext4",
        network="none",
        is_uefi=False,
        is_opaque=True,
        has_agent=False,
        recipe="mini",
        volumes=(Volume(part="disk", target="vda", grown_mib=96),),
        grown={"/": ("ext4", 56)},
    ),
)

NAMES = tuple(row.name for row in ROWS)


def fqdn(row: Row, nth: int) -> str:
    """The full name that clone `nth` gets."""
    return f"{row.name}-{nth}.example.net"


def address(nth: int) -> str:
    """Of clone `nth`; the source has 192.0.2.10."""
    return f"192.0.2.{20 + nth}/24"


def address6(nth: int) -> str:
    """Likewise."""
    return f"2001:db8::{20 + nth}/64"

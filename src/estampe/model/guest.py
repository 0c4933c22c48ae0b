"""What is known of the system inside a template's volumes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subvolume:
    """One subvolume of a btrfs file system."""

    path: str  # @home, from the file system's top
    mount_point: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSystem:
    """One file system or swap area found at inspection."""

    device: str  # vda1, vg0/root, vdb (the whole volume): relative to the server's targets
    kind: str  # ext4, xfs, vfat, swap, unknown, ...
    size_bytes: int
    used_bytes: int | None
    mount_point: str | None
    uuid: str | None
    label: str | None
    subvolumes: tuple[Subvolume, ...] = ()  # of btrfs, those that the guest does not mount too


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """The operating system found at inspection."""

    kind: str  # linux, windows, freebsd, ...
    distribution: str  # debian, ubuntu, ..., unknown
    version: str  # 12.5
    product: str  # "Debian GNU/Linux 12 (bookworm)"
    hostname: str
    root_device: str
    file_systems: tuple[FileSystem, ...]
    has_cloud_init: bool
    has_guest_agent: bool
    can_grow_root: bool  # growpart and a resizer are there and root is last on its volume: first boot grows it
    package_count: int
    is_network_left_alone: bool = False  # its cloud-init is told not to set the network: addresses of a seed go unread
    # virtio-blk, virtio-scsi: those it is known to find its volumes on when it boots
    volume_buses: tuple[str, ...] = ()
    boot_loader: str = UNKNOWN  # grub-pc, grub-efi, systemd-boot, extlinux, bootmgr (Windows), loader (BSD)
    # ifupdown, systemd-networkd, netplan, network-manager, ifcfg, wicked, rc.conf, windows
    network: str = UNKNOWN
    seed_reader: str | None = None  # cloud-init, cloudbase-init, nuageinit; there and not disabled
    init: str = UNKNOWN  # systemd, sysvinit, openrc, runit, busybox, windows, rc (BSD)
    seed_formats: tuple[str, ...] = ()  # that its cloud-init takes: nocloud, config-drive; empty: not told
    is_generalised: bool | None = None  # Windows: prepared by sysprep to become another machine; None elsewhere


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealing:
    """What was done to the copy so that clones do not share the source's identity."""

    is_sealed: bool
    why_not: str | None  # set exactly when not sealed
    actions: tuple[str, ...]  # one line each, in the past tense: "emptied /etc/machine-id"
    trimmed_bytes: int  # freed by the trim of free space
    notes: tuple[str, ...] = ()  # what could not be done, and what it means


@dataclass(frozen=True, slots=True, kw_only=True)
class SealingWish:
    """What a sealing is to do otherwise than it does by itself: absolute paths or patterns of the guest (glob(7))."""

    keep: tuple[str, ...] = ()  # of a directory, all that is below it
    remove: tuple[str, ...] = ()


NOTHING_WISHED: Final = SealingWish()

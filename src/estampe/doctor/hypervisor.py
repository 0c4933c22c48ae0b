"""libvirt, its pools and networks, hardware acceleration and firmware."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from estampe import config, errors, units
from estampe.doctor import check

_OLDEST_LIBVIRT: Final = (9, 0)  # Debian 12's, which Estampe is tried with
_LOW_BYTES: Final = 10 * units.GIB  # a small server's volume
_DEFAULT_POOL_PATH: Final = "/var/lib/libvirt/images"
_DEFAULT_NETWORK: Final = "/usr/share/libvirt/networks/default.xml"
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # libvirtd's, which is root's


@dataclass(frozen=True, slots=True)
class Named:
    """A pool or network as libvirt lists it."""

    name: str
    is_active: bool
    is_autostarted: bool
    available_bytes: int | None = None  # pools only


@dataclass(frozen=True, slots=True)
class Seen:
    """What libvirt says of itself."""

    libvirt: tuple[int, int, int]
    qemu: tuple[int, int, int]
    pools: tuple[Named, ...]
    networks: tuple[Named, ...]


def check_host(uri: str, *, pool: str, network: str) -> Iterator[check.Check]:
    """The daemon of libvirt, then what it holds."""
    from estampe.virt import libvirt_connection  # imported here: without libvirt's module the other checks still run

    connection = libvirt_connection.Connection(uri)
    try:
        seen = connection.run("tell what it has", _look)
    except errors.EstampeError as error:
        yield check.fail(
            "libvirt", str(error), fix="apt-get install libvirt-daemon-system\nsystemctl enable --now libvirtd"
        )
        return
    finally:
        connection.close()
    yield check_libvirt(seen, uri=uri)
    yield check_pool(pool, seen.pools, uri=uri)
    yield check_network(network, seen.networks, uri=uri, has_dnsmasq=_has("dnsmasq"))


def check_libvirt(seen: Seen, *, uri: str) -> check.Check:
    """Its version and QEMU's."""
    found = f"{_dotted(seen.libvirt)} with QEMU {_dotted(seen.qemu)} at {uri}"
    if seen.libvirt[:2] < _OLDEST_LIBVIRT:
        tried = ".".join(map(str, _OLDEST_LIBVIRT))
        return check.warn(
            "libvirt", f"{found}; Estampe is tried with {tried} and newer", fix="apt-get install libvirt-daemon-system"
        )
    return check.ok("libvirt", found)


def check_pool(name: str, pools: Sequence[Named], *, uri: str) -> check.Check:
    """The pool where deployed volumes go unless told otherwise."""
    title, virsh = f"storage pool {name}", f"virsh -c {uri}"
    found = next((pool for pool in pools if pool.name == name), None)
    if found is None:
        others = [pool.name for pool in pools if pool.is_active]
        fix = (
            f"{virsh} pool-define-as {name} dir --target {_DEFAULT_POOL_PATH}\n"
            f"{virsh} pool-build {name}\n{virsh} pool-start {name}\n{virsh} pool-autostart {name}"
        )
        if others:
            found_text = f"there is none of that name (active: {', '.join(others)})"
            return check.warn(title, found_text, fix=f"{fix}\nor set default_pool to one of: {', '.join(others)}")
        return check.fail(title, "there is none, and no other: a deploy has nowhere to put volumes", fix=fix)
    if not found.is_active:
        return check.fail(title, "not active", fix=f"{virsh} pool-start {name}\n{virsh} pool-autostart {name}")
    space = units.format_bytes(found.available_bytes or 0)
    if (found.available_bytes or 0) < _LOW_BYTES:
        return check.warn(
            title, f"active, only {space} free", fix=f"free some, or set default_pool; see: {virsh} pool-list --details"
        )
    return check.ok(title, f"active, {space} free")


def check_network(name: str, networks: Sequence[Named], *, uri: str, has_dnsmasq: bool) -> check.Check:
    """The network of deployed servers unless told otherwise. Only a warning: a deploy may name another, or a bridge.

    Without dnsmasq libvirt starts none that hands out addresses, as its own default network does ("Unable to find 'dnsmasq'").
    """
    title, virsh = f"network {name}", f"virsh -c {uri}"
    found = next((network for network in networks if network.name == name), None)
    start = f"{virsh} net-start {name}\n{virsh} net-autostart {name}"
    without = (
        "" if has_dnsmasq else "; dnsmasq is not installed, and libvirt starts no network with DHCP or NAT without"
    )
    if found is None:
        others = [network.name for network in networks if network.is_active]
        define = (
            f"{virsh} net-define {_DEFAULT_NETWORK}\n{start}"
            if name == "default"
            else f"{virsh} net-define FILE\n{start}"
        )
        choose = f"\nor set default_network to one of: {', '.join(others)}" if others else ""
        told = f"there is none of that name: a deploy must say --network{without}"
        return check.warn(title, told, fix=f"{_install_dnsmasq(has_dnsmasq)}{define}{choose}")
    if not found.is_active:
        told = f"not active: a deploy must say --network{without}"
        return check.warn(title, told, fix=f"{_install_dnsmasq(has_dnsmasq)}{start}")
    return check.ok(title, "active")


def _install_dnsmasq(has_dnsmasq: bool) -> str:
    return "" if has_dnsmasq else "apt-get install dnsmasq-base\n"


def check_tpm(*, has_swtpm: bool) -> check.Check:
    """What gives a deployed server an emulated TPM. libvirt asks for both programs (virtpm.c, 9.0)."""
    name = "TPM emulator"
    if has_swtpm:
        return check.ok(name, "swtpm")
    found = "none: servers that had a TPM are deployed without one"
    return check.warn(name, found, fix="apt-get install swtpm swtpm-tools")


def check_acceleration(settings: config.Settings) -> check.Check:
    """KVM, by booting a probe under it: the device node and libvirt's capabilities can lie."""
    from estampe import wiring  # imported here: it loads everything

    name = "KVM"
    if settings.accelerator == "tcg":
        fix = "set accelerator to auto, to use KVM where it works"
        return check.warn(
            name, "not used: the setting accelerator is tcg, so guests run under full emulation (slow)", fix=fix
        )
    try:
        is_usable = wiring.is_kvm_usable(settings)
    except errors.EstampeError as error:
        return check.fail(name, str(error), fix="apt-get install qemu-system-x86")
    if is_usable:
        how = (
            "a probe guest booted"
            if settings.accelerator == "auto"
            else "taken for granted: the setting accelerator is kvm"
        )
        return check.ok(name, how)
    return _no_kvm(name, settings.state_directory)


def _no_kvm(name: str, state_directory: Path) -> check.Check:
    again = f"rm -f {state_directory}/kvm-probe.json; estampe doctor"
    if not Path("/dev/kvm").exists():
        fix = f"turn virtualisation on in the machine's firmware, or nested virtualisation on the host of this machine\nmodprobe kvm_intel || modprobe kvm_amd\n{again}"
        return check.warn(name, "no /dev/kvm: guests run under full emulation (slow)", fix=fix)
    fix = f"in a virtual machine: turn nested virtualisation on for it, on its host\nelse: update the machine's firmware and kernel\n{again}"
    return check.warn(
        name, "/dev/kvm is there but no guest boots with it: guests run under full emulation (slow)", fix=fix
    )


def check_firmware() -> check.Check:
    """UEFI firmware for servers that have it."""
    from estampe.virt import firmware_catalogue

    found = firmware_catalogue.images(platform.machine())
    if not found:
        return check.warn(
            "UEFI firmware", "none: servers with UEFI cannot be deployed here", fix="apt-get install ovmf"
        )
    kinds = "with and without secure boot" if len({image.has_secure_boot for image in found}) > 1 else "there"
    return check.ok("UEFI firmware", f"{kinds} ({found[0].path})")


def _look(connection: Any) -> Seen:
    return Seen(
        libvirt=_version(connection.getLibVersion()),
        qemu=_version(connection.getVersion()),
        pools=tuple(_pool(pool) for pool in connection.listAllStoragePools()),
        networks=tuple(
            Named(net.name(), bool(net.isActive()), bool(net.autostart())) for net in connection.listAllNetworks()
        ),
    )


def _pool(pool: Any) -> Named:
    is_active = bool(pool.isActive())
    _state, _capacity, _allocation, available = pool.info()
    return Named(pool.name(), is_active, bool(pool.autostart()), available if is_active else None)


def _version(number: int) -> tuple[int, int, int]:
    """9000000 is 9.0.0."""
    return number // 1_000_000, number // 1000 % 1000, number % 1000


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def has_swtpm() -> bool:
    """Whether libvirt will find what it emulates a TPM with."""
    return _has("swtpm") and _has("swtpm_setup")


def _has(program: str) -> bool:
    return shutil.which(program, path=_PATH) is not None

"""What any Linux guest keeps that tells of the one server it was, and how it is stripped.

Known by paths, as virt-sysprep(1) and `cloud-init clean` know it. A kind of guest puts its sealing together from these.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from estampe.guest import base


@dataclass(frozen=True, slots=True)
class Removal:
    """Files that may go: nothing in the guest needs them back, or it makes them anew."""

    what: str
    patterns: tuple[str, ...]

    def strip(self, appliance: base.Appliance) -> list[str]:
        """Remove what is there; nothing is said of what was not."""
        found = appliance.glob(*self.patterns)
        for path in found:
            appliance.remove(path)
        return [f"removed {self.what}: {listed(found)}"] if found else []


def strip_all(appliance: base.Appliance, removals: Iterable[Removal]) -> list[str]:
    """Every removal in turn."""
    return [line for removal in removals for line in removal.strip(appliance)]


def listed(paths: Sequence[str]) -> str:
    """`/a, /b and 5 more`: enough to know what it was."""
    shown = ", ".join(paths[:3])
    return shown if len(paths) <= 3 else f"{shown} and {len(paths) - 3} more"


PERSISTENT_NAMES: Final = Removal(
    "interface names bound to the source's MAC addresses",
    (
        "/etc/udev/rules.d/70-persistent-net.rules", "/etc/udev/rules.d/75-persistent-net-generator.rules",
        "/etc/udev/rules.d/70-persistent-cd.rules", "/etc/systemd/network/70-persistent-net.link",
        "/etc/iftab", "/etc/mactab",
    ),
)  # fmt: skip
NETWORK: Final = (
    Removal(
        "DHCP leases and client identifiers",
        (
            "/var/lib/dhcp/*.lease*", "/var/lib/dhclient/*.lease*", "/var/lib/dhcpcd/*", "/etc/dhcpcd.duid", "/etc/dhcpcd.secret",
            "/var/lib/dhcpcd5/*", "/var/lib/NetworkManager/*.lease", "/var/lib/NetworkManager/timestamps",
            "/var/lib/NetworkManager/seen-bssids", "/var/lib/NetworkManager/internal-*", "/var/lib/systemd/network/*",
            "/var/lib/wicked/lease-*", "/var/lib/wicked/duid.xml", "/var/lib/wicked/iaid.xml", "/var/lib/udhcpc/*",
            "/var/lib/dhcp6/*", "/var/lib/dhcpv6/*",
        ),
    ),
    Removal("NetworkManager's secret key", ("/var/lib/NetworkManager/secret_key",)),
    PERSISTENT_NAMES,
)  # fmt: skip

RANDOMNESS: Final = (
    Removal(
        "saved random seeds",
        (
            "/var/lib/systemd/random-seed", "/var/lib/urandom/random-seed", "/var/lib/misc/random-seed",
            "/var/lib/random-seed", "/var/lib/seedrng/*", "/boot/efi/loader/random-seed", "/boot/loader/random-seed",
            "/efi/loader/random-seed",
        ),
    ),
)  # fmt: skip

LEFTOVERS: Final = (
    Removal("the old journals", ("/var/log/journal/*",)),
    Removal("the installer's logs", ("/var/log/installer", "/var/log/anaconda", "/root/anaconda-ks.cfg")),
    Removal("crash dumps", ("/var/crash/*", "/var/lib/systemd/coredump/*", "/var/lib/systemd/pstore/*")),
    Removal("login records", ("/var/lib/wtmpdb/*", "/var/lib/lastlog/*")),
    Removal("what the source's own first boot ran", ("/etc/estampe/*.ran",)),
    Removal("temporary files", ("/tmp/*", "/tmp/.[!.]*", "/var/tmp/*", "/var/tmp/.[!.]*")),  # noqa: S108 - the guest's
    Removal("mail", ("/var/mail/*", "/var/spool/mail/*")),
    Removal(
        "backups of the account files, with earlier password hashes",
        (
            "/etc/passwd-", "/etc/shadow-", "/etc/group-", "/etc/gshadow-", "/etc/subuid-", "/etc/subgid-",
            "/var/backups/passwd.bak", "/var/backups/shadow.bak", "/var/backups/group.bak", "/var/backups/gshadow.bak",
        ),
    ),
)  # fmt: skip


def empty_machine_id(appliance: base.Appliance) -> list[str]:
    """Leave /etc/machine-id there and empty: the next boot makes a new one.

    Not removed, and not "uninitialized": both make systemd take the boot for the very first, and it would then set
    every unit to its vendor's preset, undoing what the source's administrator had enabled and disabled
    (machine-id(5), "First Boot Semantics").
    """
    if not appliance.exists("/etc/machine-id") and not has_systemd(appliance):
        return []
    is_there = appliance.is_file("/etc/machine-id")
    if is_there and not appliance.read("/etc/machine-id").strip():
        lines = []
    elif is_there:
        appliance.truncate("/etc/machine-id")
        lines = ["emptied /etc/machine-id: the next boot makes a new one"]
    else:
        appliance.write("/etc/machine-id", "")
        lines = ["made an empty /etc/machine-id: the next boot fills it"]
    return lines + _remove_dbus_copy(appliance)


def _remove_dbus_copy(appliance: base.Appliance) -> list[str]:
    """A link to /etc/machine-id stays; a copy would win over it. dbus makes it again (tmpfiles.d, or its init script)."""
    copy = "/var/lib/dbus/machine-id"
    if not appliance.exists(copy) or appliance.is_link(copy):
        return []
    appliance.remove(copy)
    return [f"removed {copy}"]


def has_systemd(appliance: base.Appliance) -> bool:
    """Whether systemd is installed."""
    return any(appliance.is_file(path) for path in ("/usr/lib/systemd/systemd", "/lib/systemd/systemd"))


def remove_credential_secret(appliance: base.Appliance) -> base.Stripped:
    """The key of systemd for encrypted credentials, unless some are there that only it opens."""
    secret = "/var/lib/systemd/credential.secret"  # noqa: S105 - a path
    if not appliance.exists(secret):
        return base.Stripped(actions=(), notes=())
    if appliance.glob("/etc/credstore.encrypted/*"):
        note = f"kept {secret}: credentials in /etc/credstore.encrypted need it; every clone has the same"
        return base.Stripped(actions=(), notes=(note,))
    appliance.remove(secret)
    return base.Stripped(actions=(f"removed {secret}: systemd makes a new one",), notes=())


def forget_own_name(appliance: base.Appliance) -> list[str]:
    """Take the source's name for itself out of /etc/hosts: a clone that asks for the source would find itself.

    Only for guests whose first boot writes the new name there. 127.0.1.1 is Debian's place for it (Debian Reference, 5.1.1).
    """
    if not (appliance.is_file("/etc/hosts") and appliance.is_file("/etc/hostname")):
        return []
    own = appliance.read("/etc/hostname").strip().split(".")[0].lower()
    lines = appliance.read("/etc/hosts").splitlines(keepends=True)
    kept = [line for line in lines if not _names_itself(line, own)]
    if not own or len(kept) == len(lines):
        return []
    appliance.write("/etc/hosts", "".join(kept))
    return ["removed the source's own name from /etc/hosts"]


def _names_itself(line: str, own: str) -> bool:
    address, *names = line.split("#", maxsplit=1)[0].split() or [""]
    return address == "127.0.1.1" and any(name.lower().split(".")[0] == own for name in names)


_ADDRESS: Final = re.compile(r"^\s*-?\s*(iface\s+\S+\s+inet6?\s+static|Address\s*=|addresses\s*:)", re.MULTILINE)
_NETWORK_FILES: Final = (
    "/etc/network/interfaces", "/etc/network/interfaces.d/*", "/etc/netplan/*.yaml", "/etc/systemd/network/*.network",
)  # fmt: skip


def note_static_addresses(appliance: base.Appliance) -> list[str]:
    """Configuration that gives every clone the source's own address."""
    files = [path for path in appliance.glob(*_NETWORK_FILES) if appliance.is_file(path)]
    return [
        f"kept {path}: it sets a static address, which every clone will use until it is changed"
        for path in files
        if _ADDRESS.search(appliance.read(path))
    ]


_FOREIGN_IDENTITIES: Final = (
    ("/etc/krb5.keytab", "the Kerberos host key"),
    ("/etc/wireguard/*.conf", "WireGuard keys"),
    ("/etc/salt/pki/minion/minion.pem", "the Salt minion's key"),
    ("/etc/puppetlabs/puppet/ssl/private_keys/*", "the Puppet agent's key"),
    ("/var/lib/puppet/ssl/private_keys/*", "the Puppet agent's key"),
    ("/var/lib/tailscale/tailscaled.state", "the Tailscale node's key"),
    ("/var/lib/zerotier-one/identity.secret", "the ZeroTier node's key"),
    ("/etc/ssl/private/ssl-cert-snakeoil.key", "the self-signed certificate's key"),
    ("/etc/dropbear/dropbear_*_host_key", "dropbear's SSH host keys"),
)


def note_foreign_identities(appliance: base.Appliance) -> list[str]:
    """Keys of other programs: without them these do not start, so they are kept and told."""
    return [
        f"kept {what} ({listed(found)}): every clone has the same"
        for pattern, what in _FOREIGN_IDENTITIES
        if (found := appliance.glob(pattern))
    ]


ACCOUNTS_NOTE: Final = (
    "user accounts, passwords and authorized SSH keys were kept: who could log in to the source can log in to what is "
    "deployed from it"
)

_GROW_PROGRAMS: Final = {
    "ext2": "resize2fs",
    "ext3": "resize2fs",
    "ext4": "resize2fs",
    "xfs": "xfs_growfs",
    "btrfs": "btrfs",
}
_PROGRAM_DIRECTORIES: Final = ("/usr/bin", "/usr/sbin", "/bin", "/sbin")


def has_program(appliance: base.Appliance, name: str) -> bool:
    """Whether a program is in one of the usual directories."""
    return any(appliance.is_file(f"{directory}/{name}") for directory in _PROGRAM_DIRECTORIES)


def can_grow(appliance: base.Appliance, *, root_kind: str) -> bool:
    """Whether the programs are there that grow a partition (growpart calls sfdisk or sgdisk) and a file system of that kind."""
    resizer = _GROW_PROGRAMS.get(root_kind)
    needed = ("growpart", resizer) if resizer else ()
    partitioner = any(has_program(appliance, name) for name in ("sfdisk", "sgdisk"))
    return bool(needed) and partitioner and all(has_program(appliance, name) for name in needed)

"""Sealing a Linux guest, on a guest in memory."""

# ruff: noqa: S108 - temporary files of the guest

import pytest

from estampe import errors
from estampe.guest import kinds, linux_kind, memory, windows_kind
from estampe.model import guest as guests

CLOUD_CFG = """\
datasource_list: [ NoCloud, None ]
cloud_init_modules:
 - growpart
 - [resizefs, always]
 - ssh
"""
SYSTEM = {
    "/etc/passwd": "root:x:0:0::/root:/bin/bash\nd:x:1:1::/usr/sbin:/x\nana:x:1000:1000::/srv/ana:/bin/bash\n"
    "evil:x:1001:1001::/{a,b}:/bin/bash\nbroken\n",
    "/etc/machine-id": "0123456789abcdef0123456789abcdef\n",
    "/usr/lib/systemd/systemd": "elf",
    "/usr/bin/ssh-keygen": "elf",
    "/etc/ssh/sshd_config": "Port 22\n",
    "/etc/ssh/ssh_host_ed25519_key": "secret",
    "/etc/ssh/ssh_host_ed25519_key.pub": "public",
    "/root/.ssh/authorized_keys": "ssh-ed25519 AAAA me",
    "/root/.bash_history": "mysql -psecret",
    "/srv/ana/.python_history": "import os",
    "/etc/shadow": "root:hash",
    "/etc/shadow-": "root:older hash",
    "/var/log/syslog": "lines",
    "/var/log/syslog.1": "older",
    "/var/log/app/x.log-20260101": "older",
    "/var/log/journal/0123/system.journal": "binary",
    "/var/log/wtmp": "binary",
    "/var/lib/dhcp/dhclient.eth0.leases": "lease",
    "/var/lib/systemd/random-seed": "seed",
    "/var/lib/systemd/credential.secret": "key",
    "/var/cache/apt/archives/nginx.deb": "deb",
    "/var/cache/apt/archives/lock": "",
    "/var/lib/apt/lists/mirror.example.org": "list",
    "/tmp/.X0-lock": "1",
    "/tmp/x/y": "1",
    "/var/spool/exim4/input/msg-D": "mail",
    "/etc/udev/rules.d/70-persistent-net.rules": "mac",
    "/etc/hostname": "source\n",
}
CLOUD = {
    "/usr/bin/cloud-init": "py",
    "/etc/cloud/cloud.cfg": CLOUD_CFG,
    "/var/lib/cloud/instances/i-1/user-data.txt": "secret",
    "/var/lib/cloud/seed/nocloud/meta-data": "instance-id: i-1",
    "/var/lib/cloud/scripts/per-boot/mine": "#!/bin/sh",
    "/etc/netplan/50-cloud-init.yaml": "network: {ethernets: {eth0: {addresses: [192.0.2.5/24]}}}",
}
GROW = {"/usr/bin/growpart": "sh", "/sbin/sfdisk": "elf", "/sbin/resize2fs": "elf", "/usr/sbin/qemu-ga": "elf"}
UNIT = "/etc/systemd/system/estampe-identity.service"
JOB = "/etc/estampe/estampe-identity.sh"


def guest(*parts, links=None, without=()):
    files = {path: text for part in (SYSTEM, *parts) for path, text in part.items() if path not in without}
    return memory.MemoryAppliance(files, links=links)


def seal(appliance, **wish):
    return linux_kind.Linux().seal(appliance, guests.SealingWish(**wish))


def facts(appliance, root_kind="ext4"):
    return linux_kind.Linux().facts(appliance, root_kind=root_kind)


def test_what_identifies_the_source_goes_and_the_rest_stays():
    appliance = guest(CLOUD)
    seal(appliance)
    gone = [
        "/etc/ssh/ssh_host_ed25519_key", "/etc/ssh/ssh_host_ed25519_key.pub", "/root/.bash_history", "/srv/ana/.python_history",
        "/etc/shadow-", "/var/log/syslog.1", "/var/log/app/x.log-20260101", "/var/log/journal/0123", "/var/lib/dhcp/dhclient.eth0.leases",
        "/var/lib/systemd/random-seed", "/var/lib/systemd/credential.secret", "/var/cache/apt/archives/nginx.deb", "/tmp/.X0-lock",
        "/tmp/x", "/var/spool/exim4/input/msg-D", "/etc/udev/rules.d/70-persistent-net.rules", "/var/lib/cloud/instances/i-1",
        "/var/lib/cloud/seed/nocloud", "/etc/netplan/50-cloud-init.yaml",
    ]  # fmt: skip
    assert [path for path in gone if appliance.exists(path)] == []
    kept = [
        "/root/.ssh/authorized_keys",
        "/etc/shadow",
        "/var/lib/apt/lists/mirror.example.org",
        "/var/lib/cloud/scripts/per-boot/mine",
    ]
    assert [path for path in kept if not appliance.exists(path)] == []
    assert appliance.read("/etc/hostname") == "source\n"
    for path in ("/tmp", "/var/log/journal", "/var/spool/exim4/input", "/var/lib/dhcp"):
        assert appliance.is_dir(path)
    assert appliance.read("/var/log/syslog") == appliance.read("/var/log/wtmp") == ""


def test_each_thing_done_is_told_in_a_line():
    actions = seal(guest(CLOUD)).actions
    assert "emptied /etc/machine-id: the next boot makes a new one" in actions
    assert any(line.startswith("removed DHCP leases") and "dhclient.eth0.leases" in line for line in actions)
    assert all("\n" not in line for line in actions)


def test_sealing_again_finds_hardly_anything_to_do():
    appliance = guest(CLOUD)
    seal(appliance)
    again = seal(appliance)
    assert again.actions == ("emptied the logs in /var/log (2 files)",)


def test_machine_id_is_left_empty_not_missing_and_not_uninitialized():
    appliance = guest()
    seal(appliance)
    assert appliance.is_file("/etc/machine-id")
    assert appliance.read("/etc/machine-id") == ""


def test_a_missing_machine_id_is_made_empty_so_that_presets_are_not_applied():
    appliance = guest(without=("/etc/machine-id",))
    assert "made an empty /etc/machine-id: the next boot fills it" in seal(appliance).actions
    assert appliance.read("/etc/machine-id") == ""


def test_a_copy_of_the_machine_id_for_dbus_goes_and_a_link_stays():
    copied = guest({"/var/lib/dbus/machine-id": "0123"})
    linked = guest(links={"/var/lib/dbus/machine-id": "/etc/machine-id"})
    seal(copied)
    seal(linked)
    assert not copied.exists("/var/lib/dbus/machine-id")
    assert linked.is_link("/var/lib/dbus/machine-id")


def test_cloud_init_is_left_to_make_host_keys():
    appliance = guest(CLOUD)
    assert any("cloud-init makes new ones" in line for line in seal(appliance).actions)
    assert not appliance.exists(UNIT)


MADE_KEY = "[ -s /etc/ssh/ssh_host_ed25519_key ] || ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key\n"


@pytest.mark.parametrize(
    "cloud",
    [
        {},
        {**CLOUD, "/etc/cloud/cloud-init.disabled": ""},
        {**CLOUD, "/etc/cloud/cloud.cfg.d/99-installer.cfg": "datasource_list: [None]\n"},
        {**CLOUD, "/etc/cloud/cloud.cfg": "datasource_list: [NoCloud]\ncloud_init_modules: [growpart]\n"},
    ],
)
def test_without_a_cloud_init_that_makes_host_keys_a_unit_does(cloud):
    appliance = guest(cloud)
    actions = seal(appliance).actions
    assert f"added {UNIT}: the first boot makes new SSH host keys" in actions
    assert MADE_KEY in appliance.read(JOB)
    assert "Before=ssh.service sshd.service" in appliance.read(
        "/etc/systemd/system/multi-user.target.wants/estampe-identity.service"
    )


@pytest.mark.parametrize(
    "way",
    [
        {"/usr/lib/systemd/system/sshd-keygen@.service": ""},
        {"/usr/lib/systemd/system/sshdgenkeys.service": ""},
        {"/usr/sbin/sshd-gen-keys-start": ""},
        {"/etc/init.d/sshd": "start() { ssh-keygen -A; }"},
    ],
)
def test_host_keys_that_the_guest_makes_by_itself_need_no_unit(way):
    appliance = guest(way)
    actions = seal(appliance).actions
    assert not appliance.exists("/etc/ssh/ssh_host_ed25519_key")
    assert any(line.endswith(f"{next(iter(way))} makes new ones") for line in actions)
    assert not appliance.exists(UNIT)


@pytest.mark.parametrize(
    ("init", "place"),
    [({"/etc/runlevels/default/x": ""}, "/etc/runlevels/default"), ({"/etc/rc3.d/S02ssh": ""}, "/etc/rc3.d")],
)
def test_without_systemd_an_init_script_makes_host_keys(init, place):
    appliance = guest(init, without=("/usr/lib/systemd/systemd",))
    seal(appliance)
    assert [path for path in appliance.glob(f"{place}/*") if path.endswith("estampe-identity")]
    assert MADE_KEY in appliance.read(JOB)


def test_host_keys_are_made_of_the_kinds_that_were_there():
    appliance = guest({"/etc/ssh/ssh_host_rsa_key": "", "/etc/ssh/ssh_host_rsa_key.pub": ""})
    seal(appliance)
    job = appliance.read(JOB)
    assert "-t rsa" in job
    assert "-t ed25519" in job
    assert "ecdsa" not in job


def test_where_no_key_is_of_a_known_kind_ssh_keygen_decides():
    appliance = guest(
        {"/etc/ssh/ssh_host_mldsa_key": ""},
        without=("/etc/ssh/ssh_host_ed25519_key", "/etc/ssh/ssh_host_ed25519_key.pub"),
    )
    seal(appliance)
    assert "ssh-keygen -A\n" in appliance.read(JOB)


def test_host_keys_that_nothing_would_renew_are_kept_and_told():
    appliance = guest(without=("/usr/bin/ssh-keygen",))
    notes = seal(appliance).notes
    assert appliance.exists("/etc/ssh/ssh_host_ed25519_key")
    assert any(line.startswith("kept the SSH host keys") for line in notes)


def test_host_keys_at_other_places_are_told():
    config = {"/etc/ssh/sshd_config": "HostKey /etc/ssh/ssh_host_rsa_key\nHostKey /srv/keys/host\n#HostKey /x\n"}
    assert [line for line in seal(guest(config)).notes if "HostKey" in line or "/srv/keys/host" in line] == [
        "kept SSH host key /srv/keys/host, which sshd's configuration names: every clone has the same"
    ]


def test_the_credential_secret_stays_where_credentials_need_it():
    appliance = guest({"/etc/credstore.encrypted/db": "sealed"})
    notes = seal(appliance).notes
    assert appliance.exists("/var/lib/systemd/credential.secret")
    assert any("credential.secret" in line for line in notes)


def test_network_configuration_that_cloud_init_will_not_write_again_stays():
    off = {"/etc/cloud/cloud.cfg.d/99-off.cfg": "network: {config: disabled}\n"}
    appliance = guest(CLOUD, off)
    notes = seal(appliance).notes
    assert appliance.exists("/etc/netplan/50-cloud-init.yaml")
    assert any("leave the network alone" in line for line in notes)


HOSTS = "127.0.0.1 localhost\n127.0.1.1\tSource.example.org source # me\n127.0.1.1 other\n192.0.2.7 source\n"


@pytest.mark.parametrize(("cloud", "is_forgotten"), [(CLOUD, True), ({}, False)])
def test_the_sources_own_name_leaves_hosts_where_a_seed_brings_the_new_one(cloud, is_forgotten):
    appliance = guest(cloud, {"/etc/hosts": HOSTS})
    seal(appliance)
    assert appliance.read("/etc/hosts") == (
        HOSTS.replace(HOSTS.splitlines(keepends=True)[1], "") if is_forgotten else HOSTS
    )


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/etc/network/interfaces", "auto ens3\niface ens3 inet static\n  address 192.0.2.5/24\n"),
        ("/etc/systemd/network/lan.network", "[Network]\nAddress=192.0.2.5/24\n"),
        ("/etc/netplan/01.yaml", "network:\n  ethernets:\n    ens3:\n      addresses: [192.0.2.5/24]\n"),
    ],
)
def test_a_static_address_of_the_source_is_told(path, text):
    assert any(line.startswith(f"kept {path}: it sets a static address") for line in seal(guest({path: text})).notes)


INITIATOR = "/etc/iscsi/initiatorname.iscsi"
INITIATORS = {INITIATOR: "InitiatorName=iqn.1993-08.org.debian:01:abc\n"}
NVME = {"/etc/nvme/hostnqn": "nqn.2014-08.org.nvmexpress:uuid:1", "/etc/nvme/hostid": "1"}


def test_debians_iscsi_initiator_asks_for_a_new_name():
    appliance = guest(INITIATORS, {"/usr/lib/open-iscsi/startup-checks.sh": ""})
    seal(appliance)
    assert appliance.read(INITIATOR) == "GenerateName=yes\n"


def test_an_iscsi_initiator_is_renewed_by_the_guests_unit_or_by_ours():
    own, ours = (
        guest(INITIATORS, {path: ""}) for path in ("/usr/lib/systemd/system/iscsi-init.service", "/sbin/iscsi-iname")
    )
    seal(own)
    seal(ours)
    assert not own.exists(INITIATOR)
    assert "iscsi-iname" not in own.read(JOB)
    assert not ours.exists(INITIATOR)
    assert f'echo "InitiatorName=$(iscsi-iname)" > {INITIATOR}' in ours.read(JOB)


def test_the_nvme_host_name_is_renewed_where_the_guest_can():
    able, unable = (guest(NVME, {path: "elf"}) for path in ("/usr/sbin/nvme", "/usr/sbin/stafd"))
    seal(able)
    notes = seal(unable).notes
    assert not able.glob("/etc/nvme/*")
    assert "nvme gen-hostnqn > /etc/nvme/hostnqn" in able.read(JOB)
    assert unable.exists("/etc/nvme/hostnqn")
    assert any("NVMe host name" in line for line in notes)


def test_a_name_that_nothing_would_make_again_is_kept_and_told():
    appliance = guest(INITIATORS, {"/usr/sbin/iscsid": "elf"})
    assert any(INITIATOR in line for line in seal(appliance).notes)
    assert appliance.exists(INITIATOR)


def test_names_that_nothing_installed_would_read_are_removed():
    appliance = guest(INITIATORS, NVME)
    done = seal(appliance)
    assert not appliance.glob("/etc/iscsi/*", "/etc/nvme/*")
    assert not any("iSCSI" in line or "NVMe" in line or INITIATOR in line for line in done.notes)


# --- what people wish otherwise --------------------------------------------------------------------------------------------


def test_what_is_to_be_kept_is_kept_and_told():
    keep = ("/etc/machine-id", "/var/log", "/etc/ssh/ssh_host_*", "/tmp/x/y", "/var/cache/apt/archives/*.deb")
    appliance = guest()
    done = seal(appliance, keep=keep)
    for path in ("/var/log/syslog.1", "/etc/ssh/ssh_host_ed25519_key", "/tmp/x/y", "/var/cache/apt/archives/nginx.deb"):
        assert appliance.exists(path)
    assert appliance.read("/etc/machine-id").strip()
    assert appliance.read("/var/log/syslog") == "lines"
    assert not appliance.exists("/tmp/.X0-lock")
    assert any(line.startswith("kept as asked: ") for line in done.notes)
    assert not any("machine-id" in line or "/var/log" in line for line in done.actions)


def test_what_is_to_go_besides_goes_unless_it_is_to_be_kept():
    appliance = guest({"/srv/app/token": "secret", "/srv/app/cache/a": "x", "/srv/app/cache/b": "x"})
    done = seal(appliance, remove=("/srv/app/token", "/srv/app/cache"), keep=("/srv/app/cache/b",))
    assert appliance.files("/srv/app") == ["/srv/app/cache/b"]
    assert any(line.startswith("removed what was asked for: ") for line in done.actions)


def test_logs_behind_an_absolute_link_are_reached():
    appliance = guest({"/data/log/app.log": "lines"}, links={"/var/log/app2": "/data/log"})
    moved = memory.MemoryAppliance({**SYSTEM, "/data/log/syslog.1": "x"}, links={"/var/log2": "/data/log"})
    seal(appliance)
    assert appliance.read("/data/log/app.log") == "lines"  # a link inside /var/log may lead to anything: not followed
    moved.remove("/var/log")
    moved.link("/var/log", "/data/log")
    seal(moved)
    assert not moved.exists("/data/log/syslog.1")


def test_a_machine_id_that_is_no_file_ends_the_sealing():
    appliance = memory.MemoryAppliance({**SYSTEM, "/etc/machine-id": ""})
    appliance.remove("/etc/machine-id")
    appliance.make_directory("/etc/machine-id")
    with pytest.raises(errors.ApplianceFailed, match="/etc/machine-id"):
        seal(appliance)


def test_facts_of_a_cloud_guest():
    found = facts(guest(CLOUD, GROW))
    assert (found.has_cloud_init, found.has_guest_agent, found.can_grow_root) == (True, True, True)
    assert not found.is_network_left_alone


def test_a_cloud_guest_that_is_told_to_leave_its_network_alone():
    off = {"/etc/cloud/cloud.cfg.d/99-off.cfg": "network: {config: disabled}\n"}
    found = facts(guest(CLOUD, off))
    assert (found.has_cloud_init, found.is_network_left_alone) == (True, True)
    assert not facts(guest(off)).is_network_left_alone  # nothing reads a seed there at all


@pytest.mark.parametrize(
    ("appliance", "root_kind"),
    [
        (guest(CLOUD, GROW), "xfs"),
        (guest(CLOUD, GROW), "zfs"),
        (guest(GROW), "ext4"),
        (guest(CLOUD, GROW, without=("/sbin/sfdisk",)), "ext4"),
        (guest(CLOUD, GROW, without=("/usr/bin/growpart",)), "ext4"),
        (guest(CLOUD, GROW, {"/etc/cloud/cloud-init.disabled": ""}), "ext4"),
        (guest(CLOUD, GROW, {"/etc/cloud/cloud.cfg.d/z.cfg": "cloud_init_modules: [ssh]\n"}), "ext4"),
    ],
)
def test_a_root_that_the_first_boot_will_not_grow(appliance, root_kind):
    assert not facts(appliance, root_kind).can_grow_root


@pytest.mark.parametrize(
    "text", ["[", "- a\n- b\n", "datasource_list: 3\ncloud_init_modules: {a: 1}\n", "\0", "&a [*a]\n", "[" * 1500]
)
def test_cloud_configuration_that_makes_no_sense_counts_as_empty(text):
    found = facts(guest(CLOUD, GROW, {"/etc/cloud/cloud.cfg": text}))
    assert found.has_cloud_init
    assert not found.can_grow_root


@pytest.mark.parametrize(
    ("os_type", "distribution", "name"),
    [
        ("linux", "debian", "linux"),
        ("linux", "fedora", "linux"),
        ("linux", "unknown", "linux"),
        ("windows", "windows", "windows"),
        ("freebsd", "freebsd", None),
        ("hurd", "debian", None),
    ],
)
def test_the_kind_is_found_by_what_inspection_says(os_type, distribution, name):
    found = kinds.find(os_type, distribution)
    assert (found.name if found else None) == name


def test_every_familys_package_cache_goes():
    caches = {
        f"/var/cache/{path}": "x"
        for path in ("dnf/a/b.rpm", "yum/x86_64/c.rpm", "zypp/packages/repo/d.rpm", "pacman/pkg/e.zst", "apk/f.apk")
    }
    appliance = guest(caches)
    seal(appliance)
    assert not any(appliance.exists(path) for path in caches)


SHIM = {"/boot/efi/EFI/debian/shimx64.efi": "shim", "/boot/efi/EFI/debian/grubx64.efi": "grub"}


def test_the_boot_loader_is_put_where_firmware_looks_by_itself():
    appliance = guest(SHIM)
    assert any("BOOTX64.EFI" in line for line in seal(appliance).actions)
    assert appliance.read("/boot/efi/EFI/BOOT/BOOTX64.EFI") == "shim"
    assert appliance.read("/boot/efi/EFI/BOOT/grubx64.efi") == "grub"
    assert not any("BOOTX64.EFI" in line for line in seal(appliance).actions)


def test_a_boot_loader_that_is_there_whatever_its_case_stays():
    appliance = guest(SHIM, {"/boot/efi/EFI/Boot/bootx64.efi": "mine"})
    seal(appliance)
    assert appliance.files("/boot/efi/EFI/Boot") == ["/boot/efi/EFI/Boot/bootx64.efi"]
    assert not appliance.exists("/boot/efi/EFI/BOOT")


def test_a_guest_without_a_known_loader_gets_none():
    appliance = guest({"/efi/EFI/other/x.efi": "x"})
    seal(appliance)
    assert not appliance.glob("/efi/EFI/BOOT/*")


HIVE = "/Windows/System32/config/SOFTWARE"
STATE = r"Microsoft\Windows\CurrentVersion\Setup\State\ImageState"


def windows(state):
    return memory.MemoryAppliance({HIVE: "regf", "/secret": "x"}, registry={HIVE: {STATE: state}})


def test_windows_is_sealed_by_its_own_sysprep_or_not_at_all():
    kind = windows_kind.Windows()
    generalised = windows("IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE")
    assert kind.why_not_sealed(generalised) is None
    kind.seal(generalised, guests.SealingWish(remove=("/secret",)))
    assert not generalised.exists("/secret")
    assert "sysprep" in (kind.why_not_sealed(windows("IMAGE_STATE_COMPLETE")) or "")

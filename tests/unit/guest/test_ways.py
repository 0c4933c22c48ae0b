"""How guests of many kinds go about things, by their files in memory."""

import pytest

from estampe.guest import base, kinds, memory, ways

SYSTEMD = {"/usr/lib/systemd/systemd": ""}
SYSTEMD_LINKS = {"/sbin/init": "/usr/lib/systemd/systemd"}
WANTS = "/etc/systemd/system/multi-user.target.wants"
SOFTWARE = "/WINDOWS/system32/config/software"
STATE = r"Microsoft\Windows\CurrentVersion\Setup\State\ImageState"


def read(files=(), links=None, *, kind="linux", is_uefi=False, registry=None):
    made = files if isinstance(files, dict) else dict.fromkeys(files, "")
    return ways.read(memory.MemoryAppliance(made, links=links, registry=registry), kind, is_uefi=is_uefi)


@pytest.mark.parametrize(
    ("files", "is_uefi", "boot_loader"),
    [
        (["/boot/grub/i386-pc/normal.mod"], False, "grub-pc"),
        (["/boot/grub2/i386-pc/normal.mod"], False, "grub-pc"),
        (["/boot/efi/EFI/debian/grubx64.efi"], True, "grub-efi"),
        (["/boot/grub/i386-pc/normal.mod", "/boot/grub/x86_64-efi/normal.mod"], False, "grub-pc"),
        (["/boot/grub/i386-pc/normal.mod", "/boot/grub/x86_64-efi/normal.mod"], True, "grub-efi"),
        (["/boot/grub/arm64-efi/normal.mod"], False, "grub-efi"),  # the only one that is there
        (["/efi/EFI/systemd/systemd-bootx64.efi", "/boot/grub/x86_64-efi/normal.mod"], True, "systemd-boot"),
        (["/boot/extlinux.conf"], False, "extlinux"),
        ([], True, "unknown"),
    ],
)
def test_the_boot_loader_is_the_one_that_the_firmware_starts(files, is_uefi, boot_loader):
    assert read(files, is_uefi=is_uefi).boot_loader == boot_loader


@pytest.mark.parametrize(
    ("files", "links", "init"),
    [
        (SYSTEMD, SYSTEMD_LINKS, "systemd"),
        (SYSTEMD, {}, "systemd"),
        ({**SYSTEMD, "/sbin/init": "", "/etc/inittab": ""}, {}, "sysvinit"),  # systemd is installed beside it
        ({"/sbin/init": "", "/etc/inittab": ""}, {}, "sysvinit"),
        ({"/sbin/openrc": "", "/bin/busybox": ""}, {"/sbin/init": "/bin/busybox"}, "openrc"),
        ({"/bin/busybox": ""}, {"/sbin/init": "/bin/busybox"}, "busybox"),
        ({"/usr/bin/runit": ""}, {"/sbin/init": "/usr/bin/runit-init"}, "runit"),
        ({}, {}, "unknown"),
    ],
)
def test_the_init_is_what_process_1_runs(files, links, init):
    assert read(files, links).init == init


@pytest.mark.parametrize(
    ("files", "network"),
    [
        ({"/usr/sbin/netplan": ""}, "netplan"),
        ({"/etc/netplan/50-cloud-init.yaml": ""}, "netplan"),
        ({"/etc/network/interfaces": "auto lo\niface lo inet loopback\n", "/sbin/ifup": ""}, "ifupdown"),
        (
            {
                "/etc/network/interfaces": "source interfaces.d/*\n", "/sbin/ifup": "",
                "/etc/network/interfaces.d/eth0": " iface eth0 inet dhcp\n", f"{WANTS}/NetworkManager.service": "",
            },
            "ifupdown",
        ),
        (
            {
                "/etc/network/interfaces": "iface lo inet loopback\n", "/sbin/ifup": "",
                f"{WANTS}/NetworkManager.service": "",
            },
            "network-manager",
        ),
        ({f"{WANTS}/systemd-networkd.service": ""}, "systemd-networkd"),
        ({"/etc/systemd/system/dbus-org.freedesktop.network1.service": ""}, "systemd-networkd"),
        ({"/etc/sysconfig/network-scripts/ifcfg-eth0": "", f"{WANTS}/NetworkManager.service": ""}, "ifcfg"),
        ({"/usr/sbin/wicked": "", "/etc/sysconfig/network/ifcfg-eth0": ""}, "wicked"),
        ({"/usr/sbin/NetworkManager": ""}, "network-manager"),
        ({"/etc/network/interfaces": "iface eth0 inet dhcp"}, "unknown"),  # nothing reads it
        ({}, "unknown"),
    ],
)  # fmt: skip
def test_the_network_is_set_by_what_has_its_files_and_its_program(files, network):
    assert read(files).network == network


def test_a_linux_tells_its_seed_reader_and_agent():
    found = read(["/usr/bin/cloud-init", "/usr/sbin/qemu-ga"])
    assert (found.seed_reader, found.has_guest_agent, found.is_generalised) == ("cloud-init", True, None)
    assert read(["/usr/bin/cloud-init", "/etc/cloud/cloud-init.disabled"]).seed_reader is None


def test_a_freebsd_reads_seeds_where_nuageinit_is_there_and_enabled():
    files = {"/etc/rc.conf": 'hostname="x"\nnuageinit_enable="YES"\n', "/usr/libexec/nuageinit": "", "/boot/loader": ""}
    assert read(files, kind="freebsd") == base.Ways(
        boot_loader="loader", network="rc.conf", seed_reader="nuageinit", init="rc"
    )
    assert read(files | {"/etc/rc.conf": 'nuageinit_enable="NO"\n'}, kind="freebsd").seed_reader is None


@pytest.mark.parametrize(
    ("state", "is_generalised"),
    [
        ("IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE", True),
        ("IMAGE_STATE_GENERALIZE_RESEAL_TO_AUDIT", True),
        ("IMAGE_STATE_SPECIALIZE_RESEAL_TO_OOBE", False),
        ("IMAGE_STATE_COMPLETE", False),
    ],
)
def test_a_windows_is_generalised_where_its_registry_says_so(state, is_generalised):
    found = read(kind="windows", registry={SOFTWARE: {STATE: state}})
    assert found.is_generalised is is_generalised
    assert (found.boot_loader, found.network, found.init) == ("bootmgr", "windows", "windows")


def test_a_windows_whose_registry_says_nothing_is_not_told():
    assert read(kind="windows", registry={SOFTWARE: {}}).is_generalised is None
    assert read(kind="windows").is_generalised is None


def test_a_windows_tells_its_programs_whatever_the_case_of_their_names():
    files = [
        "/program files/qemu-GA/qemu-ga.exe",
        "/Program Files/Cloudbase Solutions/Cloudbase-Init/Python/Scripts/cloudbase-init.exe",
    ]
    found = read(files, kind="windows")
    assert (found.seed_reader, found.has_guest_agent) == ("cloudbase-init", True)


def test_of_what_is_not_known_nothing_is_said():
    assert read(kind="hurd") == ways.UNKNOWN


def test_every_linux_tells_the_same_facts_and_a_guest_of_no_kind_none():
    files = {"/usr/bin/cloud-init": "", "/usr/bin/qemu-ga": "", "/etc/cloud/cloud.cfg": "datasource_list: [NoCloud]"}
    facts = kinds.facts(kinds.find("linux", "unknown"), memory.MemoryAppliance(files), root_kind="xfs")
    assert (facts.has_cloud_init, facts.has_guest_agent, facts.can_grow_root) == (True, True, False)
    nothing = kinds.facts(None, memory.MemoryAppliance(files), root_kind="ntfs")
    assert nothing == base.Facts(has_cloud_init=False, has_guest_agent=False, can_grow_root=False)

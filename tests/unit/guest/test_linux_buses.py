"""What is known of the buses that a guest in memory starts from."""

import pytest

from estampe.guest import linux_buses, linux_kind, memory

MODULES = "/lib/modules/6.1.0-1-amd64"
GUEST = {
    "/boot/vmlinuz-6.1.0-1-amd64": "kernel",
    "/boot/grub/grub.cfg": "linux /boot/vmlinuz-6.1.0-1-amd64 root=UUID=1234 ro\n",
    "/etc/fstab": "# /dev/vda1 was here\nUUID=1234 / ext4 defaults 0 1\n",
    "/etc/initramfs-tools/initramfs.conf": "# MODULES: most, netboot, dep or list\nMODULES=most\n",
    f"{MODULES}/kernel/drivers/block/virtio_blk.ko": "elf",
    f"{MODULES}/kernel/drivers/scsi/virtio_scsi.ko.zst": "elf",
    f"{MODULES}/modules.builtin": "kernel/drivers/scsi/sd_mod.ko\n",
}


def known(*without: str, **files: str) -> tuple[str, ...]:
    changed = {path: text for path, text in GUEST.items() if path not in without} | files
    return linux_buses.known(memory.MemoryAppliance(changed))


def test_a_guest_with_all_drivers_and_names_of_its_own_starts_from_both():
    assert known() == ("virtio-blk", "virtio-scsi")
    facts = linux_kind.Linux().facts(memory.MemoryAppliance(GUEST), root_kind="ext4")
    assert facts.volume_buses == ("virtio-blk", "virtio-scsi")


def test_a_bus_without_its_driver_is_not_known():
    assert known(f"{MODULES}/kernel/drivers/scsi/virtio_scsi.ko.zst") == ("virtio-blk",)
    assert known(f"{MODULES}/modules.builtin") == ("virtio-blk",)


def test_every_kernel_must_have_the_driver():
    assert known(**{"/boot/vmlinuz-6.6.0-1-amd64": "kernel"}) == ()


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/etc/fstab", "/dev/vda1 / ext4 defaults 0 1\n"),
        ("/etc/fstab", "UUID=1 / ext4 defaults 0 1\n/dev/sdb1 none swap sw 0 0\n"),
        ("/etc/crypttab", "secret /dev/vdb none luks\n"),
        ("/boot/grub/grub.cfg", "linux /vmlinuz root=/dev/vda1 ro\n"),
        ("/etc/initramfs-tools/initramfs.conf", "MODULES=dep\n"),
        ("/etc/initramfs-tools/conf.d/driver-policy", "MODULES=dep\n"),
        ("/etc/initramfs-tools/initramfs.conf", "nothing is said\n"),
    ],
)
def test_a_guest_that_another_bus_may_stop_is_not_known(path, text):
    assert known(**{path: text}) == ()


def test_drivers_that_are_listed_are_in_a_small_initramfs_too():
    small = {"/etc/initramfs-tools/conf.d/guest": "MODULES=list\n"}
    assert known(**small, **{"/etc/initramfs-tools/modules": "# mine\nvirtio_blk\n"}) == ("virtio-blk",)
    both = {"/usr/share/initramfs-tools/modules.d/guest": "virtio_blk\nvirtio_scsi\n"}
    assert known(**small, **both) == ("virtio-blk", "virtio-scsi")


def test_a_guest_of_another_kind_of_initramfs_is_not_known():
    assert known("/etc/initramfs-tools/initramfs.conf", **{"/etc/initramfs-tools/modules": "virtio_blk\n"}) == ()
    assert known("/boot/vmlinuz-6.1.0-1-amd64") == ()

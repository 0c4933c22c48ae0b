"""Lines put into a guest's fstab, and taken out of it."""

from estampe.guest import fstab, memory
from estampe.model import adjustment

FSTAB = """# made by the installer
UUID=aaaa / ext4 errors=remount-ro 0 1
UUID="bbbb" /home ext4 defaults 0 2
LABEL=data /srv xfs defaults 0 0
/dev/disk/by-uuid/cccc none swap sw 0 0
/dev/vdc1 /old ext4 defaults 0 2
  #/dev/vdb1 /home ext4 defaults
nonsense
tmpfs /tmp tmpfs defaults 0 0
"""


def gone(**what):
    return adjustment.ForgetMounts(**{"uuids": (), "labels": (), "mount_points": (), **what})


def test_a_new_file_system_is_mounted_and_does_not_keep_the_guest_from_booting():
    guest = memory.MemoryAppliance({"/etc/fstab": "UUID=aaaa / ext4 defaults 0 1"})
    fstab.add(guest, uuid="dddd", kind="ext4", mount_point="/srv/data")
    fstab.add(guest, uuid="eeee", kind="swap", mount_point=None)
    fstab.add(guest, uuid="ffff", kind="xfs", mount_point="/var/log")
    assert guest.read("/etc/fstab").splitlines() == [
        "UUID=aaaa / ext4 defaults 0 1",
        "UUID=dddd /srv/data ext4 defaults,nofail 0 2",
        "UUID=eeee none swap sw,nofail 0 0",
        "UUID=ffff /var/log xfs defaults,nofail 0 0",
    ]
    assert guest.is_dir("/srv/data")


def test_a_guest_without_an_fstab_gets_one():
    guest = memory.MemoryAppliance({"/etc/hostname": "web"})
    fstab.add(guest, uuid="dddd", kind="ext4", mount_point="/srv")
    assert guest.read("/etc/fstab") == "UUID=dddd /srv ext4 defaults,nofail 0 2\n"


def test_what_is_gone_is_commented_out_however_it_was_named_and_all_else_stays():
    guest = memory.MemoryAppliance({"/etc/fstab": FSTAB})
    count = fstab.forget(guest, gone(uuids=("bbbb", "cccc"), labels=("data",), mount_points=("/home", "/srv", "/old")))
    assert count == 4
    before, after = FSTAB.splitlines(), guest.read("/etc/fstab").splitlines()
    changed = {nth: line for nth, line in enumerate(after) if line != before[nth]}
    assert changed == {nth: f"# not on this server: {before[nth]}" for nth in (2, 3, 4, 5)}


def test_nothing_gone_and_nothing_there_change_nothing():
    guest = memory.MemoryAppliance({"/etc/fstab": FSTAB})
    assert fstab.forget(guest, gone()) == 0
    assert guest.read("/etc/fstab") == FSTAB
    assert fstab.forget(memory.MemoryAppliance({"/etc/hostname": "web"}), gone(uuids=("bbbb",))) == 0

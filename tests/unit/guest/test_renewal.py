"""Which identifiers of a guest's volumes are renewed, what follows them, and why one must stay: on guests in memory."""

import pytest
from backports import zstd
from tests.support import cpio

from estampe.guest import boot_files, identifiers, memory, renewal
from estampe.guest.identifiers import Identifier, Sort

ROOT, SWAP = "aaaaaaaa-0000-4000-8000-00000000000a", "aaaaaaaa-0000-4000-8000-00000000000b"
NEW_ROOT, NEW_SWAP = "bbbbbbbb-0000-4000-8000-00000000000a", "bbbbbbbb-0000-4000-8000-00000000000b"
GRUB = f"search --fs-uuid --set=root {ROOT}\nlinux /vmlinuz root=UUID={ROOT} ro\n"
FILES = {
    "/etc/fstab": f"UUID={ROOT} / ext4 defaults 0 1\n/dev/disk/by-uuid/{SWAP} none swap sw 0 0\n",
    "/etc/hostname": "web\n",
    "/boot/grub/grub.cfg": GRUB,
}


def content(name, kind, old):
    return Identifier(sort=Sort.CONTENT, name=name, kind=kind, old=old)


root, swap = content("vda1", "ext4", ROOT), content("vda2", "swap", SWAP)
group = Identifier(sort=Sort.GROUP, name="vg0", kind="LVM2", old="fmQ0aV-1Ehs-Adco-6aFt-jUQn-9dVs-oNEm7h")
signature = Identifier(sort=Sort.TABLE, name="vda", kind="mbr", old="1234abcd", target="vda")


def guest(files=None, **links):
    return memory.MemoryAppliance(FILES | (files or {}), links=links)


def with_bytes(appliance, path, data):
    appliance.make_directory(path.rpartition("/")[0])
    appliance.write(path, "")
    appliance.write_bytes(path, data)
    return appliance


def plan(appliance, *present, **known):
    return renewal.plan(appliance, renewal.Found(present=present or (root, swap), **known))


def program(config, *, is_signed=False):
    """An EFI program as GRUB makes it, with its configuration inside."""
    head = bytearray(0x200)
    head[0x3C] = 0x80
    head[0x80:0x84], head[0x98:0x9A] = b"PE\0\0", b"\x0b\x02"
    head[0x98 + 112 + 32] = is_signed
    return bytes(head) + config.encode()


def image(uuid, *, name="conf/conf.d/zz-resume-auto", compress=zstd.compress):
    early = cpio.archive({"kernel/x86/microcode/AuthenticAMD.bin": b"m"})
    main = cpio.archive({name: f"RESUME=UUID={uuid}\n".encode(), "init": b"#!/bin/sh\n"})
    return early + bytes(-len(early) % 512) + compress(main)


def test_whatever_names_them_is_found_and_follows():
    escaped = ROOT.replace("-", r"\x2d")
    appliance = guest({
        "/etc/crypttab": f"data UUID={SWAP.upper()} none\n",
        "/etc/default/grub": f'GRUB_CMDLINE_LINUX="resume=UUID={SWAP}"\n',
        "/etc/kernel/cmdline": f"root=UUID={ROOT}\n",
        "/etc/systemd/system/a.service": f"[Unit]\nAfter=dev-disk-by\\x2duuid-{escaped}.device\n",
        "/boot/grub/grubenv": f"kernelopts=root=UUID={ROOT}\n",
        "/boot/loader/entries/a.conf": f"options root=UUID={ROOT}\n",
        "/boot/efi/EFI/debian/grub.cfg": f"search.fs_uuid {ROOT} root\n",
        "/boot/extlinux/extlinux.conf": f"append root=UUID={ROOT}\n",
    })  # fmt: skip
    made = plan(appliance)
    assert (made.renewed, made.left) == ([root, swap], {})
    changed = renewal.rewrite(appliance, made, identifiers.Exchange([(root, NEW_ROOT), (swap, NEW_SWAP)]))
    assert len(changed) == 10
    assert appliance.read("/etc/fstab") == FILES["/etc/fstab"].replace(ROOT, NEW_ROOT).replace(SWAP, NEW_SWAP)
    assert appliance.read("/etc/crypttab") == f"data UUID={NEW_SWAP.upper()} none\n"
    assert appliance.read("/boot/grub/grub.cfg") == GRUB.replace(ROOT, NEW_ROOT)
    assert NEW_ROOT.replace("-", r"\x2d") in appliance.read("/etc/systemd/system/a.service")
    assert all(ROOT not in appliance.read(path) for path in changed)
    assert plan(appliance).files == set()


def test_what_the_tool_refused_keeps_its_name_in_the_files():
    appliance = guest()
    made = plan(appliance)
    made.leave([swap], "its tool refuses")
    renewal.rewrite(appliance, made, identifiers.Exchange([(root, NEW_ROOT)]))
    assert SWAP in appliance.read("/etc/fstab")


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({"/boot/grub/i386-pc/load.cfg": f"search.fs_uuid {ROOT} root\n"}, "GRUB's image"),
        ({rf"/etc/systemd/system/dev-disk-by\x2duuid-{ROOT}.swap": "[Swap]\n"}, "the name of"),
    ],
)
def test_a_root_that_something_names_which_cannot_change_stays(files, why):
    made = plan(guest(files))
    assert made.renewed == [swap]
    assert why in made.left[root]


def test_a_link_that_names_one_keeps_it():
    made = plan(guest(**{"/etc/root-device": f"/dev/disk/by-uuid/{ROOT}"}))
    assert made.renewed == [swap]
    assert made.left[root] == "the link /etc/root-device names it"


def test_a_unified_kernel_image_keeps_everything():
    made = plan(guest({"/boot/efi/EFI/Linux/debian.efi": "kernel"}))
    assert made.renewed == []
    assert "holds the kernel's command line" in made.left[swap]


def test_without_a_known_boot_loader_everything_stays():
    appliance = guest()
    appliance.remove("/boot/grub/grub.cfg")
    assert "no configuration of a boot loader" in plan(appliance).left[root]


def test_what_is_known_before_stays_with_its_reason():
    made = plan(guest(), kept={swap: "it is encrypted"})
    assert (made.renewed, made.left) == ([root], {swap: "it is encrypted"})
    assert plan(guest(), why_not="not seen").left == {root: "not seen", swap: "not seen"}


def test_grubs_efi_program_follows_unless_it_is_signed():
    config = f"search.fs_uuid {ROOT} root\n"
    appliance = with_bytes(guest(), "/boot/efi/EFI/debian/grubx64.efi", program(config))
    made = plan(appliance)
    renewal.rewrite(appliance, made, identifiers.Exchange([(root, NEW_ROOT)]))
    assert appliance.read_bytes("/boot/efi/EFI/debian/grubx64.efi") == program(config.replace(ROOT, NEW_ROOT))
    signed = with_bytes(guest(), "/boot/efi/EFI/debian/grubx64.efi", program(config, is_signed=True))
    assert "is signed" in plan(signed).left[root]


def test_a_group_that_grub_for_bios_finds_boot_by_stays():
    appliance = guest({"/boot/grub/i386-pc/normal.mod": ""})
    assert "GRUB's image" in plan(appliance, root, group, boot_group="vg0").left[group]
    assert plan(appliance, root, group).renewed == [root, group]
    efi = guest({"/boot/grub/x86_64-efi/normal.mod": ""})
    assert plan(efi, root, group, boot_group="vg0").renewed == [root, group]


def test_lvms_files_follow_with_and_without_hyphens():
    new = identifiers.make(group)
    plain, other = (each.old.replace("-", "") for each in (group, group))
    appliance = guest(
        {"/etc/lvm/devices/system.devices": f"PVID={plain}\n", "/etc/a": f"/dev/disk/by-id/dm-uuid-LVM-{other}x\n"}
    )
    made = plan(appliance, group)
    renewal.rewrite(appliance, made, identifiers.Exchange([(group, new)]))
    assert appliance.read("/etc/lvm/devices/system.devices") == f"PVID={new.replace('-', '')}\n"
    assert appliance.read("/etc/a") == f"/dev/disk/by-id/dm-uuid-LVM-{new.replace('-', '')}x\n"


def test_a_signature_is_renewed_in_the_names_of_its_partitions_alone():
    text = "PARTUUID=1234abcd-02 / ext4\n# 1234abcd-02f and 01234abcd-02 and 1234abcd are others\n"
    appliance = guest({"/etc/fstab": text})
    made = plan(appliance, signature)
    renewal.rewrite(appliance, made, identifiers.Exchange([(signature, "feedf00d")]))
    assert appliance.read("/etc/fstab") == text.replace("=1234abcd-02", "=feedf00d-02")


def test_a_short_one_is_not_taken_out_of_a_longer_word():
    esp = content("vda1", "vfat", "ABCD-1234")
    appliance = guest({"/etc/fstab": "UUID=ABCD-1234 /boot/efi vfat\n#XABCD-1234 ABCD-12345\n"})
    made = plan(appliance, esp)
    renewal.rewrite(appliance, made, identifiers.Exchange([(esp, "FEED-F00D")]))
    assert appliance.read("/etc/fstab") == "UUID=FEED-F00D /boot/efi vfat\n#XABCD-1234 ABCD-12345\n"


# --- initramfs --------------------------------------------------------------------------------------------------------------


def test_an_initramfs_that_names_one_is_made_anew():
    appliance = with_bytes(guest(), "/boot/initrd.img-6.1", image(SWAP))
    made = plan(appliance)
    assert made.images == {"/boot/initrd.img-6.1"}
    renewal.rewrite(appliance, made, identifiers.Exchange([(swap, NEW_SWAP)]))
    assert appliance.read_bytes("/boot/initrd.img-6.1") == image(
        NEW_SWAP, compress=lambda plain: zstd.compress(plain, 9)
    )


def test_one_that_names_none_is_left_alone():
    appliance = with_bytes(guest(), "/boot/initrd.img-6.1", image(NEW_SWAP))
    assert plan(appliance).images == set()


def test_one_that_cannot_be_looked_into_keeps_everything():
    lzop = b"\x89LZO\x00\r\n\x1a\n"
    made = plan(with_bytes(guest(), "/boot/initrd.img-5.4", lzop))
    assert made.renewed == []
    assert made.left[root] == "/boot/initrd.img-5.4 may name it: it is compressed in a way that Estampe does not know"


def test_one_with_no_room_beside_it_keeps_what_it_names():
    appliance = with_bytes(guest(), "/boot/initrd.img-6.1", image(SWAP))
    appliance.room_bytes = 0
    made = plan(appliance)
    assert made.renewed == [root]
    assert "no room" in made.left[swap]


# --- forms ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "identifier",
    [root, swap, group, signature, content("vda1", "vfat", "ABCD-1234"), content("vdb", "ntfs", "01D2E3F4A5B6C7D8")],
)
def test_a_new_one_has_the_form_of_the_old_one_in_every_writing(identifier):
    new = identifiers.make(identifier)
    assert new != identifier.old
    pairs = zip(identifiers.forms(identifier, identifier.old), identifiers.forms(identifier, new), strict=True)
    assert all(len(old) == len(made) and old != made for old, made in pairs)


def test_a_program_that_is_none_is_told():
    with pytest.raises(Exception, match="no EFI program"):
        boot_files.is_signed(b"MZ" + bytes(200))

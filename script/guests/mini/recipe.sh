# shellcheck shell=bash
# A guest that boots in seconds: the host's own kernel package and busybox in an initramfs; see `init` for its flags.
# Its volume boots from BIOS (syslinux) and from UEFI (GRUB):
#
#   | MBR | 1 MiB: FAT16, 28 MiB, boot loaders + kernel + initramfs | 29 MiB: ext4 "data", 4 MiB, the file `message` |

readonly mini_boot_mib=28 mini_data_mib=4
# shellcheck disable=SC2034  # build-guest reads it
readonly mini_parts="disk=disk.raw kernel=vmlinuz initrd=initrd.gz"
readonly mini_arguments="console=ttyS0 quiet mitigations=off init_on_alloc=0 tsc=reliable no_timer_check rcupdate.rcu_expedited=1"
# What init loads; modprobe adds what these need.
readonly mini_modules=(virtio_pci virtio_blk virtio_scsi sd_mod virtio_console button evdev)

# The newest kernel of the host that has its modules with it.
mini_kernel() {
  local kernel
  for kernel in $(printf '%s\n' /boot/vmlinuz-* | sort -rV); do
    [[ -r $kernel && -d /lib/modules/${kernel#/boot/vmlinuz-}/kernel ]] && echo "$kernel" && return
  done
  die "no readable kernel in /boot: run script/setup"
}

mini_key() { sha256sum "$(mini_kernel)" /bin/busybox; }

mini_build() {
  local out=$1 recipe kernel
  recipe=$(dirname "${BASH_SOURCE[0]}")
  kernel=$(mini_kernel)
  cp "$kernel" "$out/vmlinuz"
  mini_initramfs "$recipe" "$out" "${kernel#/boot/vmlinuz-}"
  mini_boot "$out"
  mini_data "$out"
  mini_volume "$out"
  rm -rf "$out"/{root,data,boot.img,data.img,grub.cfg,grubx64.efi,syslinux.cfg}
}

mini_initramfs() {
  local recipe=$1 out=$2 release=$3 root=$2/root file
  mkdir -p "$root"/{bin,dev} "$root/lib/modules/$release"
  install -m 0755 /bin/busybox "$root/bin/"
  ln -s busybox "$root/bin/sh"
  install -m 0755 "$recipe"/{init,stop,agent} "$root/"
  cp "/lib/modules/$release"/modules.{order,builtin,builtin.modinfo} "$root/lib/modules/$release/"
  # --show-depends prints "insmod PATH", or "builtin NAME".
  for file in $(modprobe --set-version "$release" --all --show-depends "${mini_modules[@]}" | sed -n 's/^insmod //p' | sort -u); do
    install -D -m 0644 "$file" "$root$file"
  done
  depmod --basedir "$root" "$release"
  # The kernel opens /dev/console before init can mount anything.
  mknod "$root/dev/console" c 5 1
  (cd "$root" && find . -print0 | sort -z | cpio --null --create --format=newc --owner=0:0 --reproducible --quiet) |
    gzip -9n >"$out/initrd.gz"
}

mini_boot() {
  local out=$1 image=$1/boot.img
  cat >"$out/syslinux.cfg" <<CFG
DEFAULT mini
PROMPT 0
LABEL mini
  LINUX /vmlinuz
  INITRD /initrd.gz
  APPEND $mini_arguments
CFG
  cat >"$out/grub.cfg" <<CFG
search --no-floppy --file --set=root /vmlinuz
linux /vmlinuz $mini_arguments
initrd /initrd.gz
boot
CFG
  grub-mkimage --format=x86_64-efi --prefix=/ --config="$out/grub.cfg" --output="$out/grubx64.efi" \
    part_msdos fat search search_fs_file linux
  truncate --size="${mini_boot_mib}M" "$image"
  mkfs.vfat -F 16 -n MINI "$image" >/dev/null
  mmd -i "$image" ::EFI ::EFI/BOOT
  mcopy -i "$image" "$out/grubx64.efi" ::EFI/BOOT/BOOTX64.EFI
  mcopy -i "$image" "$out"/{vmlinuz,initrd.gz,syslinux.cfg} ::
  # Works on the unmounted image, through mtools.
  syslinux --install "$image"
}

mini_data() {
  local out=$1
  mkdir "$out/data"
  echo "engrave once, print many times" >"$out/data/message"
  truncate --size="${mini_data_mib}M" "$out/data.img"
  mke2fs -q -t ext4 -L data -d "$out/data" "$out/data.img"
}

mini_volume() {
  local out=$1 raw=$1/disk.raw
  truncate --size="$((1 + mini_boot_mib + mini_data_mib))M" "$raw"
  # Type ef (EFI system) for UEFI, the active flag for the BIOS loader in the MBR.
  sfdisk --quiet "$raw" <<TABLE
label: dos
start=1MiB, size=${mini_boot_mib}MiB, type=ef, bootable
start=$((1 + mini_boot_mib))MiB, type=83
TABLE
  dd if=/usr/lib/syslinux/mbr/mbr.bin of="$raw" bs=440 count=1 conv=notrunc status=none
  dd if="$out/boot.img" of="$raw" bs=1M seek=1 conv=sparse,notrunc status=none
  dd if="$out/data.img" of="$raw" bs=1M seek=$((1 + mini_boot_mib)) conv=sparse,notrunc status=none
}

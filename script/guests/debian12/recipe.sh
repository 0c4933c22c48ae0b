# shellcheck shell=bash
# Debian 12 as a server: UEFI, GPT, GRUB, cloud-init, guest agent. Built without loop devices, in user space:
#
#   | GPT | 1 MiB: ESP, FAT32, 64 MiB | ext4 root, up to the last usable sector | backup GPT |
#
# Root comes last so that a larger volume can be used by growing one partition.

readonly debian12_size_mib=2048 debian12_esp_mib=64
# shellcheck disable=SC2034  # build-guest reads it
readonly debian12_parts="disk=disk.qcow2"
# shellcheck source-path=SCRIPTDIR source=../debian.sh
. "$(dirname "${BASH_SOURCE[0]}")/../debian.sh"

debian12_key() { debian_key; }

# Beside debian_masked: what this one has and a test does not need.
readonly debian12_masked=(
  cloud-init-hotplugd.socket
  cloud-config.service # its modules run one stage earlier, see cloud.cfg.d/90-guest.cfg: a Python start less
)

# debian12_build DIRECTORY: leave the finished files in DIRECTORY.
debian12_build() {
  local out=$1 recipe root uuid_root uuid_esp
  recipe=$(dirname "${BASH_SOURCE[0]}")
  root=$out/root
  uuid_root=$(cat /proc/sys/kernel/random/uuid)
  uuid_esp=$(od -An -N4 -tx4 /dev/urandom | tr -d ' ' | tr '[:lower:]' '[:upper:]')

  debian_install "$recipe" "$root"
  debian12_configure "$root" "$uuid_root" "${uuid_esp:0:4}-${uuid_esp:4}"
  debian12_esp "$root" "$out/esp.img" "$uuid_root" "$uuid_esp"
  debian12_volume "$out" "$uuid_root"
  rm -rf "$root" "$out/esp.img" "$out/disk.raw"
}

debian12_configure() {
  local root=$1 uuid_root=$2 esp_id=$3
  cat >"$root/etc/fstab" <<FSTAB
UUID=$uuid_root / ext4 errors=remount-ro 0 0
UUID=$esp_id /boot/efi vfat umask=0077 0 0
FSTAB
  mkdir -p "$root/boot/efi"
  echo debian12 >"$root/etc/hostname"
  chmod 0644 "$root/etc/hostname"
  printf '127.0.0.1\tlocalhost\n127.0.1.1\tdebian12\n' >"$root/etc/hosts"
  debian_anonymise "$root" # cloud-init makes the host keys
  chroot "$root" systemctl --quiet enable systemd-networkd.service
  chroot "$root" systemctl --quiet mask "${debian_masked[@]}" "${debian12_masked[@]}"
  # So that grub-install in the guest also refreshes the path that firmware finds without a boot entry.
  echo 'grub-efi-amd64 grub2/force_efi_extra_removable boolean true' | chroot "$root" debconf-set-selections
  debian12_grub_cfg "$root" "$uuid_root"
}

# grub-mkconfig needs the real device; this is what it would write, until the guest's first own update-grub.
debian12_grub_cfg() {
  local root=$1 uuid_root=$2 arguments
  mkdir -p "$root/boot/grub/x86_64-efi"
  cp "$root"/usr/lib/grub/x86_64-efi/*.{mod,lst} "$root/boot/grub/x86_64-efi/"
  # shellcheck disable=SC1091  # a file of the guest
  arguments=$(. "$root/etc/default/grub.d/guest.cfg" && echo "$GRUB_CMDLINE_LINUX $GRUB_CMDLINE_LINUX_DEFAULT")
  cat >"$root/boot/grub/grub.cfg" <<GRUB
set timeout=0
menuentry 'Debian GNU/Linux' {
  search --no-floppy --fs-uuid --set=root $uuid_root
  linux /vmlinuz root=UUID=$uuid_root ro $arguments
  initrd /initrd.img
}
GRUB
}

debian12_esp() {
  local root=$1 image=$2 uuid_root=$3 uuid_esp=$4
  cat >"$root/tmp/early.cfg" <<GRUB
search --no-floppy --fs-uuid --set=root $uuid_root
set prefix=(\$root)/boot/grub
configfile \$prefix/grub.cfg
GRUB
  chroot "$root" grub-mkimage --format=x86_64-efi --prefix=/boot/grub --config=/tmp/early.cfg --output=/tmp/grubx64.efi \
    part_gpt fat ext2 normal configfile search search_fs_uuid linux echo all_video gfxterm test
  truncate --size="${debian12_esp_mib}M" "$image"
  mkfs.vfat -F 32 -n ESP -i "$uuid_esp" "$image" >/dev/null
  mmd -i "$image" ::EFI ::EFI/BOOT ::EFI/debian
  mcopy -i "$image" "$root/tmp/grubx64.efi" ::EFI/BOOT/BOOTX64.EFI
  mcopy -i "$image" "$root/tmp/grubx64.efi" ::EFI/debian/grubx64.efi
  rm "$root/tmp/early.cfg" "$root/tmp/grubx64.efi"
}

debian12_volume() {
  local out=$1 uuid_root=$2 raw=$1/disk.raw start_mib=$((1 + debian12_esp_mib)) root_kib
  truncate --size="${debian12_size_mib}M" "$raw"
  sfdisk --quiet "$raw" <<TABLE
label: gpt
first-lba: 2048
start=1MiB, size=${debian12_esp_mib}MiB, type=uefi, name=esp
start=${start_mib}MiB, type=linux, name=root
TABLE
  # The last MiB holds the backup table. Features that GRUB 2.06 cannot read stay off.
  root_kib=$(((debian12_size_mib - start_mib - 1) * 1024))
  mke2fs -q -t ext4 -L root -U "$uuid_root" -O ^metadata_csum_seed,^orphan_file -E "offset=$((start_mib << 20)),lazy_itable_init=0" \
    -d "$out/root" "$raw" "${root_kib}k"
  dd if="$out/esp.img" of="$raw" bs=1M seek=1 conv=sparse,notrunc status=none
  qemu-img convert -f raw -O qcow2 "$raw" "$out/disk.qcow2"
}

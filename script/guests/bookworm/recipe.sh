# shellcheck shell=bash
# The root file system of the matrix' guests, packed: Debian 12 with GRUB for BIOS and UEFI, LVM, xfs, btrfs, and several ways
# to configure a network, none of them switched on. No layout and no identity: the recipe `matrix` gives it both.

# shellcheck disable=SC2034  # build-guest reads it
readonly bookworm_parts="root=root.tar"

# shellcheck source-path=SCRIPTDIR source=../debian.sh
. "$(dirname "${BASH_SOURCE[0]}")/../debian.sh"

bookworm_key() { debian_key; }

# Beside debian_masked: what every guest has and few need. networking, NetworkManager and systemd-networkd are not masked but
# disabled: a guest's layout enables the one that it configures its network by.
readonly bookworm_masked=(
  NetworkManager-wait-online.service NetworkManager-dispatcher.service ifupdown-wait-online.service
  lvm2-monitor.service lvm2-lvmpolld.socket blk-availability.service
  open-iscsi.service nvmefc-boot-connections.service nvmf-autoconnect.service
  serial-getty@ttyS0.service wpa_supplicant.service
)

# bookworm_build DIRECTORY: leave the finished files in DIRECTORY.
bookworm_build() {
  local out=$1 root=$1/root
  debian_install "$(dirname "${BASH_SOURCE[0]}")" "$root"
  debian_anonymise "$root"
  chroot "$root" systemctl --quiet disable networking.service NetworkManager.service systemd-networkd.service
  chroot "$root" systemctl --quiet mask "${debian_masked[@]}" "${bookworm_masked[@]}"
  # What packages make when they are installed, and each guest is to have for its own.
  rm -rf "$root"/etc/iscsi/initiatorname.iscsi "$root"/etc/nvme/host{nqn,id} "$root"/var/cache/apt/archives/*.deb
  tar -C "$root" --xattrs -cf "$out/root.tar" .
  rm -rf "$root"
}

# shellcheck shell=bash
# What the recipes of Debian guests share. A recipe's key holds debian_key.

# Debian's mirrors are what mmdebstrap chooses by itself; a site with its own one names it here.
readonly debian_mirror=${ESTAMPE_DEBIAN_MIRROR:-}

# Services that only cost time, or wait for a network that a test guest does not have.
# shellcheck disable=SC2034  # recipes read it
readonly debian_masked=(
  systemd-networkd-wait-online.service apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer
  e2scrub_all.timer e2scrub_reap.service fstrim.timer grub-common.service grub-initrd-fallback.service
  systemd-pstore.service getty@tty1.service
  dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount
  sys-fs-fuse-connections.mount modprobe@configfs.service modprobe@drm.service modprobe@fuse.service
  systemd-network-generator.service
)

# What decides about a rebuild besides a recipe's own files.
debian_key() { echo "$debian_mirror" && cat "${BASH_SOURCE[0]}"; }

# debian_install RECIPE ROOT: the packages that RECIPE/packages lists, and the files below RECIPE/root.
debian_install() {
  local recipe=$1 root=$2 packages
  packages=$(grep -v '^#' "$recipe/packages" | paste -sd,)
  # The recipe's files go in before the packages, so that the kernel's hook already sees the initramfs settings.
  mmdebstrap --mode=root --variant=minbase --format=directory --include="$packages" \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
    --essential-hook="tar -C '$recipe/root' --owner=0 --group=0 --mode=u=rwX,go=rX -cf - . | tar -C \"\$1\" --no-overwrite-dir -xf -" \
    bookworm "$root" ${debian_mirror:+"$debian_mirror"}
}

# Nothing of the builder, and no identity: an empty machine-id is filled at the first boot ("uninitialized" would also run
# the first-boot presets).
debian_anonymise() {
  : >"$1/etc/machine-id"
  rm -f "$1"/etc/ssh/ssh_host_* "$1/var/lib/dbus/machine-id" "$1/etc/resolv.conf" "$1/etc/apt/apt.conf.d"/*proxy*
}

# shellcheck shell=bash
# The guests of the matrix (tests/matrix): one root file system in many layouts, each with the identity of a server that has been
# used, so that none has to be booted before it is captured. Volumes are put together without loop devices; only what user
# space cannot write (LVM, xfs, btrfs' subvolumes) is made in libguestfs' appliance, one launch for all.
#
#   cloud            debian12 (UEFI, GPT, ESP | ext4 root), as if it had been booted
#   bios             | MBR | ext4 root | swap |                                  GRUB behind the MBR, ifupdown
#   logical          | MBR | ext4 /boot | extended: ext4 root | swap |           no agent: tells on the console; systemd-networkd
#   lvm  lvm-data    | MBR | ext4 /boot | PV |   | PV |                          vg0: root (xfs), srv (xfs), swap; systemd-networkd
#   btrfs            | GPT | BIOS boot | btrfs: @, @home, @srv |                 NetworkManager
#   sectors  sectors-data   | GPT | ESP | ext4 root |   | ext4 |                 4096-byte sectors, UEFI; data by UUID; systemd-networkd
#
# The part NAME-told says who a guest is, as tell-who would say it inside.

# shellcheck disable=SC2034  # build-guest reads it
readonly matrix_parts="cloud=cloud.raw cloud-told=cloud.told bios=bios.raw bios-told=bios.told logical=logical.raw
logical-told=logical.told lvm=lvm.raw lvm-data=lvm-data.raw lvm-told=lvm.told btrfs=btrfs.raw btrfs-told=btrfs.told
sectors=sectors.raw sectors-data=sectors-data.raw sectors-told=sectors.told"
readonly matrix_root_mib=704 matrix_boot_mib=64 matrix_swap_mib=48
readonly matrix_mark=estampe-matrix-source-trace # tell-who looks for it
# As debian12 has them, and why.
readonly matrix_arguments="console=tty0 console=ttyS0,115200 quiet mitigations=off audit=0 apparmor=0 init_on_alloc=0 rcupdate.rcu_expedited=1 tsc=reliable no_timer_check"

# The guests that these are made from.
matrix_key() { matrix_source bookworm root && matrix_source debian12 disk; }
matrix_source() { "$(dirname "${BASH_SOURCE[0]}")/../../build-guest" "$1" --part "$2"; }

# matrix_build DIRECTORY: leave the finished files in DIRECTORY.
matrix_build() {
  local out=$1 base=$1/base name
  mkdir "$base"
  tar -C "$base" --xattrs -xf "$(matrix_source bookworm root)"
  matrix_cloud "$out" "$base" &
  for name in bios logical sectors; do
    cp -a "$base" "$out/$name"
    "matrix_$name" "$out" "$out/$name"
    rm -rf "${out:?}/$name"
  done
  wait $!
  matrix_in_appliance "$out" "$base"
  rm -rf "$base"
}

uuid() { cat /proc/sys/kernel/random/uuid; }

# --- who a server is -----------------------------------------------------------------------------------------------------

# matrix_personify OUT NAME ROOT: the files that tell of one server, and OUT/NAME.told. ROOT need not hold a system.
matrix_personify() {
  local out=$1 name=$2 root=$3 id key file
  id=$(uuid | tr -d -)
  mkdir -p "$root"/etc/{ssh,iscsi,nvme,udev/rules.d} "$root"/root/.ssh "$root"/var/lib/{dbus,dhcp,systemd,NetworkManager} \
    "$root"/var/log/journal/"$id" "$root"/var/{mail,tmp,cache/apt/archives} "$root/tmp" "$root/srv/payload"
  echo "$id" >"$root/etc/machine-id"
  rm -f "$root/var/lib/dbus/machine-id"
  echo "$id" >"$root/var/lib/dbus/machine-id"
  echo "$name-source" >"$root/etc/hostname"
  printf '127.0.0.1\tlocalhost\n127.0.1.1\t%s-source.example.org %s-source\n' "$name" "$name" >"$root/etc/hosts"
  ssh-keygen -q -t ed25519 -N '' -C "root@$name-source" -f "$root/etc/ssh/ssh_host_ed25519_key"
  ssh-keygen -q -t ed25519 -N '' -C admin@source -f "$out/$name.key"
  mv "$out/$name.key.pub" "$root/root/.ssh/authorized_keys"
  rm "$out/$name.key"
  chmod 0700 "$root/root/.ssh"
  for file in systemd/random-seed systemd/credential.secret NetworkManager/secret_key; do
    head -c 512 /dev/urandom >"$root/var/lib/$file"
    chmod 0600 "$root/var/lib/$file"
  done
  printf 'lease {\n  interface "enp1s0";\n  # %s %s\n}\n' "$matrix_mark" "$(uuid)" >"$root/var/lib/dhcp/dhclient.enp1s0.leases"
  uuid >"$root/etc/dhcpcd.duid"
  echo "InitiatorName=iqn.1993-08.org.debian:01:${id:0:12}" >"$root/etc/iscsi/initiatorname.iscsi"
  key=$(uuid)
  echo "nqn.2014-08.org.nvmexpress:uuid:$key" >"$root/etc/nvme/hostnqn"
  echo "$key" >"$root/etc/nvme/hostid"
  matrix_use "$root" "$id"
  matrix_payload "$root/srv/payload"
  matrix_tell "$root" >"$out/$name.told"
}

# What servers gather while they are used.
matrix_use() {
  local root=$1 id=$2 file
  for file in root/.bash_history var/log/syslog var/log/auth.log var/log/auth.log.1 var/mail/root tmp/upload var/tmp/build \
    var/cache/apt/archives/secret_1_amd64.deb "var/log/journal/$id/system.journal"; do
    echo "$matrix_mark in $file" >"$root/$file"
  done
  echo "# $matrix_mark
SUBSYSTEM==\"net\", ATTR{address}==\"52:54:00:aa:bb:cc\", NAME=\"eth0\"" >"$root/etc/udev/rules.d/70-persistent-net.rules"
}

matrix_payload() {
  local nth
  for nth in 1 2 3 4; do head -c 1M /dev/urandom >"$1/random-$nth"; done
  seq 200000 >"$1/text"
}

# In the words of tell-who, which cannot run here.
matrix_tell() (
  digest() { cat "$@" | sha256sum | cut -c1-16; }
  cd "$1" || exit
  echo "hostname=$(<etc/hostname)"
  echo "files=$(find srv -path '*/payload/*' -type f -exec sha256sum {} + | sed 's| .*/| |' | sort | sha256sum | cut -c1-32)"
  echo "authorized_keys=$(cut -d' ' -f3 root/.ssh/authorized_keys)"
  echo "traces=$(grep -rlsF "$matrix_mark" etc root tmp var | sed 's|^|/|' | sort | xargs)"
  echo "machine_id=$(<etc/machine-id)"
  echo "dbus_id=$(<var/lib/dbus/machine-id)"
  echo "host_keys=$(cut -d' ' -f2 etc/ssh/ssh_host_ed25519_key.pub)"
  echo "random_seed=$(digest var/lib/systemd/random-seed)"
  echo "dhcp_ids=$(digest var/lib/dhcp/dhclient.enp1s0.leases etc/dhcpcd.duid)"
  echo "network_manager_key=$(digest var/lib/NetworkManager/secret_key)"
  echo "iscsi_name=$(sed -n 's/^InitiatorName=//p' etc/iscsi/initiatorname.iscsi)"
  echo "nvme_name=$(<etc/nvme/hostnqn)"
  echo "credential_secret=$(digest var/lib/systemd/credential.secret)"
  echo "cloud_instance=$(cat var/lib/cloud/data/instance-id 2>/dev/null)"
)

# --- networks --------------------------------------------------------------------------------------------------------------

matrix_enable() { ln -sf "/lib/systemd/system/$2" "$1/etc/systemd/system/multi-user.target.wants/$2"; }

matrix_ifupdown() {
  matrix_enable "$1" networking.service
  cat >"$1/etc/network/interfaces" <<'INTERFACES'
auto lo
iface lo inet loopback

auto eth0
iface eth0 inet static
	address 192.0.2.10
	netmask 255.255.255.0
INTERFACES
}

matrix_networkd() {
  matrix_enable "$1" systemd-networkd.service
  printf '[Match]\nName=e*\n\n[Network]\nAddress=192.0.2.10/24\n' >"$1/etc/systemd/network/10-lan.network"
}

matrix_network_manager() {
  local file=$1/etc/NetworkManager/system-connections/lan.nmconnection
  matrix_enable "$1" NetworkManager.service
  printf '[connection]\nid=lan\nuuid=%s\ntype=ethernet\ninterface-name=enp1s0\n\n[ipv4]\nmethod=manual\naddress1=192.0.2.10/24\n' \
    "$(uuid)" >"$file"
  chmod 0600 "$file"
}

# --- boot loaders ------------------------------------------------------------------------------------------------------------

# matrix_grub_cfg BOOT PREFIX ROOT-ARGUMENTS: what grub-mkconfig would write there, until the guest's first own update-grub.
# PREFIX is BOOT as GRUB sees it from the root of its file system.
matrix_grub_cfg() {
  local boot=$1 prefix=$2 root=$3 kernel
  kernel=$(basename "$boot"/vmlinuz-*)
  mkdir -p "$boot/grub"
  cat >"$boot/grub/grub.cfg" <<GRUB
set timeout=0
menuentry 'Debian GNU/Linux' {
  linux $prefix/$kernel $root ro $matrix_arguments
  initrd $prefix/initrd.img-${kernel#vmlinuz-}
}
GRUB
}

# matrix_grub_modules BASE BOOT PLATFORM: GRUB's modules, where grub-install puts them.
matrix_grub_modules() {
  mkdir -p "$2/grub/$3"
  cp "$1/usr/lib/grub/$3"/*.{mod,lst} "$2/grub/$3/"
}

# matrix_grub_pc BASE VOLUME SECTOR PREFIX MODULE...: GRUB for BIOS as grub-bios-setup lays it out, which wants a device: the
# boot image in the MBR, the core image from SECTOR on. Each names the sector that it goes on at (GRUB's boot.S and diskboot.S).
matrix_grub_pc() {
  local base=$1 volume=$2 sector=$3 prefix=$4 grub=$1/usr/lib/grub/i386-pc core
  core=tmp/core-${volume##*/}.img
  chroot "$base" grub-mkimage --format=i386-pc --prefix="$prefix" --output="/$core" biosdisk normal "${@:5}"
  dd if="$grub/boot.img" of="$volume" bs=440 count=1 conv=notrunc status=none
  matrix_poke "$volume" 0x5c "$sector"
  dd if="$base/$core" of="$volume" bs=512 seek="$sector" conv=notrunc status=none
  matrix_poke "$volume" $((sector * 512 + 0x1f4)) $((sector + 1))
  rm "$base/$core"
}

# matrix_poke FILE OFFSET NUMBER: eight bytes, little-endian.
matrix_poke() {
  local hex bytes='' nth
  hex=$(printf %016x "$3")
  for nth in 14 12 10 8 6 4 2 0; do bytes+="\\x${hex:nth:2}"; done
  # shellcheck disable=SC2059  # the bytes are the format
  printf "$bytes" | dd of="$1" bs=1 seek=$(($2)) conv=notrunc status=none
}

# --- layouts -----------------------------------------------------------------------------------------------------------------

# matrix_swap VOLUME MIB: a swap area at that place; its UUID.
matrix_swap() {
  local id area
  id=$(uuid)
  area=$(mktemp "$1.XXXXXX")
  truncate --size="${matrix_swap_mib}M" "$area"
  mkswap --quiet --uuid "$id" --label swap "$area"
  dd if="$area" of="$1" bs=1M seek="$2" conv=notrunc,sparse status=none
  rm "$area"
  echo "$id"
}

# matrix_ext4 VOLUME MIB SIZE-MIB UUID TREE: a file system there, with all of TREE.
matrix_ext4() {
  mke2fs -q -t ext4 -b 4096 -U "$4" -O ^metadata_csum_seed,^orphan_file -E "offset=$(($2 << 20)),lazy_itable_init=0,lazy_journal_init=0" \
    -d "$5" "$1" "$(($3 << 10))k"
}

matrix_bios() {
  local out=$1 root=$2 volume=$1/bios.raw id swap swap_at=$((1 + matrix_root_mib))
  id=$(uuid)
  truncate --size=$((swap_at + matrix_swap_mib))M "$volume"
  sfdisk --quiet "$volume" <<TABLE
label: dos
1: start=1MiB, size=${matrix_root_mib}MiB, type=83, bootable
2: start=${swap_at}MiB, size=${matrix_swap_mib}MiB, type=82
TABLE
  swap=$(matrix_swap "$volume" "$swap_at")
  printf 'UUID=%s / ext4 errors=remount-ro 0 1\nUUID=%s none swap sw 0 0\n' "$id" "$swap" >"$root/etc/fstab"
  matrix_ifupdown "$root"
  matrix_personify "$out" bios "$root"
  matrix_grub_modules "$root" "$root/boot" i386-pc
  matrix_grub_cfg "$root/boot" /boot "root=UUID=$id"
  matrix_grub_pc "$root" "$volume" 1 "(,msdos1)/boot/grub" part_msdos ext2
  matrix_ext4 "$volume" 1 "$matrix_root_mib" "$id" "$root"
}

matrix_logical() {
  local out=$1 root=$2 volume=$1/logical.raw id boot swap root_at=$((2 + matrix_boot_mib)) swap_at
  swap_at=$((root_at + matrix_root_mib + 1))
  id=$(uuid) boot=$(uuid)
  truncate --size=$((swap_at + matrix_swap_mib))M "$volume"
  sfdisk --quiet "$volume" <<TABLE
label: dos
1: start=1MiB, size=${matrix_boot_mib}MiB, type=83, bootable
2: start=$((root_at - 1))MiB, size=$((matrix_root_mib + matrix_swap_mib + 2))MiB, type=5
5: start=${root_at}MiB, size=${matrix_root_mib}MiB, type=83
6: start=${swap_at}MiB, size=${matrix_swap_mib}MiB, type=82
TABLE
  swap=$(matrix_swap "$volume" "$swap_at")
  printf 'UUID=%s / ext4 errors=remount-ro 0 1\nUUID=%s /boot ext4 defaults 0 2\nUUID=%s none swap sw 0 0\n' \
    "$id" "$boot" "$swap" >"$root/etc/fstab"
  matrix_networkd "$root"
  rm "$root/usr/sbin/qemu-ga" "$root/lib/systemd/system/qemu-guest-agent.service"
  ln -s /etc/systemd/system/tell-who.service "$root/etc/systemd/system/multi-user.target.wants/tell-who.service"
  matrix_personify "$out" logical "$root"
  matrix_grub_modules "$root" "$root/boot" i386-pc
  matrix_grub_cfg "$root/boot" "" "root=UUID=$id"
  matrix_grub_pc "$root" "$volume" 1 "(,msdos1)/grub" part_msdos ext2
  matrix_ext4 "$volume" 1 "$matrix_boot_mib" "$boot" "$root/boot"
  rm -rf "${root:?}"/boot/*
  matrix_ext4 "$volume" "$root_at" "$matrix_root_mib" "$id" "$root"
}

matrix_sectors() {
  local out=$1 root=$2 volume=$1/sectors.raw data=$1/sectors-data.raw id data_id esp esp_mib=32 root_at
  root_at=$((1 + esp_mib)) id=$(uuid) data_id=$(uuid) esp=$1/esp.img
  truncate --size=$((root_at + matrix_root_mib + 1))M "$volume"
  # fdisk: sfdisk counts in sectors of 512 bytes wherever it is told no device (util-linux 2.38).
  cat >"$out/table" <<TABLE
label: gpt
1: start=1MiB, size=${esp_mib}MiB, type=uefi, name=esp
2: start=${root_at}MiB, size=${matrix_root_mib}MiB, type=linux, name=root
TABLE
  printf 'I\n%s\nw\n' "$out/table" | fdisk --sector-size 4096 "$volume" >/dev/null
  rm "$out/table"
  printf 'UUID=%s / ext4 errors=remount-ro 0 1\nUUID=%s /srv/data ext4 defaults 0 2\n' "$id" "$data_id" >"$root/etc/fstab"
  matrix_networkd "$root"
  matrix_personify "$out" sectors "$root"
  mkdir -p "$root/srv/data" "$out/data"
  mv "$root/srv/payload" "$out/data/payload"
  truncate --size=64M "$data"
  matrix_ext4 "$data" 0 64 "$data_id" "$out/data"
  matrix_grub_modules "$root" "$root/boot" x86_64-efi
  matrix_grub_cfg "$root/boot" /boot "root=UUID=$id"
  cat >"$root/tmp/early.cfg" <<GRUB
search --no-floppy --fs-uuid --set=root $id
set prefix=(\$root)/boot/grub
configfile \$prefix/grub.cfg
GRUB
  chroot "$root" grub-mkimage --format=x86_64-efi --prefix=/boot/grub --config=/tmp/early.cfg --output=/tmp/grubx64.efi \
    part_gpt fat ext2 normal configfile search search_fs_uuid linux
  truncate --size="${esp_mib}M" "$esp"
  # FAT16: a file system of so few clusters, each a sector at least, may not be FAT32.
  mkfs.vfat -F 16 -S 4096 -s 1 -n ESP "$esp" >/dev/null
  mmd -i "$esp" ::EFI ::EFI/debian
  # Where the firmware does not look by itself: sealing has to see to that.
  mcopy -i "$esp" "$root/tmp/grubx64.efi" ::EFI/debian/grubx64.efi
  rm "$root"/tmp/{early.cfg,grubx64.efi}
  dd if="$esp" of="$volume" bs=1M seek=1 conv=sparse,notrunc status=none
  sed -i "1a UUID=$(blkid -o value -s UUID "$esp") /boot/efi vfat umask=0077 0 0" "$root/etc/fstab"
  mkdir -p "$root/boot/efi"
  matrix_ext4 "$volume" "$root_at" "$matrix_root_mib" "$id" "$root"
  rm -rf "$out/data" "$esp"
}

# debian12's volume with the files of a server in its root. debugfs writes into a file system that nothing has mounted.
matrix_cloud() {
  local out=$1 base=$2 volume=$1/cloud.raw tree=$1/cloud-tree path start
  qemu-img convert -f qcow2 -O raw "$(matrix_source debian12 disk)" "$volume"
  mkdir -p "$tree/var/lib/cloud/data" "$tree/var/lib/cloud/instances/source" "$tree/etc" "$tree/usr/local/sbin"
  echo source >"$tree/var/lib/cloud/data/instance-id"
  echo "# $matrix_mark" >"$tree/var/lib/cloud/instances/source/user-data.txt"
  matrix_personify "$out" cloud "$tree"
  cp "$base/usr/local/sbin/tell-who" "$tree/usr/local/sbin/"
  start=$(sfdisk --json "$volume" | grep -o '"start": *[0-9]*' | tail -n 1 | grep -o '[0-9]*$')
  {
    (cd "$tree" && find . -mindepth 1 -type d | sort | sed 's|^\.|mkdir |')
    while read -r path; do
      printf 'rm %s\nwrite %s %s\nset_inode_field %s mode 0%o\n' "$path" "$tree$path" "$path" "$path" "0x$(stat -c %f "$tree$path")"
    done < <(cd "$tree" && find . -type f | sort | sed 's|^\.||')
  } >"$out/cloud-commands"
  # What is there already is no matter: "mkdir: Ext2 directory already exists", "rm: File not found".
  debugfs -w -f "$out/cloud-commands" "$volume?offset=$((start * 512))" >/dev/null 2>&1
  e2fsck -fn "$volume?offset=$((start * 512))" >&2
  rm -rf "$tree" "$out/cloud-commands"
}

# --- what only a kernel can write ---------------------------------------------------------------------------------------------

matrix_in_appliance() {
  local out=$1 base=$2
  matrix_lvm_before "$out" "$base"
  matrix_btrfs_before "$out" "$base"
  # /dev/kvm may open and start nothing (see the doctor), and this is a minute without it.
  LIBGUESTFS_BACKEND=direct LIBGUESTFS_BACKEND_SETTINGS=force_tcg LIBGUESTFS_MEMSIZE=768 timeout 600 \
    guestfish --format=raw -a "$out/lvm.raw" -a "$out/lvm-data.raw" -a "$out/btrfs.raw" <<FISH
run
pvcreate /dev/sda2
pvcreate /dev/sdb
vgcreate vg0 "/dev/sda2 /dev/sdb"
lvcreate root vg0 ${matrix_root_mib}
lvcreate swap vg0 ${matrix_swap_mib}
lvcreate srv vg0 350
mkfs xfs /dev/vg0/root
mkfs xfs /dev/vg0/srv
mkswap /dev/vg0/swap
mount /dev/vg0/root /
mkdir /srv
mount /dev/vg0/srv /srv
tar-in $out/lvm.tar /
umount-all
mkfs btrfs /dev/sdc2
set-uuid /dev/sdc2 $(<"$out/btrfs.uuid")
mount /dev/sdc2 /
btrfs-subvolume-create /@
btrfs-subvolume-create /@home
btrfs-subvolume-create /@srv
tar-in $out/btrfs.tar /@
tar-in $out/btrfs-srv.tar /@srv
umount-all
FISH
  rm "$out"/{lvm.tar,btrfs.tar,btrfs-srv.tar,btrfs.uuid}
}

# Volumes with tables and /boot, and a tree to unpack. The logical volumes together are larger than the first physical one.
matrix_lvm_before() {
  local out=$1 base=$2 root=$1/lvm volume=$1/lvm.raw boot
  boot=$(uuid)
  cp -a "$base" "$root"
  truncate --size=$((1 + matrix_boot_mib + matrix_root_mib + 56))M "$volume"
  truncate --size=384M "$out/lvm-data.raw"
  sfdisk --quiet "$volume" <<TABLE
label: dos
1: start=1MiB, size=${matrix_boot_mib}MiB, type=83, bootable
2: start=$((1 + matrix_boot_mib))MiB, type=8e
TABLE
  printf '%s\n' '/dev/mapper/vg0-root / xfs defaults 0 0' "UUID=$boot /boot ext4 defaults 0 2" \
    '/dev/mapper/vg0-srv /srv xfs defaults 0 0' '/dev/mapper/vg0-swap none swap sw 0 0' >"$root/etc/fstab"
  matrix_networkd "$root"
  matrix_personify "$out" lvm "$root"
  matrix_grub_modules "$root" "$root/boot" i386-pc
  matrix_grub_cfg "$root/boot" "" "root=/dev/mapper/vg0-root"
  matrix_grub_pc "$root" "$volume" 1 "(,msdos1)/grub" part_msdos ext2
  matrix_ext4 "$volume" 1 "$matrix_boot_mib" "$boot" "$root/boot"
  rm -rf "${root:?}"/boot/*
  tar -C "$root" -cf "$out/lvm.tar" .
  rm -rf "$root"
}

matrix_btrfs_before() {
  local out=$1 base=$2 root=$1/btrfs volume=$1/btrfs.raw id
  id=$(uuid)
  cp -a "$base" "$root"
  truncate --size=$((3 + matrix_root_mib + 96))M "$volume"
  sfdisk --quiet "$volume" <<TABLE
label: gpt
1: start=1MiB, size=1MiB, type=21686148-6449-6E6F-744E-656564454649, name=bios
2: start=2MiB, type=linux, name=system
TABLE
  printf 'UUID=%s %s btrfs subvol=%s 0 0\n' "$id" / @ "$id" /home @home "$id" /srv @srv >"$root/etc/fstab"
  matrix_network_manager "$root"
  matrix_personify "$out" btrfs "$root"
  matrix_grub_modules "$root" "$root/boot" i386-pc
  matrix_grub_cfg "$root/boot" /@/boot "root=UUID=$id rootflags=subvol=@"
  matrix_grub_pc "$root" "$volume" 2048 "(,gpt2)/@/boot/grub" part_gpt btrfs
  tar -C "$root/srv" -cf "$out/btrfs-srv.tar" .
  rm -rf "${root:?}"/srv/*
  tar -C "$root" -cf "$out/btrfs.tar" .
  rm -rf "$root"
  echo "$id" >"$out/btrfs.uuid"
}

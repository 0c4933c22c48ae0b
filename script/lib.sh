# shellcheck shell=bash
# What the project's scripts share. Source it after `set -euo pipefail`; it changes nothing by itself.

# shellcheck disable=SC2034  # for those who source this
repo_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly repo_root

say() { printf '%s\n' "$*" >&2; }

die() {
  say "error: $*"
  exit 1
}

# Run as root, whoever we are.
as_root() {
  if ((EUID == 0)); then "$@"; else sudo "$@"; fi
}

# Where built guests and other things too large for git live. Under /var, because QEMU runs as a user of its own
# and must be able to walk there.
estampe_cache_dir() { echo "${ESTAMPE_CACHE:-/var/cache/estampe-dev}"; }

# missing_packages NAME...: those that are not installed, one a line.
missing_packages() {
  local installed
  installed=$(dpkg-query --show --showformat='${db:Status-Status} ${Package}\n' 2>/dev/null | sed -n 's/^installed //p')
  comm -23 <(printf '%s\n' "$@" | sort -u) <(sort -u <<<"$installed")
}

# ensure_packages NAME...: install what is missing; asks no mirror when nothing is.
ensure_packages() {
  local missing
  mapfile -t missing < <(missing_packages "$@")
  ((${#missing[@]})) || return 0
  say "installing: ${missing[*]}"
  as_root apt-get update --quiet
  # Another package run on the machine is waited for, not an error.
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install --quiet --yes --no-install-recommends -o DPkg::Lock::Timeout=300 "${missing[@]}"
}

# As root: an ordinary user may not open the system socket.
libvirt_answers() { as_root timeout 10 virsh --connect qemu:///system uri >/dev/null 2>&1; }

# Bring libvirt up, by systemd where it runs, else by hand (containers, small CI machines).
ensure_libvirt() {
  libvirt_answers && return
  if [[ -d /run/systemd/system ]]; then
    as_root systemctl enable --now libvirtd.service
  else
    ensure_daemon virtlogd
    ensure_daemon libvirtd
  fi
  local attempt
  for attempt in {1..60}; do
    libvirt_answers && return
    sleep 0.5
  done
  die "libvirt did not answer on qemu:///system within $((attempt / 2)) s; see: journalctl -u libvirtd, or without systemd /var/log/libvirt/libvirtd.log"
}

# It must not inherit our open files: whoever reads our output would wait for the daemon's end. Nor our environment: what
# libvirt starts under other accounts (swtpm_setup) would look for its temporary directory in a TMPDIR of root's. It gets one
# where QEMU's account must be able to walk anyway.
# Under tini, since libvirt lets its QEMUs be orphans, and holds a server for running until somebody has reaped its QEMU. The
# first process of a container may do so every two seconds, or never: so long each server then takes to be powered off.
ensure_daemon() {
  pgrep --exact "$1" >/dev/null || (
    for fd in /proc/"$BASHPID"/fd/*; do
      fd=${fd##*/}
      ((fd <= 2)) || eval "exec $fd>&-"
    done
    # shellcheck disable=SC2016  # $1 is the inner shell's
    as_root env --ignore-environment HOME=/root TMPDIR=/var/tmp PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 \
      setsid --fork sh -c 'exec tini -s -- "/usr/sbin/$1" </dev/null >>"/var/log/libvirt/$1.log" 2>&1' sh "$1"
  )
}

"""What a profile's tuned settings do to a guest: the mini guest, booted with and without them, turn and turn about.

The domain is what a deploy would define (`domain_xml.rebuild`, settings fitted by `deploy.tuning`), started as a transient one.
Inside, an init of the benchmark's own reads and writes a second volume past the guest's page cache, gives memory and blocks
back, and looks when the kernel's random numbers were ready; the host looks what comes back. Prints a Markdown table, and
JSON with --json. Needs root and libvirt; makes nothing that stays.

    script/build-guest mini
    bench/tuning.py --profile linux-server --rounds 3 --json /tmp/tuning.json
"""

from __future__ import annotations

import argparse
import datetime
import gzip
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import libvirt
from estampe import units
from estampe.catalogue import profiles
from estampe.deploy import tuning
from estampe.model import configuration, guest, manifest
from estampe.virt import base as virt
from estampe.virt import direct_io, domain_xml, libvirt_host

NAME: Final = "estampe-bench-tuning"
ROOT: Final = Path(__file__).parents[1]
CPUS: Final = 2
MEMORY_BYTES: Final = 768 * units.MIB
VOLUME_BYTES: Final = 256 * units.MIB
BOOT_SECONDS: Final = 120.0
_FAT: Final = "@@1M"  # where the boot partition of the mini guest begins
# Each line of the results: a name, a number. /proc/uptime counts hundredths of a second, which is 0.2 % of these loads.
INIT: Final = r"""#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /mem
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
for module in virtio_pci virtio_blk virtio_balloon virtio_rng; do modprobe $module; done
waited=0
while [ ! -e /dev/vdc ] && [ $waited -lt 50 ]; do sleep 0.1; waited=$((waited + 1)); done
now() { cut -d' ' -f1 /proc/uptime; }
measure() { name=$1; shift; start=$(now); "$@" 2>/dev/null; echo "$name $start $(now)" >>/results; }
read_all() { dd if=/dev/vdb of=/dev/null bs=1M iflag=direct; }
read_both() {
  dd if=/dev/vdb of=/dev/null bs=4k count=8192 iflag=direct &
  dd if=/dev/vdb of=/dev/null bs=4k count=8192 skip=32768 iflag=direct &
  wait
}
write_both() {
  dd if=/dev/zero of=/dev/vdb bs=4k count=4096 oflag=direct conv=notrunc &
  dd if=/dev/zero of=/dev/vdb bs=4k count=4096 seek=32768 oflag=direct conv=notrunc &
  wait
}
measure read_mib read_all
measure read_4k read_both
measure write_4k write_both
echo "queues $(ls /sys/block/vdb/mq | wc -l) 0" >>/results
blkdiscard /dev/vdb 2>/dev/null
mount -t tmpfs -o size=600m tmpfs /mem
dd if=/dev/urandom of=/mem/fill bs=1M count=384 2>/dev/null
umount /mem
sleep 8  # free pages are reported every two seconds
crng=$(dmesg | sed -n 's/^\[ *\([0-9.]*\)\] random: crng init done.*/\1/p')
echo "crng 0 ${crng:-0}" >>/results
dd if=/results of=/dev/vdc bs=64k count=1 conv=sync,notrunc 2>/dev/null
sync
poweroff -f
"""


@dataclass
class Run:
    """One boot: seconds and bytes by name."""

    is_tuned: bool
    figures: dict[str, float] = field(default_factory=dict)


def guest_part(part: str) -> Path:
    told = subprocess.run(
        [ROOT / "script/build-guest", "mini", "--part", part], check=True, capture_output=True, text=True
    )
    return Path(told.stdout.strip())


def make_boot_volume(work: Path) -> Path:
    """The mini guest's volume with the benchmark's init, and two more modules, laid over its initramfs."""
    root, volume, initrd = work / "root", work / "boot.raw", work / "initrd.gz"
    root.mkdir()
    (root / "init").write_text(INIT)
    (root / "init").chmod(0o755)
    shutil.copyfile(guest_part("disk"), volume)
    release = kernel_release()
    asked = [
        "modprobe",
        "--set-version",
        release,
        "--all",
        "--show-depends",
        "virtio_balloon",
        "virtio_rng",
        "virtio_blk",
        "virtio_pci",
    ]
    modules = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    for line in modules.splitlines():
        if line.startswith("insmod "):
            path = Path(line.split()[1])
            target = root / path.relative_to("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        shutil.copyfile(f"/lib/modules/{release}/{name}", root / f"lib/modules/{release}/{name}")
    subprocess.run(["depmod", "--basedir", root, release], check=True)
    # A later archive's files win over those of an earlier one (Linux, Documentation/driver-api/early-userspace/buffer-format).
    initrd.write_bytes(guest_part("initrd").read_bytes() + archive(root))
    subprocess.run(["mcopy", "-o", "-i", f"{volume}{_FAT}", initrd, "::initrd.gz"], check=True)
    volume.chmod(0o644)
    return volume


def archive(root: Path) -> bytes:
    """`root` as an initramfs."""
    names = "\0".join(str(path.relative_to(root)) for path in sorted(root.rglob("*")))
    packed = subprocess.run(
        ["cpio", "--null", "--create", "--format=newc", "--owner=0:0", "--quiet"],
        cwd=root, input=names.encode(), check=True, capture_output=True,
    )  # fmt: skip
    return gzip.compress(packed.stdout)


def kernel_release() -> str:
    """Of the kernel that the mini guest was built with: the newest with modules (script/guests/mini/recipe.sh)."""
    found = [path.name.removeprefix("vmlinuz-") for path in Path("/boot").glob("vmlinuz-*")]
    usable = [release for release in found if Path(f"/lib/modules/{release}/kernel").is_dir()]
    sort = subprocess.run(["sort", "-rV"], input="\n".join(usable), check=True, capture_output=True, text=True)
    return sort.stdout.split()[0]


def template(facts: domain_xml.Facts) -> manifest.Manifest:
    """As a capture of the mini guest would tell of it."""
    known = guest.Guest(
        kind="linux", distribution="mini", version="0", product="mini", hostname="mini", root_device="vda1",
        file_systems=(), has_cloud_init=False, has_guest_agent=False, can_grow_root=False, package_count=0,
        volume_buses=("virtio-blk", "virtio-scsi"),
    )  # fmt: skip
    sizes = dict.fromkeys([disk.target for disk in facts.disks], VOLUME_BYTES)
    return manifest.Manifest(
        template_id=uuid.uuid4(), owner_id=uuid.uuid4(), name="mini", version=1, volumes=(), chunk_size_bytes=units.MIB,
        created_at=datetime.datetime.now(datetime.UTC), nvram=None, guest=known,
        configuration=facts.configuration(sizes),
        sealing=guest.Sealing(is_sealed=False, why_not="a benchmark", actions=(), trimmed_bytes=0),
    )  # fmt: skip


def new_volumes(work: Path, boot: Path) -> tuple[virt.NewVolume, ...]:
    """The boot volume, one full of random bytes to work on, and one for the results."""
    data, results = work / "data.raw", work / "results.raw"
    with data.open("wb") as file:
        for _ in range(VOLUME_BYTES // units.MIB):
            file.write(os.urandom(units.MIB))
        file.flush()
        os.fsync(file.fileno())
    results.write_bytes(bytes(64 * units.KIB))
    return tuple(
        virt.NewVolume(
            target=target, bus="virtio", path=str(path), format=configuration.VolumeFormat.RAW, is_block_device=False,
            serial=None, boot_order=1 if target == "vda" else None,
        )
        for target, path in (("vda", boot), ("vdb", data), ("vdc", results))
    )  # fmt: skip


def domain(
    work: Path, boot: Path, profile: profiles.Profile | None, capabilities: virt.Capabilities
) -> tuple[str, tuple[virt.Setting, ...]]:
    """XML of a server as a deploy makes it, and what was given of the profile."""
    volumes = new_volumes(work, boot)
    recorded = domain_xml.plain(
        NAME, str(uuid.uuid4()), volumes, domain_type=capabilities.domain_type, memory_mib=MEMORY_BYTES // units.MIB
    )
    fitted = tuning.Fitted()
    if profile is not None:
        place = tuning.Place(
            capabilities=capabilities, cpus=CPUS, takes_direct_io=direct_io.takes(str(work)), interface_models=()
        )
        fitted = tuning.fit(profile.tuned, template(domain_xml.parse(recorded)), place)
    new = virt.NewDomain(
        name=NAME, uuid=str(uuid.uuid4()), cpus=CPUS, memory_bytes=MEMORY_BYTES, volumes=volumes, seed_path=None,
        interfaces=(), nvram_path=None, template_id=str(uuid.uuid4()), template_name="mini@1", tuning=fitted.tuning,
    )  # fmt: skip
    return domain_xml.rebuild(recorded, new, capabilities)[0], fitted.settings


def boot_once(connection: Any, xml: str, work: Path) -> dict[str, float]:
    """Boot, wait until the guest has ended, and read what it and the host saw."""
    started = connection.createXML(xml, 0)
    resident: list[int] = []
    deadline = time.monotonic() + BOOT_SECONDS
    try:
        pid = int(Path(f"/run/libvirt/qemu/{NAME}.pid").read_text())
        while started.isActive():
            if time.monotonic() > deadline:
                raise RuntimeError(f"the guest did not end within {BOOT_SECONDS:g} s")
            resident.extend(resident_bytes(pid))
            time.sleep(0.25)
    except libvirt.libvirtError:
        pass  # a transient domain goes when it ends
    finally:
        destroy(connection)
    told = (work / "results.raw").read_bytes().rstrip(b"\0").decode()
    figures = {name: float(end) - float(begin) for name, begin, end in (line.split() for line in told.splitlines())}
    figures["queues"] = -figures["queues"]  # it has no end
    figures["peak_resident_bytes"], figures["last_resident_bytes"] = max(resident), resident[-1]
    figures["data_allocated_bytes"] = (work / "data.raw").stat().st_blocks * 512
    return figures


def resident_bytes(pid: int) -> Iterator[int]:
    """QEMU's memory; nothing once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return
    yield from (int(line.split()[1]) * units.KIB for line in lines if line.startswith("VmRSS"))


def destroy(connection: Any) -> None:
    try:
        connection.lookupByName(NAME).destroy()
    except libvirt.libvirtError:
        return


ROWS: Final = (
    ("read 256 MiB by 1 MiB", "read_mib", "s"),
    ("two readers, 32 MiB each by 4 KiB", "read_4k", "s"),
    ("two writers, 16 MiB each by 4 KiB", "write_4k", "s"),
    ("kernel's random numbers ready after boot", "crng", "s"),
    ("hardware queues of the volume", "queues", ""),
    ("pool space of the volume after blkdiscard", "data_allocated_bytes", "MiB"),
    ("QEMU's memory, highest", "peak_resident_bytes", "MiB"),
    ("QEMU's memory, after the guest freed 384 MiB", "last_resident_bytes", "MiB"),
)


def table(runs: list[Run], name: str) -> Iterator[str]:
    """Medians of both kinds, and the ratios of the pairs."""
    yield f"| measure | as recorded | {name} | tuned / recorded, each pair |"
    yield "| --- | --- | --- | --- |"
    for title, key, unit in ROWS:
        plain = [run.figures[key] for run in runs if not run.is_tuned]
        tuned = [run.figures[key] for run in runs if run.is_tuned]
        ratios = ", ".join(f"{b / a:.2f}" if a else "-" for a, b in zip(plain, tuned, strict=True))
        factor = units.MIB if unit == "MiB" else 1
        shown = [f"{statistics.median(each) / factor:.4g} {unit}".rstrip() for each in (plain, tuned)]
        yield f"| {title} | {shown[0]} | {shown[1]} | {ratios} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--profile", default="linux-server")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path("/var/tmp") / NAME)  # noqa: S108 - QEMU's user must reach it
    parser.add_argument("--kvm", action="store_true", help="the host's KVM is known to work; else full emulation")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit("ended"))  # so that what was made goes, as by Ctrl-C
    profile = profiles.get(asked.profile)
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    connection = libvirt.open("qemu:///system")
    host = libvirt_host.LibvirtHost(has_kvm=lambda: asked.kvm)
    shutil.rmtree(asked.work, ignore_errors=True)
    asked.work.mkdir(mode=0o711, parents=True)
    runs: list[Run] = []
    settings: tuple[virt.Setting, ...] = ()
    try:
        boot = make_boot_volume(asked.work)
        for number in range(2 * asked.rounds):
            is_tuned = number % 2 == 1
            xml, given = domain(asked.work, boot, profile if is_tuned else None, host.capabilities())
            settings = given or settings
            runs.append(Run(is_tuned=is_tuned, figures=boot_once(connection, xml, asked.work)))
    finally:
        destroy(connection)
        host.close()
        shutil.rmtree(asked.work, ignore_errors=True)
    for setting in settings:
        print(
            f"- {setting.what}: {setting.given}" + (f" (asked {setting.asked}: {setting.why})" if setting.why else "")
        )
    print("\n".join(["", *table(runs, profile.name)]))
    if asked.json is not None:
        facts = {"kernel": platform.release(), "guest": kernel_release(), "cpus": os.cpu_count(), "is_kvm": asked.kvm}
        told = {"machine": facts, "profile": profile.name, "runs": [vars(run) for run in runs]}
        asked.json.write_text(json.dumps(told, indent=2))


if __name__ == "__main__":
    main()

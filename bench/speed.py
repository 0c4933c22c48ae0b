"""Capture and deploy against peers, in pairs in one run; ratios count, since the machine's speed drifts.

Data: an ext4 volume with the real files of --source (default: this machine's own /usr), as raw and as qcow2. All of it lies in
memory (a tmpfs of the benchmark's own, on --work) where that is large enough, so that what is measured is the programs and not
a disk that they all wait for; --on-disk leaves it on the file system under --work. Estampe's figures are whole operations of the daemon
(request to end, durable, manifest and database included) on a shut-off server, not sealed; peers are the command alone.
Also: ten captures of a server that changes 1 % between them, peak memory (and of a sparse 1 TiB volume), `estampe --help`.

    script/bench [speed] [--rounds 3] [--json FILE] [--on-disk]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import data
import machine
from estampe import units
from estampe.model import configuration
from site_of_bench import NAME, Daemon, Site, site

RAW, QCOW2 = configuration.VolumeFormat.RAW, configuration.VolumeFormat.QCOW2
PEER = "qemu-img convert, qcow2 zstd, -W -m 8"


def timed(argv: list[str], **options: Any) -> float:
    begun = time.monotonic()
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)
    return time.monotonic() - begun


def tree_bytes(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(found.stat().st_size for found in path.rglob("*") if found.is_file())


class Bench:
    """One run: its places, its figures."""

    def __init__(self, place: Site, source: Path) -> None:
        self.place, self.work = place, place.work
        self.raw, self.qcow2 = place.pool / "source.raw", place.pool / "source.qcow2"
        data.make_image(source, self.raw)
        subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", self.raw, self.qcow2], check=True)
        place.define(f"{NAME}-raw", self.raw, RAW)
        place.define(f"{NAME}-qcow2", self.qcow2, QCOW2)
        self.data_bytes = self.raw.stat().st_blocks * 512
        self.seconds: dict[str, list[float]] = {}
        self.stored: dict[str, int] = {}
        self.facts: dict[str, Any] = {}
        self.peer = self.work / "peer.qcow2"

    def note(self, name: str, seconds: float) -> None:
        self.seconds.setdefault(name, []).append(seconds)
        print(f"  {name}: {seconds:.1f} s, {self.data_bytes / units.MIB / seconds:.0f} MiB/s", flush=True)

    # --- capture ------------------------------------------------------------------------------------------------------

    def capture(self, format: configuration.VolumeFormat) -> None:
        data.warm(self.raw if format is RAW else self.qcow2)
        state = self.work / "state"
        shutil.rmtree(state, ignore_errors=True)
        daemon = Daemon(self.work)
        try:
            answer = daemon.ask(capture={"server": f"{NAME}-{format}", "name": "bench", "is_sealed": False})
            self.note(f"estampe capture ({format})", answer["seconds"])
            self.stored["estampe"] = tree_bytes(daemon.store)
            self.facts[f"peak memory, capture ({format})"] = daemon.peak_bytes()
        finally:
            daemon.close()

    def peer_capture(self) -> None:
        data.warm(self.raw)
        self.peer.unlink(missing_ok=True)
        options = ["-c", "-f", "raw", "-O", "qcow2", "-o", "compression_type=zstd", "-W", "-m", "8"]
        self.note(f"{PEER}", timed(["qemu-img", "convert", *options, str(self.raw), str(self.peer)]))
        self.stored["qcow2 zstd"] = tree_bytes(self.peer)

    def zstd_capture(self) -> None:
        target = self.work / "peer.zst"
        self.note("zstd -T0 -1", timed(["zstd", "-T0", "-1", "-q", "-f", str(self.raw), "-o", str(target)]))
        self.stored["zstd -1"] = tree_bytes(target)
        target.unlink()

    def borg_capture(self) -> None:
        repository = self.work / "borg"
        shutil.rmtree(repository, ignore_errors=True)
        environment = os.environ | {
            "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
            "BORG_BASE_DIR": str(self.work / "bb"),
        }
        subprocess.run(["borg", "init", "-e", "none", repository], check=True, env=environment, capture_output=True)
        argv = ["borg", "create", "--sparse", "-C", "zstd,1", f"{repository}::one", str(self.raw)]
        self.note("borg create, zstd 1", timed(argv, env=environment))
        self.stored["borg"] = tree_bytes(repository)
        shutil.rmtree(repository)

    def restic_capture(self) -> None:
        repository = self.work / "restic"
        shutil.rmtree(repository, ignore_errors=True)
        environment = os.environ | {"RESTIC_PASSWORD": "bench", "RESTIC_CACHE_DIR": str(self.work / "rc")}
        subprocess.run(["restic", "init", "-r", repository], check=True, env=environment, capture_output=True)
        self.note("restic backup", timed(["restic", "-r", str(repository), "backup", str(self.raw)], env=environment))
        self.stored["restic"] = tree_bytes(repository)
        shutil.rmtree(repository)

    # --- deploy -------------------------------------------------------------------------------------------------------

    def deploy(self, daemon: Daemon, format: configuration.VolumeFormat) -> None:
        wish = {"template": "bench", "name": f"{NAME}-new", "volume_format": format, "is_started": False}
        answer = daemon.ask(deploy=wish)
        self.note(f"estampe deploy, verified ({format})", answer["seconds"])
        self.place.undefine(f"{NAME}-new")
        self.place.empty_pool(f"{NAME}-new")

    def peer_deploy(self, format: configuration.VolumeFormat) -> None:
        target = self.place.pool / f"peer-back.{format}"
        argv = ["qemu-img", "convert", "-f", "qcow2", "-O", str(format), "-W", "-m", "8", str(self.peer), str(target)]
        self.note(f"{PEER}, back to {format}", timed(argv))
        target.unlink()

    def deploys(self, rounds: int) -> None:
        self.qcow2.unlink()  # makes room for what is deployed
        daemon = Daemon(self.work)
        try:
            for _ in range(rounds):
                for format in (RAW, QCOW2):
                    self.deploy(daemon, format)
                    self.peer_deploy(format)
            self.facts["peak memory, deploy"] = daemon.peak_bytes()
        finally:
            daemon.close()

    # --- the rest -----------------------------------------------------------------------------------------------------

    def ten_captures(self) -> None:
        shutil.rmtree(self.work / "state", ignore_errors=True)
        daemon, rng, sizes = Daemon(self.work), random.Random(1), list[int]()  # noqa: S311 - no secret
        try:
            for nth in range(10):
                if nth:
                    with data.mounted(self.raw, self.work / "mnt") as root:
                        data.change(root, rng)
                daemon.ask(capture={"server": f"{NAME}-raw", "name": "daily", "is_sealed": False})
                sizes.append(tree_bytes(daemon.store / "chunks"))
        finally:
            daemon.close()
        self.facts["stored after 1 capture"], self.facts["stored after 10 captures"] = sizes[0], sizes[-1]
        print(f"  ten captures: {sizes[-1] / sizes[0]:.3f} of one", flush=True)

    def sparse(self) -> None:
        """A volume of 1 TiB with a few MiB of data."""
        path = self.place.pool / "sparse.raw"
        with path.open("wb") as stream:
            stream.truncate(units.TIB)
            for nth in range(16):
                stream.seek(nth * units.TIB // 16)
                stream.write(os.urandom(units.MIB))
        self.place.define(f"{NAME}-sparse", path, RAW)
        shutil.rmtree(self.work / "state", ignore_errors=True)
        daemon = Daemon(self.work)
        try:
            answer = daemon.ask(capture={"server": f"{NAME}-sparse", "name": "sparse", "is_sealed": False})
            self.facts["1 TiB sparse: capture seconds"] = round(answer["seconds"], 2)
            wish = {"template": "sparse", "name": f"{NAME}-new", "is_started": False}
            self.facts["1 TiB sparse: deploy seconds"] = round(daemon.ask(deploy=wish)["seconds"], 2)
            self.facts["1 TiB sparse: peak memory"] = daemon.peak_bytes()
        finally:
            daemon.close()

    def help_seconds(self) -> None:
        estampe = Path(sys.executable).with_name("estampe")
        self.facts["estampe --help, seconds"] = round(
            statistics.median(timed([str(estampe), "--help"]) for _ in range(7)), 3
        )


def table(bench: Bench, rounds: int) -> str:
    size = bench.data_bytes / units.MIB
    lines = [
        _told(bench, rounds),
        "",
        "| work | seconds | MiB/s | times as fast as qemu-img (median of the pairs) | stored |",
        "| --- | --- | --- | --- | --- |",
    ]
    stored_of = {"estampe capture (raw)": "estampe", PEER: "qcow2 zstd", "zstd -T0 -1": "zstd -1",
                 "borg create, zstd 1": "borg", "restic backup": "restic"}  # fmt: skip
    for name, seconds in bench.seconds.items():
        median, ratio = statistics.median(seconds), _ratio(bench, name)
        stored = bench.stored.get(stored_of.get(name, ""))
        lines.append(
            f"| {name} | {median:.1f} | {size / median:.0f} | {'' if ratio is None else f'{ratio:.2f}'} |"
            f" {units.format_bytes(stored) if stored else ''} |"
        )
    lines += ["", "| fact | value |", "| --- | --- |"]
    lines += [f"| {name} | {units.format_bytes(v) if isinstance(v, int) else v} |" for name, v in bench.facts.items()]
    return "\n".join(lines)


def _told(bench: Bench, rounds: int) -> str:
    data_bytes, volume = units.format_bytes(bench.data_bytes), units.format_bytes(bench.raw.stat().st_size)
    return f"{rounds} rounds in turn; {data_bytes} of data in a volume of {volume}; medians."


def _ratio(bench: Bench, name: str) -> float | None:
    """Against qemu-img in the same round: its seconds by ours."""
    if "deploy" in name:
        peers = bench.seconds[f"{PEER}, back to {'raw' if 'raw' in name else 'qcow2'}"]
    elif "back to" in name:
        return None
    else:
        peers = bench.seconds[PEER]
    return statistics.median(peer / ours for peer, ours in zip(peers, bench.seconds[name], strict=False))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, default=Path("/usr"))
    parser.add_argument("--work", type=Path, default=Path("/var/tmp/estampe-bench"))  # noqa: S108 - ours alone, made anew
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    parser.add_argument("--quick", action="store_true", help="only Estampe and qemu-img, no ten captures")
    parser.add_argument("--on-disk", action="store_true", help="work on the file system under --work, not in memory")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what is made on this host is given back
    needed = 0 if asked.on_disk else data.needed_bytes(asked.source)
    in_memory_bytes = needed if needed < data.available_memory_bytes() else 0
    told = machine.facts() | {"where": "tmpfs" if in_memory_bytes else "disk"}
    with site(asked.work, in_memory_bytes=in_memory_bytes) as place:
        bench = Bench(place, asked.source)
        others: list[Callable[[], None]] = [bench.zstd_capture, bench.borg_capture, bench.restic_capture]
        for nth in range(asked.rounds):
            print(f"round {nth + 1}", flush=True)
            bench.capture(QCOW2)
            bench.capture(RAW)
            bench.peer_capture()
            for other in [] if asked.quick else others:
                other()
        bench.deploys(asked.rounds)
        bench.help_seconds()
        bench.sparse()
        if not asked.quick:
            bench.ten_captures()
        print(f"{machine.told()}, data on {told['where']}")
        print(table(bench, asked.rounds))
        if asked.json:
            figures = {"machine": told, "data_bytes": bench.data_bytes, "seconds": bench.seconds,
                       "stored_bytes": bench.stored, "facts": bench.facts}  # fmt: skip
            asked.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()

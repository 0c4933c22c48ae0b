"""What a launch of the appliance costs: a real guest captured whole, and inspected and sealed; deployed as it is, and configured in its files.

The guest is the matrix' `bios`: Debian on MBR and ext4 with ifupdown and no seed reader, so that its final configuration needs the
appliance. The four are whole operations of the daemon (request to end, durable) on a shut-off server, in turn; further, three servers
at one deploy, which share one launch. Ratios within a round count, since the machine's speed drifts.

    script/bench launches [--rounds 3] [--work DIRECTORY]
"""

from __future__ import annotations

import argparse
import shutil
import signal
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from estampe.model import configuration
import machine
from site_of_bench import NAME, Daemon, Site, site

_REPOSITORY: Final = Path(__file__).parents[1]
_SERVERS: Final = 3


def measure(place: Site, rounds: int) -> dict[str, list[float]]:
    """Seconds of each kind of operation, one for each round."""
    built = subprocess.run(
        [_REPOSITORY / "script/build-guest", "matrix", "--part", "bios", "--output", place.pool / "guest.raw"],
        check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    place.define(f"{NAME}-guest", Path(built.stdout.strip()), configuration.VolumeFormat.RAW)
    seconds: dict[str, list[float]] = {}
    for _ in range(rounds):
        shutil.rmtree(place.work / "state", ignore_errors=True)
        daemon = Daemon(place.work)
        try:
            for how, is_sealed in (("without a launch", False), ("with one", True)):
                name = "sealed" if is_sealed else "whole"
                wish = {"server": f"{NAME}-guest", "name": name, "is_sealed": is_sealed}
                _note(seconds, f"capture {how}", daemon.ask(capture=wish)["seconds"])
                _note(seconds, f"deploy {how}", _deploy(place, daemon, name, count=1))
            _note(seconds, f"deploy of {_SERVERS} with one", _deploy(place, daemon, "sealed", count=_SERVERS))
        finally:
            daemon.close()
    return seconds


def _note(seconds: dict[str, list[float]], what: str, found: float) -> None:
    seconds.setdefault(what, []).append(found)
    print(f"  {what}: {found:.1f} s", flush=True)


def _deploy(place: Site, daemon: Daemon, template: str, *, count: int) -> float:
    stem = f"{NAME}-new"
    wish: dict[str, Any] = {"template": template, "name": stem, "count": count, "is_started": False, "interfaces": []}
    seconds = float(daemon.ask(deploy=wish)["seconds"])
    for name in [stem] if count == 1 else [f"{stem}-{nth + 1}" for nth in range(count)]:
        place.undefine(name)
    place.empty_pool(stem)
    return seconds


def table(seconds: dict[str, list[float]]) -> str:
    """As docs/performance.md has it."""
    lines = [
        "| operation | seconds (median) | times that without a launch (median of the pairs) |",
        "| --- | --- | --- |",
    ]
    for what, found in seconds.items():
        bare = seconds[f"{what.split()[0]} without a launch"]
        ratio = statistics.median(mine / theirs for mine, theirs in zip(found, bare, strict=True))
        lines.append(f"| {what} | {statistics.median(found):.1f} | {'' if found is bare else f'{ratio:.1f}'} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("/var/tmp/estampe-bench"))  # noqa: S108 - ours alone, made anew
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what is made on this host is given back
    print(machine.told(), flush=True)
    with site(asked.work) as place:
        print(table(measure(place, asked.rounds)))


if __name__ == "__main__":
    main()

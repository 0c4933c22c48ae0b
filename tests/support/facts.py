"""What a Linux guest says of itself."""

from __future__ import annotations

from dataclasses import dataclass

from tests.support import agent, shell

FILES = "/srv/www"
DELETED_MARK = "estampe-demo: this file was deleted before the capture"
DELETED_BYTES = 96 * 1024 * 1024

_ASK = """
echo hostname=$(hostname)
echo addresses=$(ip -o -4 addr show scope global | awk '{print $4}')
echo root_bytes=$(df --output=size -B1 / | tail -n 1)
echo machine_id=$(cat /etc/machine-id)
echo host_keys=$(cat /etc/ssh/ssh_host_*_key.pub | cut -d' ' -f2 | sort)
echo boot_id=$(cat /proc/sys/kernel/random/boot_id)
"""
# b2sum: the quickest of coreutils' good hashes where 64-bit code is emulated.
_SUM = f"cd {FILES} && find . -type f -print0 | sort -z | xargs -0 b2sum | b2sum | cut -c1-32"


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Who a guest is."""

    hostname: str
    addresses: tuple[str, ...]  # with prefix
    root_bytes: int
    machine_id: str
    host_keys: tuple[str, ...]
    boot_id: str  # another after each boot


@dataclass(frozen=True, kw_only=True)
class Files:
    """What lies below FILES."""

    count: int
    size_bytes: int
    checksum: str  # over all names and contents
    page: str


def wait_until_up(domain: str, *, deadline_seconds: float = 300.0) -> None:
    """Until the agent answers and cloud-init has done its work. Raises: shell.Failed."""
    shell.wait_for(f"the agent of {domain}", lambda: agent.answers(domain), deadline_seconds=deadline_seconds)
    shell.wait_for(f"cloud-init in {domain}", lambda: _is_configured(domain), deadline_seconds=deadline_seconds)


def _is_configured(domain: str) -> bool:
    try:
        agent.run(domain, "test -e /run/cloud-init/result.json")
    except shell.Failed:
        return False
    return True


def identity(domain: str) -> Identity:
    """Raises: shell.Failed."""
    told = dict(line.split("=", 1) for line in agent.run(domain, _ASK).splitlines())
    return Identity(
        hostname=told["hostname"],
        addresses=tuple(told["addresses"].split()),
        root_bytes=int(told["root_bytes"]),
        machine_id=told["machine_id"],
        host_keys=tuple(told["host_keys"].split()),
        boot_id=told["boot_id"],
    )


def fill(domain: str, *, mebibytes: int = 256) -> None:
    """Put a web page and files in the guest, and delete one of DELETED_BYTES whose data stays on the volume.

    Half of the bytes are random, so not compressible, half are text. The mark is put together in the guest: its agent may
    log the script.
    """
    files = mebibytes // 2 // 16
    # Text of plain numbers: seq works a format out in floating point, which emulation makes ten times slower.
    script = f"""
mkdir -p {FILES}/files
echo '<h1>printed once, deployed many times</h1>' >{FILES}/index.html
for n in $(seq {files}); do dd if=/dev/urandom of={FILES}/files/random-$n bs=1M count=16 status=none; done
seq 100000000 999999999 | head -c {files * 16}M | split -b 16M - {FILES}/files/text-
yes "$(printf '{DELETED_MARK.replace("deleted", "%s")}' deleted)" | head -c {DELETED_BYTES} >/srv/deleted
sync
rm /srv/deleted
sync
"""
    agent.run(domain, script, deadline_seconds=180)


def files(domain: str) -> Files:
    """Raises: shell.Failed."""
    script = f"{_SUM}; find {FILES} -type f | wc -l; du -sB1 {FILES} | cut -f1; cat {FILES}/index.html"
    checksum, count, size, page = agent.run(domain, script, deadline_seconds=180).split("\n", 3)
    return Files(count=int(count), size_bytes=int(size), checksum=checksum, page=page.strip())


def occurrences(path: str, text: str) -> int:
    """How many lines of a volume's file contain `text`; a qcow2 file holds its clusters as they are."""
    try:
        found = shell.run(["grep", "--count", "--text", "--fixed-strings", text, path], deadline_seconds=120)
    except shell.Failed as error:
        if "exit status 1:" in str(error):  # none
            return 0
        raise
    return int(found)

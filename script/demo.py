"""Estampe's main job on a real guest, through its own command line, and the proof of it by the guests themselves.

web-01 is a Debian 12 server with a web page and some hundred MB of files, of the account acme. acme captures it and shares
the template with globex, which deploys web-02 from it, with a larger volume, another host name and a static address. Then
acme publishes it, and initech deploys web-03; umbrella gets it neither while it is shared with others nor, since it takes
templates of the cloud's own only, when it is public. At the end all three servers are asked who they are. Names on the host
begin with `estampe-demo`: nothing of the user's own is touched.
"""

from __future__ import annotations

import collections
import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from tests.support import corner, facts, guests, installation, shell

NAME = "estampe-demo"
HOME = Path("/var/lib") / NAME
SOURCE, CLONE, THIRD = f"{NAME}-web-01", f"{NAME}-web-02", f"{NAME}-web-03"
OWNER, RECEIVER, PUBLIC, REFUSED = "acme", "globex", "initech", "umbrella"
TEMPLATE = "web"
OFFERED = f"{OWNER}/{TEMPLATE}"  # as other accounts name it
# Documentation addresses (RFC 5737), on no real network.
SOURCE_ADDRESS, CLONE_ADDRESS, THIRD_ADDRESS = "192.0.2.10/24", "192.0.2.20/24", "192.0.2.30/24"
CONSOLE = "127.0.0.1:8080"  # where `--serve` shows it, unless told otherwise
MEBIBYTES = 256
CLONE_BYTES = 6 << 30
BOOT_SECONDS = 600.0  # under full emulation 60 s, on a busy machine several times that
CAPTURE_SECONDS = 600.0

CORNER = corner.Corner(NAME, HOME / "servers", "estampe-demo0")
OURS = installation.Installation(
    state_directory=HOME / "state",
    run_directory=Path("/run") / NAME,
    settings={"default_pool": CORNER.pool, "default_network": CORNER.network, "log_level": "info"},
)


@dataclass(frozen=True)
class Proof:
    """Something that must be so, and what is."""

    what: str
    expected: str
    found: str
    holds: bool


@dataclass
class Report:
    """What was done, and what came out; printed as it grows."""

    began: float = field(default_factory=time.monotonic)
    proofs: list[Proof] = field(default_factory=list)

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[list[str]]:
        """Time what is done inside; the list takes what there is to say of it."""
        print(f"  {title:<46} ", end="", flush=True)
        began, details = time.monotonic(), []
        try:
            yield details
        except BaseException:
            print("failed", flush=True)
            raise
        print(f"{time.monotonic() - began:6.1f} s   {', '.join(details)}", flush=True)

    def prove(self, what: str, *, expected: object, found: object, holds: bool | None = None) -> None:
        """By default: what was found is what was expected."""
        is_so = expected == found if holds is None else holds
        self.proofs.append(Proof(what, str(expected), str(found), is_so))

    def show(self) -> bool:
        """Print the proofs; whether all hold."""
        rows = [("proof", "expected", "found", ""), *((p.what, p.expected, p.found, _mark(p)) for p in self.proofs)]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        print()
        for number, row in enumerate(rows):
            cells = (text.ljust(width) for text, width in zip(row, (*widths, 0), strict=True))
            print(f"  {'  '.join(cells)}".rstrip())
            if number == 0:
                print(f"  {'  '.join('-' * width for width in widths)}")
        held = sum(proof.holds for proof in self.proofs)
        print(
            f"\n  {held} of {len(self.proofs)} proofs hold; the whole took {_duration(time.monotonic() - self.began)}"
        )
        return held == len(self.proofs)


def main() -> int:
    """Run what the command line asks for; the exit status."""
    if "--serve" not in sys.argv and (pid := OURS.served_by()):
        # Its state would be deleted below it, and it would go on with what is not there.
        print(
            f"error: a daemon of the demo runs as process {pid} (script/demo --serve?): end it first", file=sys.stderr
        )
        return 1
    if "--clean" in sys.argv:
        clean()
        print("removed all that the demo made")
        return 0
    if "--serve" in sys.argv:
        return serve()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return demonstrate()
    except KeyboardInterrupt:
        print("\ninterrupted: removing what was made", flush=True)
        clean()
        return 130
    except (shell.Failed, installation.CommandFailed) as error:
        print(f"\nerror: {error}\nwhat was made is left to look at; the daemon's log: {OURS.log}", file=sys.stderr)
        print("remove it with: script/demo --clean", file=sys.stderr)
        return 1


def demonstrate() -> int:
    """The whole story; 0 if every proof holds."""
    report = Report()
    print("Estampe: capture a server into a template, deploy another from it\n")
    with report.step("build the Debian 12 guest (cached)") as details:
        image = guests.build("debian12")
        details.append(_allocated(image))
    with report.step("clear what an earlier demo left"):
        clean(is_cache_kept=True)
        CORNER.ensure()
    with report.step("look at this host (estampe doctor)") as details:
        has_kvm = OURS.has_kvm()
        details.append("KVM" if has_kvm else "no KVM: full emulation, slow")
    make_source(report, image, has_kvm=has_kvm)
    before, content = facts.identity(SOURCE), facts.files(SOURCE)
    with report.step("start the daemon (estampe serve)"):
        OURS.start()
    try:
        keys = make_accounts(report)
        template = capture(report, keys)
        share(report, keys)
        deploy(report, keys)
        with report.step("ask all guests who they are") as details:
            facts.wait_until_up(SOURCE, deadline_seconds=BOOT_SECONDS)
            prove_clone(report, before, content)
            prove_third(report, before, content)
            prove_source(report, before, content)
            prove_template(report, template)
            prove_access(report, keys)
            details.append("through their agents")
    finally:
        OURS.stop()
    is_proven = report.show()
    print(_LOOK_AROUND)
    return 0 if is_proven else 1


def make_source(report: Report, image: Path, *, has_kvm: bool) -> None:
    """web-01, as somebody may have it: a UEFI server with a volume, its first-boot seed and an empty CD-ROM drive."""
    with report.step("boot it as web-01") as details:
        volume = guests.copy(image, CORNER.pool_directory / f"{SOURCE}.qcow2")
        seed = guests.seed(CORNER.directory / f"{SOURCE}-seed.iso", hostname="web-01", address=SOURCE_ADDRESS)
        guests.Machine(
            name=SOURCE,
            disks=[guests.Disk(path=volume, format="qcow2"), guests.Disk(path=seed, target="vdb", is_read_only=True)],
            has_kvm=has_kvm,
            cpus=2,
            memory_mib=512,
            is_uefi=True,
            network=CORNER.network,
            extra_devices="<disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>",
        ).define()
        shell.virsh("start", SOURCE)
        facts.wait_until_up(SOURCE, deadline_seconds=BOOT_SECONDS)
        details.append("UEFI, 2 CPUs, 512 MiB, volume of 2 GiB")
    with report.step("put a web page and files in it, delete one") as details:
        facts.fill(SOURCE, mebibytes=MEBIBYTES)
        details.append(f"{MEBIBYTES} MiB kept, {facts.DELETED_BYTES >> 20} MiB deleted")


def make_accounts(report: Report) -> dict[str, str]:
    """Four accounts, each with a key of its owner's, by account; web-01 is acme's."""
    with report.step(f"make accounts, give web-01 to {OWNER}") as details:
        for account in (OWNER, RECEIVER, PUBLIC, REFUSED):
            OURS.command("account", "create", account)
        OURS.command("server", "assign", SOURCE, "--account", OWNER)
        OURS.command("publisher", "allow", OWNER)
        OURS.command("publisher", "limit", "cloud", "--account", REFUSED)
        details.append(f"{OWNER}, {RECEIVER}, {PUBLIC}, {REFUSED}, each with an API key")
        return {
            account: OURS.command("--account", account, "api-key", "create", "demo", "--role", "owner")["key"]
            for account in (OWNER, RECEIVER, PUBLIC, REFUSED)
        }


def capture(report: Report, keys: dict[str, str]) -> dict:
    """`estampe capture` by acme; what `estampe template show` then says."""
    with report.step(f"{OWNER}: estampe capture") as details:
        ended = OURS.command(
            "capture", SOURCE, "--name", TEMPLATE, deadline_seconds=CAPTURE_SECONDS, key=keys[OWNER]
        )  # fmt: skip
        result = ended["result"]
        details += [
            f"offline {result['offline_seconds']:.0f} s",
            f"read {_size(result['read_bytes'])}",
            f"stored {_size(result['new_bytes'])}",
        ]
    return OURS.command("template", "show", TEMPLATE, key=keys[OWNER])


def share(report: Report, keys: dict[str, str]) -> None:
    """Share with globex, then publish, as acme; umbrella asks for it after either."""
    with report.step(f"{OWNER}: estampe template share --with {RECEIVER}") as details:
        prove_refused(report, keys, RECEIVER, f"{RECEIVER}, private template")
        OURS.command("template", "share", TEMPLATE, "--with", RECEIVER, key=keys[OWNER])
        prove_refused(report, keys, REFUSED, f"{REFUSED}, shared template")
        details.append(f"refused to {REFUSED}")
    with report.step(f"{OWNER}: estampe template publish") as details:
        prove_refused(report, keys, PUBLIC, f"{PUBLIC}, shared template")
        OURS.command("template", "publish", TEMPLATE, key=keys[OWNER])
        prove_refused(report, keys, REFUSED, f"{REFUSED}, public template")
        details.append(f"refused to {REFUSED}, which takes the cloud's only")


def prove_refused(report: Report, keys: dict[str, str], account: str, what: str) -> None:
    """The account is told what it is told of a template that does not exist."""
    refused, missing = (_plan_error(reference, keys[account]) for reference in (OFFERED, f"{OWNER}/no-such-template"))
    same_words = refused.replace(OFFERED, "...") == missing.replace(f"{OWNER}/no-such-template", "...")
    report.prove(
        what, expected="template-not-found", found=refused.partition(":")[0],
        holds=refused.startswith("template-not-found:") and same_words,
    )  # fmt: skip


def _plan_error(reference: str, key: str) -> str:
    """What `estampe deploy` is refused with."""
    try:
        OURS.command("deploy", reference, f"{NAME}-none", "--network", CORNER.network, "--no-wait", key=key)
    except installation.CommandFailed as error:
        return f"{error.code}: {error.problem.get('detail')}"
    return "not refused:"


def deploy(report: Report, keys: dict[str, str]) -> None:
    """`estampe deploy`, by globex with a larger volume, by initech at the same time; each with a name and an address of its own."""
    with report.step("estampe deploy twice, until both say who they are") as details:
        third = OURS.command(
            "deploy", OFFERED, THIRD, "--hostname", "web-03", "--network", CORNER.network, "--address", THIRD_ADDRESS,
            "--no-wait", key=keys[PUBLIC],
        )  # fmt: skip
        OURS.command(
            "deploy", OFFERED, CLONE, "--hostname", "web-02", "--volume", f"vda={CLONE_BYTES >> 30}GiB",
            "--network", CORNER.network, "--address", CLONE_ADDRESS, deadline_seconds=CAPTURE_SECONDS, key=keys[RECEIVER],
        )  # fmt: skip
        OURS.command("operation", "wait", third["id"], deadline_seconds=CAPTURE_SECONDS, key=keys[PUBLIC])
        details += [f"{RECEIVER} web-02, volume of {_size(CLONE_BYTES)}", f"{PUBLIC} web-03"]
    for server in (CLONE, THIRD):
        facts.wait_until_up(server, deadline_seconds=BOOT_SECONDS)


def prove_clone(report: Report, source: facts.Identity, content: facts.Files) -> None:
    """web-02 has the source's files and none of its identity."""
    found, files = facts.identity(CLONE), facts.files(CLONE)
    report.prove("web-02: host name", expected="web-02", found=found.hostname)
    report.prove("web-02: addresses", expected=CLONE_ADDRESS, found=" ".join(found.addresses))
    least = CLONE_BYTES * 9 // 10  # the boot partition and the file system's own tables take the rest
    report.prove(
        "web-02: root file system", expected=f"{_size(least)} or more", found=_size(found.root_bytes),
        holds=found.root_bytes >= least,
    )  # fmt: skip
    report.prove("web-02: web page", expected=content.page, found=files.page)
    report.prove(f"web-02: checksum of {content.count} files", expected=content.checksum, found=files.checksum)
    for what, was, now in (
        ("machine-id", source.machine_id, found.machine_id),
        ("SSH host key", _fingerprint(source.host_keys), _fingerprint(found.host_keys)),
        ("MAC address", _mac(SOURCE), _mac(CLONE)),
        ("UUID", shell.virsh("domuuid", SOURCE), shell.virsh("domuuid", CLONE)),
    ):
        report.prove(f"web-02: {what}", expected=f"not {was}", found=now or "none", holds=bool(now) and now != was)


def prove_third(report: Report, source: facts.Identity, content: facts.Files) -> None:
    """web-03 too, and it shares nothing with web-02."""
    found, other = facts.identity(THIRD), facts.identity(CLONE)
    report.prove("web-03: host name", expected="web-03", found=found.hostname)
    report.prove("web-03: addresses", expected=THIRD_ADDRESS, found=" ".join(found.addresses))
    report.prove("web-03: checksum of its files", expected=content.checksum, found=facts.files(THIRD).checksum)
    for what, now, others in (
        ("machine-id", found.machine_id, {source.machine_id, other.machine_id}),
        ("SSH host key", _fingerprint(found.host_keys), {_fingerprint(each.host_keys) for each in (source, other)}),
    ):
        report.prove(
            f"web-03: {what}",
            expected="neither of the others'",
            found=now or "none",
            holds=bool(now) and now not in others,
        )


def prove_source(report: Report, before: facts.Identity, content: facts.Files) -> None:
    """web-01 runs again as it was."""
    found = facts.identity(SOURCE)
    report.prove("web-01: state", expected="running", found=CORNER.state(SOURCE))
    report.prove(
        "web-01: started again",
        expected=f"not {before.boot_id}",
        found=found.boot_id,
        holds=found.boot_id != before.boot_id,
    )
    report.prove("web-01: host name", expected="web-01", found=found.hostname)
    report.prove("web-01: machine-id", expected=before.machine_id, found=found.machine_id)
    same = _fingerprint(before.host_keys)
    report.prove("web-01: SSH host key", expected=same, found=_fingerprint(found.host_keys))
    report.prove("web-01: checksum of its files", expected=content.checksum, found=facts.files(SOURCE).checksum)


def prove_template(report: Report, template: dict) -> None:
    """The template is sealed, and a deleted file's data are in no copy."""
    sealing = template["manifest"]["sealing"]
    report.prove("template: sealed", expected=True, found=sealing["is_sealed"])
    trimmed = sealing["trimmed_bytes"]
    report.prove(
        "template: free space trimmed", expected=f"{_size(facts.DELETED_BYTES)} or more", found=_size(trimmed),
        holds=trimmed >= facts.DELETED_BYTES,
    )  # fmt: skip
    was, now = (facts.occurrences(_volume(name), facts.DELETED_MARK) for name in (SOURCE, CLONE))
    report.prove("deleted file on web-01's volume", expected="still there", found=f"{was} lines", holds=was > 0)
    report.prove("deleted file on web-02's volume", expected="0 lines", found=f"{now} lines")
    left_out = " ".join(left["what"] for left in template["manifest"]["configuration"]["left_out"])
    report.prove(
        "template: left out", expected="sda, vdb", found=left_out, holds="sda" in left_out and "vdb" in left_out
    )


def prove_access(report: Report, keys: dict[str, str]) -> None:
    """Each account sees its own servers, acme how many came from its template, and umbrella's audit log holds what was refused."""
    for account, expected in ((OWNER, SOURCE), (RECEIVER, CLONE), (PUBLIC, THIRD), (REFUSED, "")):
        seen = " ".join(server["name"] for server in OURS.command("server", "list", key=keys[account])["servers"])
        report.prove(f"{account}: its servers", expected=expected or "none", found=seen or "none")
    elsewhere = OURS.command("template", "servers", TEMPLATE, key=keys[OWNER])["elsewhere"]
    found = ", ".join(f"{each['count']} of {each['account'] or 'others'}" for each in elsewhere)
    report.prove(f"{OWNER}: servers elsewhere", expected=f"1 of {RECEIVER}, 1 of others", found=found)
    refused = OURS.command("audit", "list", "--outcome", "refused", key=keys[REFUSED])["entries"]
    counted = collections.Counter(f"{each['action']}: {each['code']}" for each in refused)
    found = ", ".join(f"{count} x {what}" for what, count in counted.items())
    # The real template and the missing one, each while it was shared and when it was public.
    report.prove(
        f"{REFUSED}: refused, by its audit log", expected="4 x start_deployment: template-not-found", found=found
    )


def serve() -> int:
    """The daemon on what an earlier demo left, in the foreground."""
    if not OURS.state_directory.exists():
        print("there is nothing to serve: run script/demo first", file=sys.stderr)
        return 1
    listen = os.environ.get("ESTAMPE_LISTEN", CONSOLE)
    print(
        f"serving, and the console at http://{listen}/; in another terminal, as root:\n  export ESTAMPE_SOCKET={OURS.socket}\n"
        f"  {installation.PROGRAM} --account acme template show web\n"
    )
    os.environ.update(OURS.environment | {"ESTAMPE_LISTEN": listen})
    sys.stdout.flush()
    return os.execv(installation.PROGRAM, [str(installation.PROGRAM), "serve"])  # noqa: S606 - becomes the daemon


def clean(*, is_cache_kept: bool = False) -> None:
    """Remove domains, pool, network, directories. The daemon ends first: it might just be making something."""
    OURS.stop()
    CORNER.remove()
    shutil.rmtree(OURS.run_directory, ignore_errors=True)
    kept = _CACHE if is_cache_kept else set()
    for path in list(OURS.state_directory.glob("*")):
        if path.name not in kept:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    if not kept:
        shutil.rmtree(HOME, ignore_errors=True)


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _mark(proof: Proof) -> str:
    return "ok" if proof.holds else "WRONG"


def _fingerprint(keys: tuple[str, ...]) -> str:
    """The end of each key, enough to tell them apart."""
    return " ".join(f"...{key[-16:]}" for key in keys)


def _mac(domain: str) -> str:
    return shell.virsh("domiflist", domain).split()[-1]


def _volume(domain: str) -> str:
    listed = shell.virsh("domblklist", domain).splitlines()
    return next(line.split(maxsplit=1)[1].strip() for line in listed if line.split()[0] == "vda")


def _allocated(path: Path) -> str:
    return _size(path.stat().st_blocks * 512)


def _size(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 1 << 30 else f"{size / 2**20:.0f} MiB"


def _duration(seconds: float) -> str:
    return f"{seconds // 60:.0f} min {seconds % 60:02.0f} s"


_CACHE = {"kvm-probe.json", "appliance"}  # of the daemon, in its state directory: 10 s each to make anew
_LOOK_AROUND = f"""
All three servers are left running (512 MiB each), the daemon is stopped. To look around, as root:
  virsh list                                 the servers, beside your own
  script/demo --serve                        the daemon, until Ctrl-C (ESTAMPE_LISTEN=HOST:PORT for another address of the
                                             console than {CONSOLE}); then in another terminal:
    export ESTAMPE_SOCKET={OURS.socket}
    export ESTAMPE_ACCOUNT={OWNER}              you are the cloud operator, and act for whom you like
    .venv/bin/estampe template show {TEMPLATE}     what was captured, left out and sealed
    .venv/bin/estampe template servers {TEMPLATE}  what was deployed from it, by whom
    .venv/bin/estampe server list
    .venv/bin/estampe audit list               who did what, and what was refused
    .venv/bin/estampe store usage
    .venv/bin/estampe deploy {TEMPLATE} {NAME}-web-04 --network {CORNER.network} --address 192.0.2.40/24
In a browser, where the servers have their serial consoles, too:
    .venv/bin/estampe user add alice           asks for a password; then
    .venv/bin/estampe member add alice --role owner
    http://{CONSOLE}/                     (from elsewhere: ssh -L {CONSOLE.partition(":")[2]}:{CONSOLE} this-host)
To remove all of it:
  script/demo --clean
"""

if __name__ == "__main__":
    sys.exit(main())

"""One guest's way through the product: captured from a server, deployed twice to larger volumes, and both clones asked who they are."""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass
from typing import Any

from tests.matrix import rows
from tests.support import agent, console, corner, guests, installation, shell

BOOT_SECONDS = 900.0  # a minute under full emulation; four boot at once here, beside other tests
WORK_SECONDS = 1200.0  # a launch of the appliance takes half a minute
_TELL = (guests.REPOSITORY / "script/guests/bookworm/root/usr/local/sbin/tell-who").read_text()
_MINIS_MESSAGE = b"engrave once, print many times\n"
_DONE = "told=all\n"
_SYSTEM_PARTITION = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"  # the firmware finds it by its GUID, which stays
# All by which a guest with renewed UUIDs knows its volumes, each a line.
_TELL_UUIDS = f"""lsblk -nro UUID
lsblk -nro PARTUUID,PARTTYPE | grep -vi '{_SYSTEM_PARTITION}' | cut -d' ' -f1
vgs --noheadings -o vg_uuid
pvs --noheadings -o pv_uuid"""
# What no two servers may have in common, as tell-who calls it; a guest has what it has.
IDENTITIES = (
    "machine_id", "dbus_id", "host_keys", "random_seed", "dhcp_ids", "network_manager_key", "iscsi_name", "nvme_name",
    "credential_secret", "cloud_instance", "product_uuid", "macs", "volume_uuids",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server, from outside and from inside."""

    name: str
    told: dict[str, str]
    address: str = ""
    report: tuple[dict[str, Any], ...] = ()
    is_confirmed: bool = False


@dataclass(frozen=True, kw_only=True)
class Story:
    """What came to pass with one guest."""

    row: rows.Row
    source: Server
    clones: tuple[Server, Server]
    template: dict[str, Any]
    sums_before: list[str]  # of the source's volumes
    sums_after: list[str]


@dataclass(frozen=True, kw_only=True)
class Teller:
    """Makes a guest's story, in a corner of libvirt and with a daemon that other stories use beside it."""

    corner: corner.Corner
    daemon: installation.Installation
    has_kvm: bool

    def tell(self, row: rows.Row) -> Story:
        """Raises: shell.Failed, installation.CommandFailed."""
        source = f"{self.corner.prefix}-{row.name}"
        clones = [f"{source}-{nth}" for nth in (1, 2)]
        try:
            disks = self._define(row, source)
            before = _sums(disks)
            self.daemon.command("capture", source, "--name", row.name, deadline_seconds=WORK_SECONDS)
            begun = [
                self.daemon.command("deploy", row.name, name, *_options(row, nth), "--no-wait")["id"]
                for nth, name in enumerate(clones, start=1)
            ]
            ended = [self.daemon.command("operation", "wait", each, deadline_seconds=WORK_SECONDS) for each in begun]
            found = [self._clone(row, nth, name, ended[nth - 1]["result"]) for nth, name in enumerate(clones, start=1)]
            template = self.daemon.command("template", "show", row.name)
            known = _uuids_seen(template) if row.is_renewed else {}
            return Story(
                row=row,
                source=Server(name=source, told=self._source(row, source) | known),
                clones=(found[0], found[1]),
                template=template,
                sums_before=before,
                sums_after=_sums(disks),
            )
        finally:
            self._remove([source, *clones])

    def _define(self, row: rows.Row, name: str) -> list[guests.Disk]:
        disks = [
            guests.Disk(
                path=guests.copy(
                    guests.build(row.recipe, part=volume.part), self.corner.directory / f"{name}-{volume.target}"
                ),
                target=volume.target,
                sector_bytes=volume.sector_bytes,
            )
            for volume in row.volumes
        ]
        guests.Machine(
            name=name,
            disks=disks,
            has_kvm=self.has_kvm,
            memory_mib=512,
            is_uefi=row.is_uefi,
            network=self.corner.network,
        ).define()
        return disks

    def _source(self, row: rows.Row, name: str) -> dict[str, str]:
        """What the server would say of itself, by its builder, and what libvirt says of it."""
        if row.is_opaque:
            return {"files": hashlib.sha256(_MINIS_MESSAGE).hexdigest()[:32]} | _outside(name)
        return parsed(guests.build(row.recipe, part=f"{row.name}-told").read_text()) | _outside(name)

    def _clone(self, row: rows.Row, nth: int, name: str, result: dict[str, Any]) -> Server:
        [server] = result["servers"]
        return Server(
            name=name,
            told=_ask(row, nth, name) | (_outside(name) if row.is_opaque else {}) | _uuids(row, name),
            address=rows.address(nth),
            report=tuple(self.daemon.command("server", "show", name)["report"]),
            is_confirmed=server["is_confirmed"],
        )

    def _remove(self, names: list[str]) -> None:
        for name in set(names) & set(self.corner.domains()):
            self.corner.remove_domain(name)
        for place in (self.corner.directory, self.corner.pool_directory):
            for path in place.iterdir():
                if path.is_file() and path.name.startswith(tuple(names)):
                    path.unlink()


def _options(row: rows.Row, nth: int) -> list[str]:
    larger = [f"{volume.target}={volume.grown_mib}MiB" for volume in row.volumes if volume.grown_mib]
    options = [*row.asked, *(word for each in larger for word in ("--volume", each))]
    if row.is_opaque:
        return options
    options += ["--fqdn", rows.fqdn(row, nth), "--address", rows.address(nth), "--address", rows.address6(nth)]
    options += ["--gateway", rows.GATEWAY, "--dns", "192.0.2.53", "--ssh-key", rows.KEY]
    options += ["--run", f"echo {rows.COMMAND} >/srv/command"]
    return options if row.has_seed else [*options, "--timezone", "Europe/Paris"]


def _uuids(row: rows.Row, name: str) -> dict[str, str]:
    if not row.is_renewed:
        return {}
    said = agent.run(name, _TELL_UUIDS, deadline_seconds=180)
    return {"volume_uuids": " ".join(dict.fromkeys(said.split()))}


def _uuids_seen(template: dict[str, Any]) -> dict[str, str]:
    """Of the source, as they were recorded."""
    found = [each["uuid"] for each in template["manifest"]["guest"]["file_systems"]]
    partitions = [each for volume in template["manifest"]["layout"]["volumes"] for each in volume["partitions"]]
    found += [each["uuid"] for each in partitions if each["type"] != _SYSTEM_PARTITION]
    return {"volume_uuids": " ".join(dict.fromkeys(uuid for uuid in found if uuid))}


def _sums(disks: list[guests.Disk]) -> list[str]:
    return [shell.run(["b2sum", str(disk.path)], deadline_seconds=120).split()[0] for disk in disks]


def _outside(name: str) -> dict[str, str]:
    interfaces = [line.split()[-1] for line in shell.virsh("domiflist", name).splitlines()]
    return {"product_uuid": shell.virsh("domuuid", name), "macs": " ".join(sorted(interfaces))}


def _ask(row: rows.Row, nth: int, name: str) -> dict[str, str]:
    """Once what the first boot has to do is done, or the deadline has passed: then as it is. Raises: shell.Failed."""
    deadline = time.monotonic() + BOOT_SECONDS
    while True:
        is_late = time.monotonic() > deadline
        try:
            told = parsed(_say(row, name))
        except shell.Failed:  # the agent of a guest that is busy booting gives no answer in time
            if is_late:
                raise
        else:
            if row.is_opaque or _is_done(told, nth) or is_late:
                return told
        time.sleep(3)


def _is_done(told: dict[str, str], nth: int) -> bool:
    return bool(told["command"] and told["host_keys"]) and rows.address(nth) in told["addresses"].split()


def _say(row: rows.Row, name: str) -> str:
    if row.has_agent:
        shell.wait_for(f"the agent of {name}", lambda: agent.answers(name), deadline_seconds=BOOT_SECONDS)
        return agent.run(name, _TELL, deadline_seconds=180)
    said = console.read(name, r"(hostname|product_uuid)=(.|\n)*" + _DONE, deadline_seconds=BOOT_SECONDS)
    return said[: said.rindex(_DONE)]


def parsed(text: str) -> dict[str, str]:
    """Of KEY=VALUE lines, the last of each key; others are no matter."""
    return dict(line.split("=", 1) for line in text.splitlines() if re.match(r"[a-z_]+=", line))

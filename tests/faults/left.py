"""What an operation may leave behind, looked for everywhere; and whether what it made is whole."""

from __future__ import annotations

import hashlib
import random
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

from tests.faults import site

from estampe.model import chunk, manifest
from estampe.store import check as store_check
from estampe.store import chunks, local, manifests

# SQLite's logs, and the built appliance that is kept for the next launch.
_COMES_AND_GOES = {"estampe.db-wal", "estampe.db-shm", "jobs.db-wal", "jobs.db-shm", "appliance"}
_APPLIANCE_SOCKETS = re.compile(r"path=(/[^, ]*/libguestfs\w{6})/")


def files(here: site.Site) -> dict[str, set[str]]:
    """Everything that only an unfinished operation, or a server, may have: by kind, what is there."""
    work = here.state / "work"
    site.virsh("pool-refresh", here.token)
    return {
        "domains": {each.name for each in here.host.list_domains() if each.name.startswith(here.token)},
        "pool files": {path.name for path in here.pool.iterdir()},
        "pool volumes": set(site.virsh("vol-list", here.token).split()[::2]),
        "source files": {path.name for path in here.sources.iterdir()},
        "NVRAM files": {path.name for path in here.nvram()},
        "seeds": {path.name for path in (here.state / "seeds").glob("*")},
        "work directories": {str(path.relative_to(work)) for path in work.rglob("*")},
        "sockets": {str(path.relative_to(here.run_directory)) for path in (here.run_directory / "operations").rglob("*")},
        "store drafts": {path.name for name in ("tmp", "aside") for path in (here.store / name).glob("*")},
        "state": {path.name for path in here.state.iterdir()} - _COMES_AND_GOES,
    }  # fmt: skip


def changed(before: dict[str, set[str]], now: dict[str, set[str]]) -> dict[str, tuple[list[str], list[str]]]:
    """(gone, come) of each kind that is not as it was."""
    kinds = sorted(kind for kind in before if before[kind] != now[kind])
    return {kind: (sorted(before[kind] - now[kind]), sorted(now[kind] - before[kind])) for kind in kinds}


def processes(here: site.Site) -> dict[int, str]:
    """Children of daemons that work in this place, by its name in their arguments or environment; not libvirt's servers."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            arguments = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            environment = (entry / "environ").read_bytes().decode(errors="replace")
        except OSError:  # ended meanwhile
            continue
        is_server = f"guest={here.token}" in arguments
        if here.token in arguments + environment and not is_server and arguments:
            found[int(entry.name)] = arguments
    return found


def appliance_sockets(here: site.Site) -> list[Path]:
    """Where the appliances that run here have their sockets: libguestfs puts those outside of any place of ours."""
    return [Path(found) for line in processes(here).values() for found in _APPLIANCE_SOCKETS.findall(line)]


def nothing_runs(here: site.Site) -> None:
    assert site.eventually(lambda: not processes(here)), processes(here)


def server_is_as_before(here: site.Site, server: site.Server, *, definition: str, power_state: str) -> None:
    now = here.power_state(server)
    assert now == power_state, now
    defined = here.definition(server)
    assert defined == definition, defined
    assert tuple(site.digest(path) for path in server.paths) == server.files, "the volumes' files"
    devices = [path for path in server.paths if path.is_block_device()]
    assert [Path(f"/sys/class/block/{path.name}/ro").read_text() for path in devices] == ["0\n"] * len(devices), devices


def open_store(here: site.Site) -> local.LocalStore:
    return local.LocalStore.open(here.store)


def store_is_sound(here: site.Site) -> None:
    report = store_check.check(open_store(here), rng=random.Random(1))
    assert report.is_sound, report


def template_contents(here: site.Site, template_id: str) -> tuple[str, ...]:
    """SHA-256 of each volume, read back out of the store chunk by chunk."""
    digests = []
    for volume in range(len(manifest_of(here, template_id).volumes)):
        digest = hashlib.sha256()
        for plain in volume_pieces(here, template_id, volume):
            digest.update(plain)
        digests.append(digest.hexdigest())
    return tuple(digests)


def manifest_of(here: site.Site, template_id: str) -> manifest.Manifest:
    return manifests.get(open_store(here), uuid.UUID(template_id))


def volume_pieces(here: site.Site, template_id: str, nth: int) -> Iterator[bytes]:
    """The plain bytes of a template's volume, verified, in order."""
    found, store = manifest_of(here, template_id), open_store(here)
    volume, reader = found.volumes[nth], chunks.Chunks(store)
    for index in range(chunk.chunk_count(volume.size_bytes, found.chunk_size_bytes)):
        length = chunk.chunk_length(index, size_bytes=volume.size_bytes, chunk_size_bytes=found.chunk_size_bytes)
        chunk_id = volume.table.find(index)
        yield reader.get(chunk_id, length) if chunk_id else bytes(length)


def chunk_count(here: site.Site) -> int:
    return sum(1 for _ in open_store(here).list_chunks())

"""100,000 templates of 1,000 accounts: their rows, and manifests of those that are shown."""

from __future__ import annotations

import datetime
import random
import uuid
from collections.abc import Collection, Iterator
from typing import Any

import sqlalchemy as sa

from estampe.db import database, schema
from estampe.model import chunk, configuration, guest, manifest, template
from estampe.store import base as stores

ACCOUNTS, TEMPLATES, VERSIONS = 1_000, 100_000, 5
PUBLIC_SHARE = 0.1
SHARES_EACH = 50  # that an account receives
TAGS = ("approved", "gpu", "large", "legacy", "linux", "nightly", "small", "windows")
TAGS_EACH = 2
NOW = datetime.datetime(2026, 3, 1, tzinfo=datetime.UTC)
_BATCH = 5_000
_CHUNKS = 4_096  # in the manifest of each template that is shown: 1 GiB of data


def fill(db: database.Database, rng: random.Random) -> None:
    """The rows."""
    owners = [uuid.UUID(int=rng.getrandbits(128), version=4) for _ in range(ACCOUNTS)]
    names = [{"id": owner, "name": f"account-{n:04d}", "created_at": NOW} for n, owner in enumerate(owners)]
    rows = list(_templates(owners, rng))
    tags = [
        {"template_id": row["id"], "tag": tag, "position": position}
        for row in rows
        for position, tag in enumerate(rng.sample(TAGS, TAGS_EACH))
    ]
    pairs = sorted({(rng.choice(owners), rng.choice(rows)["id"]) for _ in range(ACCOUNTS * SHARES_EACH)})
    told = {"right": "deploy", "note": "", "expires_at": None, "shared_at": NOW, "shared_by": "bench"}
    shares = [{"account_id": account_id, "template_id": template_id, **told} for account_id, template_id in pairs]
    with db.write() as connection:
        for table, values in (
            (schema.accounts, names), (schema.templates, rows), (schema.template_tags, tags), (schema.template_shares, shares),
        ):  # fmt: skip
            for begin in range(0, len(values), _BATCH):
                connection.execute(sa.insert(table), values[begin : begin + _BATCH])


def _templates(owners: list[uuid.UUID], rng: random.Random) -> Iterator[dict[str, Any]]:
    each = TEMPLATES // len(owners)
    kinds = ("debian", "ubuntu", "web", "db", "ci-build", "base", "windows")
    for owner in owners:
        for number in range(each):
            is_public = rng.random() < PUBLIC_SHARE
            yield {
                "id": uuid.UUID(int=rng.getrandbits(128), version=4), "owner_id": owner, "version": number % VERSIONS + 1,
                "name": f"{kinds[number // VERSIONS % len(kinds)]}-{number // VERSIONS}", "state": template.State.ACTIVE,
                "note": "", "server_name": "source", "created_at": NOW + datetime.timedelta(seconds=rng.randrange(10**7)),
                "logical_bytes": rng.randrange(2**40), "data_bytes": 1, "new_bytes": 1, "is_sealed": True,
                "guest_product": "Debian GNU/Linux 12", "published_at": NOW if is_public else None,
                "published_by": "bench" if is_public else None, "publication_right": "deploy" if is_public else None,
                "publication_note": "" if is_public else None,
            }  # fmt: skip


def put_manifests(store: stores.Store, shown: Collection[template.Template], rng: random.Random) -> None:
    """Of these templates. Nothing reads their chunks, so there are none."""
    for each in shown:
        store.put_manifest(each.id, manifest.encode(_manifest(each, store.chunk_size_bytes, rng)))


def _manifest(of: template.Template, chunk_size_bytes: int, rng: random.Random) -> manifest.Manifest:
    size = 2 * _CHUNKS * chunk_size_bytes
    volume = configuration.VolumeConfiguration(
        target="vda", bus="virtio", size_bytes=size, format=configuration.VolumeFormat.QCOW2
    )
    interface = configuration.InterfaceConfiguration(
        mac="52:54:00:12:34:56", kind="network", source="default", model="virtio"
    )
    recorded = configuration.Configuration(
        name="source", domain_uuid=str(of.id), architecture="x86_64", machine="pc-q35-7.2", cpus=2, memory_bytes=2**31,
        cpu_mode="host-model", cpu_model=None, firmware=configuration.Firmware.BIOS, has_secure_boot=False,
        has_agent_channel=True, volumes=(volume,), interfaces=(interface,), left_out=(),
        domain_xml="<domain type='kvm'>" + "<device/>" * 500 + "</domain>",  # as long as libvirt's are
    )  # fmt: skip
    root = guest.FileSystem(
        device="vda1", kind="ext4", size_bytes=size, used_bytes=size // 2, mount_point="/", uuid=str(of.id), label=None
    )
    found = guest.Guest(
        kind="linux", distribution="debian", version="12.5", product="Debian GNU/Linux 12", hostname="source",
        root_device="vda1", file_systems=(root,), has_cloud_init=True, has_guest_agent=True, can_grow_root=True,
        package_count=400,
    )  # fmt: skip
    ids = rng.randbytes(_CHUNKS * chunk.ID_BYTES)
    return manifest.Manifest(
        template_id=of.id, owner_id=of.owner_id, name=of.name, version=of.version, created_at=of.created_at,
        chunk_size_bytes=chunk_size_bytes, configuration=recorded, nvram=None, guest=found,
        sealing=guest.Sealing(is_sealed=True, why_not=None, actions=("emptied /etc/machine-id",), trimmed_bytes=0),
        volumes=(manifest.ManifestVolume(target="vda", size_bytes=size, table=chunk.ChunkTable([chunk.Run(0, ids)])),),
    )  # fmt: skip

"""A small town for the console's tests: two accounts with people and templates, over the real services and a fake host.

acme     alice (owner), victor (viewer)      web@1..3 (3 shared with globex), db@1 (public), old@1 (in the trash)
globex   gina (owner), alice (viewer)        lab@1
oscar    cloud operator
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import uuid
from pathlib import Path
from typing import Any

from tests.unit import site_under_test
from tests.unit.api import people

from estampe.accounts import oidc_sign_in
from estampe.api import app as api_app
from estampe.api import services as ports
from estampe.capture import request as capture
from estampe.model import access, account, characteristics, guest, inventory, layout, manifest, operation, visibility
from estampe.model import template as templates
from estampe.store import manifests
from estampe.web import app as web_app

ORIGIN = "http://127.0.0.1:8080"
PASSWORD = "correct horse battery"
HOSTILE = "<script>window.hurt = 1</script><img src=x onerror='window.hurt = 1'>"
HOSTILE_SERVER = "<img src=x onerror='window.hurt = 1'>"  # no slash: the fake host names a file by it
MIB = 1024**2


class Town:
    """Put together once; tests that change things take what no other looks at."""

    def __init__(
        self, directory: Path, migrated: Path | str, *, run_directory: Path, origin: str | None = ORIGIN
    ) -> None:
        self.site = site_under_test.Site(directory, migrated, run_directory=run_directory)
        self.settings, self.services = self.site.settings, _quick(self.site.services)
        self.acme, self.globex = (self.services.accounts.create(name) for name in ("acme", "globex"))
        for name, is_operator in (("alice", False), ("victor", False), ("gina", False), ("oscar", True)):
            self.services.people.add_user(name, password=PASSWORD, is_cloud_operator=is_operator)
        for of, name, role in (
            (self.acme, "alice", account.Role.OWNER), (self.acme, "victor", account.Role.VIEWER),
            (self.globex, "gina", account.Role.OWNER), (self.globex, "alice", account.Role.VIEWER),
        ):  # fmt: skip
            self.services.people.add_member(of.id, name, role)
        self.services.sharing.allow_publishing(self.acme.id, may_publish=True)
        self._fill()
        self.api = api_app.create(self.services, public_origin=origin, meter=self.site.installation.meter)
        self.served = web_app.create(self.api, public_origin=origin)

    running: operation.Operation  # where a test has begun one that is to be looked at
    failed: operation.Operation

    def _fill(self) -> None:
        for note in ("first", "with the new certificates", "nginx and the shop"):
            self.capture(self.acme, "web", note=note, tags=("production", "shop"), guest_of=DEBIAN)
        self.capture(self.acme, "db", note=HOSTILE, server=HOSTILE_SERVER, guest_of=ROCKY)
        self.capture(self.acme, "old", note="before the move")
        self.capture(self.globex, "lab", note="for trials", guest_of=DEBIAN)
        self.services.templates.change_characteristics(
            self.acme.id, "web@3", characteristics.Change(given={
                "tuned_for": "web pages", "least": {"cpus": 2, "memory_bytes": 1024 * MIB}, "tuned": {"queues": "cpus"},
            }),
        )  # fmt: skip
        alice = self.actor(self.acme, "alice")
        self.services.sharing.share(alice, "web@3", "globex", visibility.Terms(note="for your lab"), expires_at=None)
        self.services.sharing.publish(alice, "db@1", visibility.Terms(note=HOSTILE), is_unsealed_accepted=True)
        self.services.life.delete(self.acme.id, "old@1", by="alice")

    def actor(self, of: account.Account, name: str, role: account.Role = account.Role.OWNER) -> access.Actor:
        return access.Actor(name=name, account=of, role=role, is_cloud_operator=False, address="test")

    def capture(
        self, of: account.Account, name: str, *, note: str = "", tags: tuple[str, ...] = (), server: str | None = None,
        guest_of: guest.Guest | None = None,
    ) -> templates.Template:  # fmt: skip
        """A template, as if its guest had been inspected and sealed."""
        source = server or f"{name}-01"
        if self.site.host.find_domain(source) is None:
            self.site.add_server(source, seed=len(name))
            self.services.servers.assign(source, of.id)
        begun = self.services.captures.start(
            of.id, capture.CaptureRequest(server=source, name=name, note=note, tags=tags, is_sealed=False)
        )
        self.site.run()
        ended = self.services.operations.get(of.id, str(begun.id))
        assert ended.state is operation.State.SUCCEEDED, ended.error
        made = self.services.templates.seen(of.id, ended.result["template_id"]).template
        if guest_of is not None:
            self._inspected(made, guest_of)
        return self.services.templates.seen(of.id, str(made.id)).template

    def begin(
        self, of: account.Account, kind: operation.Kind, subject: str, progress: operation.Progress, *, seconds: float,
        request: dict[str, Any] | None = None,
    ) -> operation.Operation:  # fmt: skip
        """An operation that has run for so long and stays where it is: the engine does not know it."""
        rows, at = self.site.installation.rows, self.site.today - datetime.timedelta(seconds=seconds)
        made = rows.add(
            id=uuid.uuid4(), owner_id=of.id, kind=kind, subject=subject, request=request or {}, created_at=at
        )
        rows.start(made.id, at=at)
        rows.report(made.id, progress, at=at)
        return self.services.operations.get(of.id, str(made.id))

    def _inspected(self, made: templates.Template, found: guest.Guest) -> None:
        present = manifests.get(self.site.store, made.id)
        (volume,) = present.volumes
        systems = tuple(_scaled(each, volume.size_bytes) for each in found.file_systems)
        laid_out = layout.Layout(
            volumes=(_laid_out(volume.target, volume.size_bytes, found),), groups=_groups(found, volume.size_bytes)
        )
        sealing = dataclasses.replace(
            present.sealing, is_sealed=True, why_not=None, actions=("emptied /etc/machine-id",)
        )
        changed = dataclasses.replace(
            present, guest=dataclasses.replace(found, file_systems=systems), sealing=sealing, layout=laid_out
        )
        self.site.store.delete_manifest(made.id)
        self.site.store.put_manifest(made.id, manifest.encode(changed))
        self.site.give_inventory(made.id, inventory.encode(_inventory(made.version)))
        with self.site.db.write() as connection:
            connection.exec_driver_sql(
                "UPDATE templates SET guest_product = ?, is_sealed = 1 WHERE id = ?", (found.product, made.id.hex)
            )

    def close(self) -> None:
        self.site.close()


def _quick(services: ports.Services) -> ports.Services:
    """With passwords that are hashed in no time: a hundred people sign in here."""
    return dataclasses.replace(
        services,
        people=dataclasses.replace(services.people, passwords=people.QUICK),
        sign_in=dataclasses.replace(services.sign_in, passwords=people.QUICK),
    )


def _scaled(found: guest.FileSystem, size_bytes: int) -> guest.FileSystem:
    """Sizes below are in thousandths of the volume: the fake host's volumes are small."""
    used = None if found.used_bytes is None else found.used_bytes * size_bytes // 1000
    return dataclasses.replace(found, size_bytes=found.size_bytes * size_bytes // 1000, used_bytes=used)


def _laid_out(target: str, size_bytes: int, found: guest.Guest) -> layout.VolumeLayout:
    """Its file systems one behind the other; what they leave of the volume is a physical volume where there are logical ones."""
    partitions, at = [], 10 * size_bytes // 1000
    plain = [each for each in found.file_systems if each.device.startswith(target)]
    wanted = [(each.size_bytes, each.kind) for each in plain] + [(860, "LVM2_member")] * (
        len(plain) < len(found.file_systems)
    )
    for number, (size, content) in enumerate(wanted, 1):
        partitions.append(
            layout.Partition(
                number=number, start_bytes=at, size_bytes=size * size_bytes // 1000, type="0FC63DAF", name=None,
                is_bootable=False, is_logical=False, content=content,
            )
        )  # fmt: skip
        at += size * size_bytes // 1000
    return layout.VolumeLayout(
        target=target, size_bytes=size_bytes, sector_size_bytes=512, table=layout.TableKind.GPT,
        partitions=tuple(partitions), content=None,
    )  # fmt: skip


def _groups(found: guest.Guest, size_bytes: int) -> tuple[layout.VolumeGroup, ...]:
    logical = [each for each in found.file_systems if each.device.startswith("/dev/rl/")]
    volumes = tuple(
        layout.LogicalVolume(
            name=each.device.removeprefix("/dev/rl/"), size_bytes=each.size_bytes * size_bytes // 1000, kind="linear", content=each.kind
        )
        for each in logical
    )  # fmt: skip
    group = layout.VolumeGroup(
        name="rl", extent_size_bytes=4 * MIB, free_bytes=160 * size_bytes // 1000, physical_volumes=("vda3",),
        logical_volumes=volumes,
    )  # fmt: skip
    return (group,) if volumes else ()


def _inventory(version: int) -> inventory.Inventory:
    """Each version has a newer nginx; the second brought a shop, the third its user."""
    packages = [("nginx", f"1.2{version}-1"), ("openssl", "3.0.15-1~deb12u1"), ("systemd", "252.31-1~deb12u1")]
    packages += [("shop", "2.4-1")] * (version > 1)
    return inventory.Inventory(
        packages=tuple(
            inventory.Package(name=name, version=told, architecture="amd64") for name, told in sorted(packages)
        ),
        users=(
            inventory.User(name="root", uid=0, shell="/bin/bash"),  # noqa: S604 - nobody runs it
            *([inventory.User(name="shop", uid=998, shell="/usr/sbin/nologin")] if version > 2 else []),  # noqa: S604
        ),
        services=("nginx.service", "ssh.service", *(["shop.service"] if version > 1 else [])),
        files={"/etc/nginx/nginx.conf": _digest(f"of version {version}"), "/etc/hosts": _digest("hosts")},
    )


def _digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def _system(device: str, kind: str, size: int, used: int | None, mount_point: str | None) -> guest.FileSystem:
    return guest.FileSystem(
        device=device, kind=kind, size_bytes=size, used_bytes=used, mount_point=mount_point, uuid=None, label=None
    )


DEBIAN = guest.Guest(
    kind="linux", distribution="debian", version="12.5", product="Debian GNU/Linux 12 (bookworm)", hostname="web-01",
    root_device="vda3", has_cloud_init=True, has_guest_agent=True, can_grow_root=True, package_count=421,
    boot_loader="grub-efi", network="systemd-networkd", seed_reader="cloud-init", init="systemd",
    seed_formats=("nocloud", "config-drive"), volume_buses=("virtio-blk", "virtio-scsi"),
    file_systems=(
        _system("vda1", "vfat", 60, 8, "/boot/efi"), _system("vda2", "swap", 90, None, None),
        _system("vda3", "ext4", 820, 430, "/"),
    ),
)  # fmt: skip
ROCKY = dataclasses.replace(
    DEBIAN, distribution="rocky", version="9.4", product="Rocky Linux 9.4 (Blue Onyx)", hostname="db-01",
    has_cloud_init=False, package_count=1204, network="network-manager", seed_reader=None, seed_formats=(),
    file_systems=(
        _system("vda1", "vfat", 40, 4, "/boot/efi"), _system("vda2", "xfs", 80, 40, "/boot"),
        _system("/dev/rl/root", "xfs", 600, 240, "/"), _system("/dev/rl/swap", "swap", 100, None, None),
    ),
)  # fmt: skip


def provided(made: Town) -> web_app.Site:
    """The same town with an OpenID provider that vouches for olga."""
    provider = people.Provider()
    provider.person = dataclasses.replace(provider.person, name="olga")
    policy = oidc_sign_in.Policy(redirect_uri=f"{ORIGIN}/v1/oidc/callback")
    service = dataclasses.replace(made.services.oidc, provider=provider, policy=policy)
    if not made.services.people.knows("olga"):
        made.services.people.add_user("olga", password=None, is_cloud_operator=False)
        made.services.people.add_member(made.acme.id, "olga", account.Role.VIEWER)
    api = api_app.create(dataclasses.replace(made.services, oidc=service), public_origin=ORIGIN)
    return web_app.create(api, public_origin=ORIGIN)

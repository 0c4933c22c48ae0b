"""Hand-written services in memory that behave as `estampe.api.services` says, with hooks to make them fail."""

from __future__ import annotations

import dataclasses
import datetime
import fnmatch
import threading
import uuid
from dataclasses import dataclass, field
from typing import Any

from tests.unit.api import people

from estampe import errors
from estampe.api import services
from estampe.capture import request as capture_request
from estampe.catalogue import views as template_views
from estampe.deploy import request as deploy_request
from estampe.model import account, configuration, guest, operation, power, template
from estampe.servers import views as server_views
from estampe.store import manifests, usage
from estampe.virt import base as virt

GIB = 1024**3
NOW = datetime.datetime(2026, 11, 23, 12, 0, tzinfo=datetime.UTC)
OWNER = account.DEFAULT_ACCOUNT_ID


def an_id(number: int) -> uuid.UUID:
    return uuid.UUID(f"{number:08x}-0000-4000-8000-000000000000")


def a_configuration(**changes: Any) -> configuration.Configuration:
    volume = configuration.VolumeConfiguration(
        target="vda", bus="virtio", size_bytes=12 * GIB, format=configuration.VolumeFormat.QCOW2, boot_order=1
    )
    interface = configuration.InterfaceConfiguration(
        mac="52:54:00:00:00:01", kind="network", source="default", model="virtio"
    )
    known = configuration.Configuration(
        name="web-01",
        domain_uuid=str(an_id(101)),
        architecture="x86_64",
        machine="pc-q35-7.2",
        cpus=2,
        memory_bytes=2 * GIB,
        cpu_mode="host-model",
        cpu_model=None,
        firmware=configuration.Firmware.UEFI,
        has_secure_boot=False,
        has_agent_channel=True,
        volumes=(volume,),
        interfaces=(interface,),
        left_out=(configuration.LeftOut(what="CD-ROM sda", why="removable"),),
        domain_xml="<domain/>",
    )
    return dataclasses.replace(known, **changes)


def a_server(**changes: Any) -> server_views.ServerView:
    known = server_views.ServerView(
        id=an_id(1),
        name="web-01",
        domain_uuid=an_id(101),
        power_state=power.PowerState.RUNNING,
        cpus=2,
        memory_bytes=2 * GIB,
        is_persistent=True,
        template="web@3",
        busy_operation=None,
    )
    return dataclasses.replace(known, **changes)


def a_template(**changes: Any) -> template.Template:
    known = template.Template(
        id=an_id(201),
        owner_id=OWNER,
        name="web",
        version=1,
        state=template.State.ACTIVE,
        note="nginx",
        tags=("production",),
        server_id=an_id(1),
        server_name="web-01",
        created_at=NOW,
        logical_bytes=12 * GIB,
        data_bytes=5 * GIB,
        new_bytes=2 * GIB,
        is_sealed=True,
        guest_product="Debian GNU/Linux 12 (bookworm)",
    )
    return dataclasses.replace(known, **changes)


def an_operation(**changes: Any) -> operation.Operation:
    known = operation.Operation(
        id=an_id(301),
        owner_id=OWNER,
        kind=operation.Kind.CAPTURE,
        subject="web-01",
        state=operation.State.RUNNING,
        progress=operation.Progress(phase="planning"),
        phase_started_at=NOW,
        is_cancel_requested=False,
        request={},
        result=None,
        error=None,
        created_at=NOW,
        started_at=NOW,
        ended_at=None,
    )
    return dataclasses.replace(known, **changes)


def a_manifest() -> template_views.ManifestSummary:
    file_system = guest.FileSystem(
        device="vda1", kind="ext4", size_bytes=11 * GIB, used_bytes=5 * GIB, mount_point="/", uuid="u", label=None
    )
    return template_views.ManifestSummary(
        chunk_size_bytes=1024**2,
        configuration=a_configuration(),
        volumes=(
            template_views.VolumeSummary(target="vda", size_bytes=12 * GIB, data_bytes=5 * GIB, chunk_count=5120),
        ),
        guest=guest.Guest(
            kind="linux",
            distribution="debian",
            version="12.5",
            product="Debian GNU/Linux 12 (bookworm)",
            hostname="web-01",
            root_device="vda1",
            file_systems=(file_system,),
            has_cloud_init=True,
            has_guest_agent=True,
            can_grow_root=True,
            package_count=420,
        ),
        sealing=guest.Sealing(
            is_sealed=True,
            why_not=None,
            actions=("emptied /etc/machine-id",),
            trimmed_bytes=100 * 1024**2,
            notes=("a note",),
        ),
        has_nvram=True,
    )


@dataclass
class World:
    """What the fake services share. `failure` is raised by every call while it is set; `calls` tells what was asked."""

    servers: dict[str, server_views.ServerView] = field(default_factory=lambda: {"web-01": a_server()})
    problem: str | None = None
    templates: list[template.Template] = field(
        default_factory=lambda: [a_template(version=2, id=an_id(202)), a_template()]
    )
    operations: dict[uuid.UUID, operation.Operation] = field(default_factory=dict)
    script: list[dict[str, Any]] = field(default_factory=list)  # what `wait` finds changed, call by call
    failure: Exception | None = None
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    unreadable: tuple[manifests.Unreadable, ...] = ()
    changed: threading.Condition = field(default_factory=threading.Condition)

    def reset(self) -> None:
        """As new, for a server that outlives a test."""
        for name, value in vars(World()).items():
            setattr(self, name, value)
        people.office().reset()

    def note(self, *call: Any) -> None:
        """A call, which fails where the test wants it to."""
        self.calls.append(call)
        if self.failure is not None:
            raise self.failure

    def begin(self, kind: operation.Kind, subject: str, request: dict[str, Any] | None = None) -> operation.Operation:
        begun = an_operation(id=an_id(301 + len(self.operations)), kind=kind, subject=subject, request=request or {})
        self.operations[begun.id] = begun
        return begun

    def change(self, operation_id: uuid.UUID, **changes: Any) -> None:
        """Something happens to an operation; who waits for it hears of it."""
        with self.changed:
            self.operations[operation_id] = dataclasses.replace(self.operations[operation_id], **changes)
            self.changed.notify_all()

    def services(self) -> services.Services:
        return services.Services(
            servers=Servers(self),
            captures=Captures(self),
            deployments=Deployments(self),
            templates=Templates(self),
            operations=Operations(self),
            storage=Storage(self),
            **vars(people.office().bundle),
        )


@dataclass
class Servers:
    world: World

    def list(self, owner_id: uuid.UUID) -> list[server_views.ServerView]:
        self.world.note("list", owner_id)
        return sorted(self.world.servers.values(), key=lambda server: server.name)

    def get(self, owner_id: uuid.UUID, reference: str) -> server_views.ServerDetail:
        self.world.note("get", reference)
        return server_views.ServerDetail(
            summary=self._find(reference),
            configuration=None if self.world.problem else a_configuration(),
            addresses=("192.0.2.10/24",),
            problem=self.world.problem,
        )

    def start(self, owner_id: uuid.UUID, reference: str) -> server_views.ServerView:
        self.world.note("start", reference)
        return self._set(reference, power.PowerState.RUNNING)

    def stop(
        self, owner_id: uuid.UUID, reference: str, *, is_forced: bool, timeout_seconds: float
    ) -> server_views.ServerView:
        self.world.note("stop", reference, is_forced, timeout_seconds)
        return self._set(reference, power.PowerState.SHUT_OFF)

    def delete(self, owner_id: uuid.UUID, reference: str, *, is_volumes_deleted: bool, is_forced: bool) -> None:
        self.world.note("delete", reference, is_volumes_deleted, is_forced)
        del self.world.servers[self._find(reference).name]

    def assign(self, reference: str, owner_id: uuid.UUID) -> server_views.ServerView:
        self.world.note("assign", reference, owner_id)
        return self._find(reference)

    def _find(self, reference: str) -> server_views.ServerView:
        for server in self.world.servers.values():
            if reference in {server.name, str(server.id), str(server.domain_uuid)}:
                return server
        raise errors.ServerNotFound(server=reference)

    def _set(self, reference: str, state: power.PowerState) -> server_views.ServerView:
        server = dataclasses.replace(self._find(reference), power_state=state)
        self.world.servers[server.name] = server
        return server


@dataclass
class Captures:
    world: World

    def plan(self, owner_id: uuid.UUID, request: capture_request.CaptureRequest) -> capture_request.CapturePlan:
        self.world.note("plan", request)
        volume = capture_request.PlannedVolume(
            target="vda",
            bus="virtio",
            format="qcow2",
            path="/v/web.qcow2",
            size_bytes=12 * GIB,
            data_bytes=5 * GIB,
            skipped_bytes=7 * GIB,
        )
        return capture_request.CapturePlan(
            server_name=request.server,
            server_uuid=str(an_id(101)),
            power_state="running",
            template_name=request.name or request.server,
            template_version=3,
            stop_steps=("shut down by the guest agent",),
            volumes=(volume,),
            left_out=(configuration.LeftOut(what="CD-ROM sda", why="removable"),),
            chunk_size_bytes=1024**2,
            estimated_new_bytes=2 * GIB,
            store_available_bytes=100 * GIB,
            warnings=("a warning",),
        )

    def start(self, owner_id: uuid.UUID, request: capture_request.CaptureRequest) -> operation.Operation:
        self.world.note("capture", request)
        return self.world.begin(operation.Kind.CAPTURE, request.server)


@dataclass
class Deployments:
    world: World

    def plan(self, owner_id: uuid.UUID, request: deploy_request.DeployRequest) -> deploy_request.DeployPlan:
        self.world.note("plan", request)
        interface = virt.NewInterface(mac="52:54:00:00:00:02", network=None, bridge="br0", model="virtio")
        server = deploy_request.PlannedServer(
            name=request.name, uuid=str(an_id(401)), hostname=request.hostname or request.name, interfaces=(interface,)
        )
        volume = deploy_request.PlannedVolume(
            target="vda", template_size_bytes=12 * GIB, size_bytes=40 * GIB, data_bytes=5 * GIB, format="qcow2"
        )
        return deploy_request.DeployPlan(
            template_id=str(an_id(201)),
            template="web@1",
            servers=(server,),
            cpus=request.cpus or 2,
            memory_bytes=request.memory_bytes or 2 * GIB,
            pool=request.pool or "default",
            volumes=(volume,),
            pool_available_bytes=200 * GIB,
            needed_bytes=5 * GIB,
            changes=(virt.Change(what="machine type", was="pc-q35-8.0", now="pc-q35-7.2", why="newer than this host"),),
            final_configuration=("host name by seed",),
            warnings=(),
        )

    def start(self, owner_id: uuid.UUID, request: deploy_request.DeployRequest) -> operation.Operation:
        self.world.note("deploy", request)
        return self.world.begin(
            operation.Kind.DEPLOY, request.name, {"deploy": {"name": request.name, "user_data": request.user_data}}
        )


@dataclass
class Templates:
    world: World

    def list(
        self, owner_id: uuid.UUID, *, name_glob: str | None, tag: str | None, limit: int, after: uuid.UUID | None
    ) -> list[template.Template]:
        self.world.note("list", name_glob, tag, limit, after)
        found = [each for each in self.world.templates if fnmatch.fnmatchcase(each.name, name_glob or "*")]
        found = [each for each in found if tag is None or tag in each.tags]
        ids = [each.id for each in found]
        start = ids.index(after) + 1 if after in ids else 0
        return found[start : start + limit]

    def get(self, owner_id: uuid.UUID, reference: str) -> template_views.TemplateDetail:
        self.world.note("get", reference)
        found = self._find(reference)
        is_complete = found.state is template.State.ACTIVE
        return template_views.TemplateDetail(template=found, manifest=a_manifest() if is_complete else None)

    def edit(
        self, owner_id: uuid.UUID, reference: str, *, name: str | None, note: str | None, tags: tuple[str, ...] | None
    ) -> template.Template:
        self.world.note("edit", reference, name, note, tags)
        changes = {"name": name, "note": note, "tags": tags}
        found = self._find(reference)
        edited = dataclasses.replace(found, **{key: value for key, value in changes.items() if value is not None})
        self.world.templates[self.world.templates.index(found)] = edited
        return edited

    def delete(self, owner_id: uuid.UUID, reference: str) -> None:
        self.world.note("delete", reference)
        self.world.templates.remove(self._find(reference))

    def _find(self, reference: str) -> template.Template:
        wanted = template.parse_reference(reference)
        for found in self.world.templates:
            if found.id == wanted.id or (found.name == wanted.name and wanted.version in {None, found.version}):
                return found
        raise errors.TemplateNotFound(template=reference)


@dataclass
class Operations:
    world: World

    def list(
        self, owner_id: uuid.UUID, *, states: tuple[operation.State, ...], kind: operation.Kind | None, limit: int
    ) -> list[operation.Operation]:
        self.world.note("list", states, kind, limit)
        found = reversed(self.world.operations.values())
        return [each for each in found if each.state in (states or operation.State) and kind in {None, each.kind}][
            :limit
        ]

    def get(self, owner_id: uuid.UUID, reference: str) -> operation.Operation:
        self.world.note("get", reference)
        found = [each for key, each in self.world.operations.items() if str(key).startswith(reference)]
        if len(found) != 1:
            raise errors.OperationNotFound(operation=reference)
        return found[0]

    def wait(
        self, owner_id: uuid.UUID, reference: str, *, timeout_seconds: float, seen: str | None
    ) -> operation.Operation:
        if self.world.script:
            self.world.change(self.get(owner_id, reference).id, **self.world.script.pop(0))
        with self.world.changed:
            self.world.changed.wait_for(
                lambda: (
                    self.get(owner_id, reference).change_token != seen or self.get(owner_id, reference).state.has_ended
                ),
                timeout_seconds,
            )
        return self.get(owner_id, reference)

    def cancel(self, owner_id: uuid.UUID, reference: str) -> operation.Operation:
        self.world.note("cancel", reference)
        found = self.get(owner_id, reference)
        if found.state.has_ended:
            raise errors.OperationEnded(operation=reference, state=found.state.value)
        self.world.change(found.id, is_cancel_requested=True)
        return self.get(owner_id, reference)


@dataclass
class Storage:
    world: World

    def usage(self) -> usage.Usage:
        self.world.note("usage")
        one = usage.TemplateUsage(
            template_id=an_id(201),
            name="web",
            version=1,
            logical_bytes=12 * GIB,
            data_bytes=5 * GIB,
            stored_bytes=2 * GIB,
            unique_bytes=GIB,
        )
        return usage.Usage(
            logical_bytes=24 * GIB,
            data_bytes=10 * GIB,
            distinct_bytes=6 * GIB,
            stored_bytes=3 * GIB,
            orphan_bytes=0,
            chunks=6144,
            available_bytes=100 * GIB,
            templates=(one,),
            unreadable=self.world.unreadable,
        )

    def check(self, owner_id: uuid.UUID, *, sample: float) -> operation.Operation:
        self.world.note("check", sample)
        return self.world.begin(operation.Kind.CHECK, "the store")

    def sweep(self, owner_id: uuid.UUID, *, is_dry_run: bool, grace_seconds: float | None) -> operation.Operation:
        self.world.note("sweep", is_dry_run, grace_seconds)
        return self.world.begin(operation.Kind.SWEEP, "the store", {"is_dry_run": is_dry_run})

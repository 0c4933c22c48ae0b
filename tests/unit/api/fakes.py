"""Hand-written services in memory that behave as `estampe.api.services` says, with hooks to make them fail."""

from __future__ import annotations

import dataclasses
import datetime
import fnmatch
import threading
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tests.unit.api import people

from estampe import correlation, errors
from estampe.api import services
from estampe.capture import request as capture_request
from estampe.catalogue import lineage, profiles
from estampe.catalogue import views as template_views
from estampe.db import idempotency
from estampe.deploy import request as deploy_request
from estampe.model import (
    access,
    account,
    characteristics,
    configuration,
    guest,
    listing,
    operation,
    power,
    retention,
    sight,
    template,
    visibility,
)
from estampe.servers import views as server_views
from estampe.store import manifests, usage
from estampe.virt import base as virt

_Item = TypeVar("_Item")
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
        template_id=an_id(203),
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
    rules: dict[str, retention.Rule] = field(default_factory=dict)
    shares: dict[tuple[uuid.UUID, str], visibility.Share] = field(default_factory=dict)
    publishing: visibility.Publishing = field(
        default_factory=lambda: visibility.Publishing(may_publish=False, is_limited=False, publishers=())
    )
    trash_days: int = 7
    operations: dict[uuid.UUID, operation.Operation] = field(default_factory=dict)
    script: list[dict[str, Any]] = field(default_factory=list)  # what `wait` finds changed, call by call
    failure: Exception | None = None
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    asked_for: list[uuid.UUID] = field(default_factory=list)  # the accounts whose servers were listed
    keys: dict[str, idempotency.Claim] = field(default_factory=dict)
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
        begun = an_operation(
            id=correlation.planned_operation_id() or an_id(301 + len(self.operations)),
            kind=kind,
            subject=subject,
            request=request or {},
            request_id=correlation.request_id(),
        )
        self.operations[begun.id] = begun
        return begun

    def change(self, operation_id: uuid.UUID, **changes: Any) -> None:
        """Something happens to an operation; who waits for it hears of it."""
        with self.changed:
            before = self.operations[operation_id]
            self.operations[operation_id] = dataclasses.replace(before, revision=before.revision + 1, **changes)
            self.changed.notify_all()

    def services(self) -> services.Services:
        return services.Services(
            servers=Servers(self),
            captures=Captures(self),
            deployments=Deployments(self),
            templates=Templates(self),
            operations=Operations(self),
            storage=Storage(self),
            idempotency=Keys(self),
            readiness=Readiness(self),
            life=Life(self),
            lineage=Lineage(self),
            sharing=Sharing(self),
            retention=Retention(self),
            profiles=Profiles(self),
            **vars(people.office().bundle),
        )

    def seen(self, found: template.Template) -> sight.Seen:
        """As its owner sees it."""
        is_shared = any(template_id == found.id for template_id, _ in self.shares)
        kept = visibility.Visibility.SHARED if is_shared else visibility.Visibility.PRIVATE
        return sight.Seen(
            template=found, publisher="cloud", scope=visibility.Scope.MINE, right=visibility.Right.EXPORT,
            visibility=kept if found.publication is None else visibility.Visibility.PUBLIC,
        )  # fmt: skip

    def find_template(self, reference: str) -> template.Template:
        wanted = template.parse_reference(reference)
        for found in self.templates:
            if found.id == wanted.id or (found.name == wanted.name and wanted.version in {None, found.version}):
                return found
        raise errors.TemplateNotFound(template=reference)

    def find_unchanged(self, reference: str, etags: Collection[str] | None) -> template.Template:
        found = self.find_template(reference)
        if etags is not None and found.etag not in etags:
            raise errors.TemplateChanged(template=reference, etag=found.etag)
        return found

    def change_template(
        self, reference: str, *, etags: Collection[str] | None = None, **changes: Any
    ) -> template.Template:
        found = self.find_unchanged(reference, etags)
        changed = dataclasses.replace(found, **changes, revision=found.revision + 1)
        self.templates[self.templates.index(found)] = changed
        return changed


@dataclass
class Servers:
    world: World

    def list(self, owner_id: uuid.UUID, query: listing.ServerQuery) -> listing.Page[server_views.ServerView]:
        self.world.note("list", query)
        self.world.asked_for.append(owner_id)
        found = [each for each in self.world.servers.values() if fnmatch.fnmatchcase(each.name, query.name_glob or "*")]
        found = [each for each in found if not query.power_states or each.power_state in query.power_states]
        return _page(sorted(found, key=lambda server: server.name), "name", query.limit, query.after)

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
            is_estimated=False,
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
            settings=(
                virt.Setting(what="queues of volume vda", asked="one per CPU", given="2", why=None),
                virt.Setting(what="CPU", asked="host-passthrough", given="maximum", why="no KVM"),
            ),
            tuned_for="web pages",
        )

    def start(self, owner_id: uuid.UUID, request: deploy_request.DeployRequest) -> operation.Operation:
        self.world.note("deploy", request)
        return self.world.begin(
            operation.Kind.DEPLOY, request.name, {"deploy": {"name": request.name, "user_data": request.user_data}}
        )


@dataclass
class Templates:
    world: World

    def list(self, account_id: uuid.UUID, query: listing.TemplateQuery) -> listing.Page[sight.Seen]:
        self.world.note("list", query)
        found = [each for each in self.world.templates if fnmatch.fnmatchcase(each.name, query.name_glob or "*")]
        found = [each for each in found if query.tag is None or query.tag in each.tags]
        found = [each for each in found if (each.trash is not None) is query.is_trashed or each.state in query.states]
        page = _page(found, query.sort, query.limit, query.after)
        return listing.Page([self.world.seen(each) for each in page.items], page.next)

    def seen(self, account_id: uuid.UUID, template_id: uuid.UUID) -> sight.Seen:
        return self.world.seen(self.world.find_template(str(template_id)))

    def get(self, account_id: uuid.UUID, reference: str) -> template_views.TemplateDetail:
        self.world.note("get", reference)
        found = self.world.find_template(reference)
        is_complete = found.state in template.COMPLETE
        return template_views.TemplateDetail(
            seen=self.world.seen(found),
            manifest=a_manifest() if is_complete else None,
            successor="web@9" if found.successor_id else None,
            parent="base@4 (deleted)" if found.parent_id else None,
        )

    def edit(
        self,
        owner_id: uuid.UUID,
        reference: str,
        *,
        name: str | None,
        note: str | None,
        tags: tuple[str, ...] | None,
        etags: Collection[str] | None = None,
    ) -> template.Template:
        self.world.note("edit", reference, name, note, tags)
        if name is not None:
            template.check_name(name)
        changes = {"name": name, "note": note, "tags": tags}
        return self.world.change_template(
            reference, etags=etags, **{key: value for key, value in changes.items() if value is not None}
        )

    def change_characteristics(
        self,
        owner_id: uuid.UUID,
        reference: str,
        change: characteristics.Change,
        *,
        etags: Collection[str] | None = None,
    ) -> template.Template:
        self.world.note("change characteristics", reference, change)
        profile = None if change.profile is None else profiles.get(change.profile).tuned
        present = self.world.find_template(reference).characteristics or characteristics.Characteristics()
        return self._set(reference, change.apply(present, profile=profile), etags)

    def replace_characteristics(
        self,
        owner_id: uuid.UUID,
        reference: str,
        new: characteristics.Characteristics,
        *,
        etags: Collection[str] | None = None,
    ) -> template.Template:
        self.world.note("replace characteristics", reference, new)
        return self._set(reference, new, etags)

    def _set(
        self, reference: str, told: characteristics.Characteristics, etags: Collection[str] | None
    ) -> template.Template:
        told_or_none = None if told.is_empty else told
        return self.world.change_template(reference, etags=etags, characteristics=told_or_none)


@dataclass
class Life:
    world: World

    def deprecate(
        self, owner_id: uuid.UUID, reference: str, *, successor: str | None, etags: Collection[str] | None = None
    ) -> template.Template:
        self.world.note("deprecate", reference, successor)
        successor_id = None if successor is None else self.world.find_template(successor).id
        return self.world.change_template(
            reference, etags=etags, state=template.State.DEPRECATED, successor_id=successor_id
        )

    def disable(
        self, owner_id: uuid.UUID, reference: str, *, etags: Collection[str] | None = None
    ) -> template.Template:
        self.world.note("disable", reference)
        return self.world.change_template(reference, etags=etags, state=template.State.DISABLED)

    def enable(self, owner_id: uuid.UUID, reference: str, *, etags: Collection[str] | None = None) -> template.Template:
        self.world.note("enable", reference)
        return self.world.change_template(reference, etags=etags, state=template.State.ACTIVE, successor_id=None)

    def protect(
        self, owner_id: uuid.UUID, reference: str, *, is_protected: bool, etags: Collection[str] | None = None
    ) -> template.Template:
        self.world.note("protect", reference, is_protected)
        return self.world.change_template(reference, etags=etags, is_protected=is_protected)

    def delete(
        self, owner_id: uuid.UUID, reference: str, *, by: str, etags: Collection[str] | None = None
    ) -> template.Template:
        self.world.note("delete", reference)
        found = self.world.find_unchanged(reference, etags)
        if found.is_protected:
            raise errors.TemplateProtected(template=found.reference)
        if self.world.trash_days == 0:
            self.world.templates.remove(found)
            return dataclasses.replace(found, state=template.State.DELETING)
        until = NOW + datetime.timedelta(days=self.world.trash_days)
        trash = template.Trash(at=NOW, by=by, until=until, state_before=found.state)
        return self.world.change_template(reference, etags=etags, state=template.State.TRASHED, trash=trash)

    def restore(
        self, owner_id: uuid.UUID, reference: str, *, etags: Collection[str] | None = None
    ) -> template.Template:
        self.world.note("restore", reference)
        found = self.world.find_unchanged(reference, etags)
        if found.trash is None:
            raise errors.TemplateStateForbids(template=reference, state=found.state, advice="it is not in the trash")
        return self.world.change_template(reference, etags=etags, state=found.trash.state_before, trash=None)

    def purge(self, owner_id: uuid.UUID, reference: str, *, etags: Collection[str] | None = None) -> None:
        self.world.note("purge", reference)
        found = self.world.find_unchanged(reference, etags)
        if found.trash is None:
            raise errors.TemplateStateForbids(template=reference, state=found.state, advice="delete it first")
        self.world.templates.remove(found)


@dataclass
class Lineage:
    world: World

    def list_servers(self, actor: access.Actor, reference: str, *, is_every_version: bool) -> lineage.Lineage:
        self.world.note("servers", reference, is_every_version)
        found = self.world.find_template(reference)
        ids = {
            each.id for each in self.world.templates if each == found or (is_every_version and each.name == found.name)
        }
        own = [each for each in self.world.servers.values() if each.template_id in ids]
        return lineage.Lineage(servers=own, elsewhere=[lineage.Elsewhere(account="globex", count=2)])


@dataclass
class Sharing:
    world: World

    def share(
        self, actor: access.Actor, reference: str, receiver: str, terms: visibility.Terms, *,
        expires_at: datetime.datetime | None,
    ) -> visibility.Share:  # fmt: skip
        self.world.note("share", reference, receiver, terms, expires_at)
        found = self.world.find_template(reference)
        share = visibility.Share(
            template_id=found.id, account_id=an_id(501), account=receiver, terms=terms, expires_at=expires_at, at=NOW,
            by=actor.name,
        )  # fmt: skip
        self.world.shares[found.id, receiver] = share
        return share

    def unshare(self, actor: access.Actor, reference: str, receiver: str) -> None:
        self.world.note("unshare", reference, receiver)
        found = self.world.find_template(reference)
        if self.world.shares.pop((found.id, receiver), None) is None:
            raise errors.ShareNotFound(template=reference, account=receiver)

    def list_shares(self, account_id: uuid.UUID, reference: str) -> list[visibility.Share]:
        self.world.note("shares", reference)
        found = self.world.find_template(reference)
        return [share for (template_id, _), share in self.world.shares.items() if template_id == found.id]

    def publish(
        self, actor: access.Actor, reference: str, terms: visibility.Terms, *, is_unsealed_accepted: bool,
        etags: Collection[str] | None = None,
    ) -> sight.Seen:  # fmt: skip
        self.world.note("publish", reference, terms, is_unsealed_accepted)
        publication = visibility.Publication(at=NOW, by=actor.name, terms=terms)
        return self.world.seen(self.world.change_template(reference, etags=etags, publication=publication))

    def unpublish(self, actor: access.Actor, reference: str, *, etags: Collection[str] | None = None) -> sight.Seen:
        self.world.note("unpublish", reference)
        return self.world.seen(self.world.change_template(reference, etags=etags, publication=None))

    def hide(self, account_id: uuid.UUID, reference: str, *, is_hidden: bool) -> sight.Seen:
        self.world.note("hide", reference, is_hidden)
        found = self.world.seen(self.world.find_template(reference))
        return dataclasses.replace(
            found, publisher="acme", scope=visibility.Scope.SHARED, visibility=visibility.Visibility.SHARED,
            is_hidden=is_hidden,
        )  # fmt: skip

    def get_publishing(self, account_id: uuid.UUID) -> visibility.Publishing:
        self.world.note("publishing", account_id)
        return self.world.publishing

    def allow_publishing(self, account_id: uuid.UUID, *, may_publish: bool) -> visibility.Publishing:
        self.world.note("allow", account_id, may_publish)
        self.world.publishing = dataclasses.replace(self.world.publishing, may_publish=may_publish)
        return self.world.publishing

    def limit_publishers(
        self, account_id: uuid.UUID, *, is_limited: bool, publishers: Sequence[str] | None
    ) -> visibility.Publishing:
        self.world.note("limit", account_id, is_limited, publishers)
        named = self.world.publishing.publishers if publishers is None else tuple(publishers)
        self.world.publishing = dataclasses.replace(self.world.publishing, is_limited=is_limited, publishers=named)
        return self.world.publishing


@dataclass
class Retention:
    world: World

    def set(self, owner_id: uuid.UUID, pattern: str, *, keep_last: int, keep_days: int | None) -> retention.Rule:
        self.world.note("set", pattern, keep_last, keep_days)
        rule = retention.Rule(owner_id=owner_id, pattern=pattern, keep_last=keep_last, keep_days=keep_days)
        self.world.rules[pattern] = retention.check(rule)
        return rule

    def list(self, owner_id: uuid.UUID) -> list[retention.Rule]:
        self.world.note("list", owner_id)
        return sorted(self.world.rules.values(), key=lambda rule: rule.pattern)

    def remove(self, owner_id: uuid.UUID, pattern: str) -> None:
        self.world.note("remove", pattern)
        if self.world.rules.pop(pattern, None) is None:
            raise errors.RetentionRuleNotFound(pattern=pattern)

    def apply(self, owner_id: uuid.UUID, *, is_dry_run: bool) -> list[retention.Verdict]:
        self.world.note("apply", is_dry_run)
        facts = retention.Facts(now=NOW, in_use={}, succeeds={})
        return list(retention.judge(list(self.world.rules.values()), self.world.templates, facts))


@dataclass
class Profiles:
    world: World

    def list(self) -> list[profiles.Profile]:
        self.world.note("profiles")
        return profiles.ProfileService().list()

    def get(self, name: str) -> profiles.Profile:
        self.world.note("profile", name)
        return profiles.ProfileService().get(name)


@dataclass
class Operations:
    world: World

    def list(self, owner_id: uuid.UUID, query: listing.OperationQuery) -> listing.Page[operation.Operation]:
        self.world.note("list", query)
        found = [each for each in reversed(self.world.operations.values()) if query.kind in {None, each.kind}]
        found = [each for each in found if not query.states or each.state in query.states]
        found = [each for each in found if each.kind not in query.hidden_kinds]
        return _page(found, query.sort, query.limit, query.after)

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

    def space_of(self, owner_id: uuid.UUID, reference: str) -> usage.TemplateUsage:
        self.world.note("space", reference)
        found = self.world.find_template(reference)
        (one,) = self.usage().templates
        return dataclasses.replace(one, template_id=found.id, name=found.name, version=found.version)

    def check(self, owner_id: uuid.UUID, *, sample: float) -> operation.Operation:
        self.world.note("check", sample)
        return self.world.begin(operation.Kind.CHECK, "the store")

    def sweep(self, owner_id: uuid.UUID, *, is_dry_run: bool, grace_seconds: float | None) -> operation.Operation:
        self.world.note("sweep", is_dry_run, grace_seconds)
        return self.world.begin(operation.Kind.SWEEP, "the store", {"is_dry_run": is_dry_run})


@dataclass
class Keys:
    world: World

    def claim(
        self,
        owner_id: uuid.UUID,
        key: str,
        *,
        fingerprint: str,
        operation_id: uuid.UUID,
        at: datetime.datetime,
        lifetime: datetime.timedelta,
    ) -> idempotency.Claim:
        found = self.world.keys.get(key)
        if found is not None:
            return dataclasses.replace(found, is_new=False)
        self.world.keys[key] = idempotency.Claim(
            fingerprint=fingerprint, operation_id=operation_id, answer=None, is_new=True
        )
        return self.world.keys[key]

    def keep(self, owner_id: uuid.UUID, key: str, answer: str) -> None:
        self.world.keys[key] = dataclasses.replace(self.world.keys[key], answer=answer)

    def release(self, owner_id: uuid.UUID, key: str) -> None:
        if self.world.keys[key].answer is None:
            del self.world.keys[key]


@dataclass
class Readiness:
    world: World

    def check(self) -> tuple[str, ...]:
        if self.world.failure is not None:
            raise self.world.failure
        return ("database", "store", "libvirt", "engine")


def _page(found: Sequence[_Item], sort: str, limit: int, after: str | None) -> listing.Page[_Item]:
    """By count, which will do for lists that stand still."""
    start = 0
    if after is not None:
        (start,) = listing.position(after, sort, 1)
        if not isinstance(start, int) or start < 0:
            raise listing.bad_cursor()
    end = start + limit
    return listing.Page(found[start:end], listing.cursor(sort, end) if len(found) > end else None)


def unanswered(claim: idempotency.Claim) -> idempotency.Claim:
    """The claim as it is found where the daemon was killed before its answer was kept."""
    return dataclasses.replace(claim, answer=None)

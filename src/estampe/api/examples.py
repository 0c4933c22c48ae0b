"""An example of every shape, put together from examples of fields.

Written once for each field, so that a server is called the same in all of them, and a new shape has its example at once.
"""

from __future__ import annotations

from typing import Any, Final

_GIB: Final = 1024**3
_SERVER_ID: Final = "7f9c24e5-2c1d-4b0a-9a55-0d7c1c7f3b01"
_DOMAIN_ID: Final = "2b5e0f3a-6d41-4a7e-8f0c-5e1d9a3c4b02"
_TEMPLATE_ID: Final = "c1a0b4d2-93f7-4e6c-b1d8-3a2f6e7d8c03"
_OPERATION_ID: Final = "3f2a9c1e-57b8-4d0e-a6c4-9b1e2d3f4a04"
_ACCOUNT_ID: Final = "9e1f7c42-0b6d-4f3a-8c25-7d4e1a2b5f06"
_USER_ID: Final = "4c7b2e91-5a08-4d1f-b3e6-2f9d8c1a7e07"
_KEY_ID: Final = "3f0c0c14-5a4e-4d53-9d6f-5a3c5b1c7e11"
_SESSION_ID: Final = "8d1e4f70-3c2b-4a96-9b57-1f0e6d5c4b08"
_DRAWN: Final = "Zk3vJ8sQ1nR6tW0xY5bC2dF7gH4jK9mP-qS_uVaLeIo"
_FORMATS: Final = {"uuid": _SERVER_ID, "date-time": "2026-11-23T12:00:00Z"}
FIELDS: Final[dict[str, Any]] = {
    # fields that mean the same wherever they are
    "architecture": "x86_64",
    "bus": "virtio",
    "created_at": "2026-11-23T12:00:00Z",
    "distribution": "debian",
    "domain_uuid": _DOMAIN_ID,
    "format": "qcow2",
    "guest_product": "Debian GNU/Linux 12 (bookworm)",
    "hostname": "web-02",
    "mac": "52:54:00:3f:2a:9c",
    "model": "virtio",
    "network": "default",
    "next": None,
    "note": "before the upgrade",
    "pool": "default",
    "server_id": _SERVER_ID,
    "server_name": "web-01",
    "tags": ["production"],
    "target": "vda",
    "template_id": _TEMPLATE_ID,
    "warnings": [],
    # requests
    "CaptureRequest.name": "web",
    "CaptureRequest.server": "web-01",
    "CaptureRequest.volumes": ["vda"],
    "DeployRequest.memory_bytes": 4 * _GIB,
    "DeployRequest.name": "web-02",
    "DeployRequest.ssh_keys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEstampeEstampeEstampeEstampeEstampeEsta me@here"],
    "DeployRequest.template": "web@3",
    "DeployRequest.user_data": None,
    "DeployRequest.count": 1,
    "DeployRequest.volume_sizes": {"vda": 40 * _GIB},
    "EditRequest.name": "web",
    "InterfaceRequest.addresses": ["192.0.2.10/24"],
    "InterfaceRequest.dns": ["192.0.2.53"],
    "InterfaceRequest.gateways": ["192.0.2.1"],
    "CheckRequest.sample": 0.05,
    # servers
    "Configuration.cpu_mode": "host-model",
    "Configuration.cpu_model": None,
    "Configuration.domain_xml": "<domain type='kvm'>...</domain>",
    "Configuration.firmware": "uefi",
    "Configuration.machine": "pc-q35-7.2",
    "Configuration.name": "web-01",
    "LeftOut.what": "CD-ROM sda",
    "LeftOut.why": "removable",
    "RecordedInterface.kind": "network",
    "RecordedInterface.source": "default",
    "RecordedVolume.serial": None,
    "Server.busy_operation": None,
    "Server.id": _SERVER_ID,
    "Server.name": "web-01",
    "Server.template": "web@3",
    "ServerDetail.addresses": ["192.0.2.10/24"],
    "ServerDetail.problem": None,
    # plans
    "CapturePlan.power_state": "running",
    "CapturePlan.server_uuid": _DOMAIN_ID,
    "CapturePlan.stop_steps": ["shut down by the guest agent, else ACPI"],
    "CapturePlan.template_name": "web",
    "PlannedVolume.path": "/var/lib/libvirt/images/web-01.qcow2",
    "Change.now": "pc-q35-7.2",
    "Change.was": "pc-q35-8.0",
    "Change.what": "machine type",
    "Change.why": "newer than this host",
    "DeployPlan.final_configuration": ["host name, network and SSH keys by a seed"],
    "DeployPlan.template": "web@3",
    "NewInterface.bridge": None,
    "NewServer.name": "web-02",
    "NewServer.uuid": _DOMAIN_ID,
    # templates
    "FileSystem.device": "vda1",
    "FileSystem.kind": "ext4",
    "FileSystem.label": "root",
    "FileSystem.mount_point": "/",
    "FileSystem.uuid": "0c9d7c60-6f6e-4d2f-9f43-6f3f3f0f1a05",
    "Guest.kind": "linux",
    "Guest.product": "Debian GNU/Linux 12 (bookworm)",
    "Guest.root_device": "vda1",
    "Guest.version": "12.5",
    "Guest.hostname": "web-01",
    "Manifest.chunk_size_bytes": 1024**2,
    "CapturePlan.chunk_size_bytes": 1024**2,
    "Sealing.actions": ["emptied /etc/machine-id"],
    "Sealing.notes": [],
    "Sealing.why_not": None,
    "Template.id": _TEMPLATE_ID,
    "Template.name": "web",
    "Template.parent_id": None,
    "Template.successor_id": None,
    "Template.trash": None,
    "TemplateDetail.parent": None,
    "TemplateDetail.successor": None,
    "DeprecateRequest.successor": "web@4",
    "Deletion.id": _TEMPLATE_ID,
    "Deletion.reference": "web@3",
    "Trash.by": "alice",
    "Trash.state_before": "active",
    "Trash.until": "2026-12-07T12:00:00Z",
    "pattern": "ci-*",
    "Verdict.why": "it is among the newest 5",
    # characteristics
    "tuned_for": "builds: many short-lived writers",
    "balloon": "free-page-reporting",
    "cache": "none",
    "cpu": "host-passthrough",
    "discard": "unmap",
    "io": "native",
    "network_model": "virtio",
    "volume_sizes": {"vda": 40 * _GIB},
    "CharacteristicsChangeRequest.profile": "linux-server",
    "CharacteristicsChangeRequest.unset": ["tuned.queues"],
    "Guest.volume_buses": ["virtio-blk", "virtio-scsi"],
    "Profile.name": "linux-server",
    "Profile.summary": "Linux, general use: multi-queue virtio-blk and network, an I/O thread, discard",
    "Profile.why": "One queue per CPU lets each CPU submit and complete its own requests.",
    "Setting.asked": "host-passthrough",
    "Setting.given": "maximum",
    "Setting.what": "CPU",
    "Setting.why": "this host has no KVM",
    "Tuned.bus": "virtio-blk",
    "Tuned.firmware": "uefi",
    "TunedRequest.bus": "virtio-blk",
    # the rest of templates
    # operations
    "Operation.change_token": "9f86d081884c7d65",
    "Operation.ended_at": None,
    "Operation.error": None,
    "Operation.id": _OPERATION_ID,
    "Operation.phase_started_at": "2026-11-23T12:00:05Z",
    "Operation.request": {"capture": {"server": "web-01"}},
    "Operation.request_id": "5d0c8a52-9d2e-4a53-8f7e-2f1b6c0d9e06",
    "Operation.result": None,
    "Operation.started_at": "2026-11-23T12:00:01Z",
    "Operation.state": "running",
    "Operation.subject": "web-01",
    "Progress.phase": "copying vda",
    # the store
    "TemplateUsage.name": "web",
    "Unreadable.error": "manifest c1a0b4d2 is damaged: it is too short; run `estampe store check`",
    # the daemon
    "Health.status": "ok",
    "Readiness.parts": ["database", "store", "libvirt", "engine"],
    "Readiness.status": "ready",
    "Version.api": "v1",
    "Version.version": "0.1.0",
    # who else sees templates
    "DeployedElsewhere.account": "globex",
    "LimitRequest.publishers": ["cloud", "acme"],
    "Publication.by": "alice",
    "Publishing.publishers": ["cloud", "acme"],
    "RuledTemplate.name": "ci-web",
    "Share.account": "globex",
    "Share.shared_by": "alice",
    "Template.publisher": "acme",
    # accounts and people
    "user": "alice",
    "Account.id": _ACCOUNT_ID,
    "Account.name": "acme",
    "Account.state": "active",
    "AddMemberRequest.role": "operator",
    "AssignRequest.account": "acme",
    "CreateAccountRequest.name": "acme",
    "CreateUserRequest.name": "alice",
    "EditMemberRequest.role": "viewer",
    "Member.role": "operator",
    "User.id": _USER_ID,
    "User.name": "alice",
    "password": "correct horse battery staple",
    "current": "the password until now",
    "role": "operator",
    # signing in and API keys
    "ApiKey.created_by": "alice",
    "ApiKey.expires_at": "2027-02-21T12:00:00Z",
    "ApiKey.id": _KEY_ID,
    "ApiKey.last_used_at": "2026-11-24T08:30:00Z",
    "ApiKey.name": "ci",
    "ApiKey.revoked_at": None,
    "CreateApiKeyRequest.expires_at": "2027-02-21T12:00:00Z",
    "CreateApiKeyRequest.name": "ci",
    "Identity.address": "192.0.2.7",
    "Identity.name": "alice",
    "NewApiKey.key": f"est_{_KEY_ID.replace('-', '')}_{'0' * 64}",
    "SignInRequest.account": "acme",
    "SignInRequest.name": "alice",
    # browsers' sessions, and the OpenID provider
    "CurrentSession.csrf_token": "5f" * 32,
    "SwitchRequest.account": "globex",
    "Session.address": "192.0.2.7",
    "Session.agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Session.expires_at": "2026-11-24T00:00:00Z",
    "Session.id": _SESSION_ID,
    "Session.last_seen_at": "2026-11-23T12:30:00Z",
    "CommandRequest.account": "acme",
    "CommandRequest.port": 49152,
    "Departure.url": f"https://idp.example.org/authorize?response_type=code&client_id=estampe&state={_DRAWN}",
    "LinkRequest.subject": "248289761001",
    "RedeemRequest.code": "SplxlOBeZQQYbYS6WxSbIA",
    "RedeemRequest.error": None,
    "RedeemRequest.issuer": "https://idp.example.org",
    "binding": _DRAWN,
    "Departure.state": _DRAWN,
    "RedeemRequest.state": _DRAWN,
    # the audit log
    "AuditEntry.account": "acme",
    "AuditEntry.action": "start_capture",
    "AuditEntry.actor": "alice (key 3f0c0c14)",
    "AuditEntry.address": "192.0.2.7",
    "AuditEntry.at": "2026-11-23T12:00:00Z",
    "AuditEntry.code": None,
    "AuditEntry.outcome": "done",
    "AuditEntry.request_id": "5d0c8a52-9d2e-4a53-8f7e-2f1b6c0d9e06",
    "AuditEntry.subject": "web-01",
    # errors
    "Problem.code": "server-not-found",
    "Problem.detail": "there is no server 'web-01'",
    "Problem.facts": {"server": "web-01"},
    "Problem.request_id": "5d0c8a52-9d2e-4a53-8f7e-2f1b6c0d9e06",
    "Problem.status": 404,
    "Problem.title": "Not Found",
    "Problem.type": "urn:estampe:error:server-not-found",
}


def add(shapes: dict[str, Any]) -> None:
    """Give each of the components' schemas its example."""
    for name, shape in shapes.items():
        if "properties" in shape:
            shape["examples"] = [_object(name, shapes)]


def _object(name: str, shapes: dict[str, Any]) -> dict[str, Any]:
    return {
        field: _value(f"{name}.{field}", field, schema, shapes) for field, schema in shapes[name]["properties"].items()
    }


def _value(path: str, field: str, schema: dict[str, Any], shapes: dict[str, Any]) -> Any:
    """The field's own example, else one by its type."""
    for key in (path, field):
        if key in FIELDS:
            return FIELDS[key]
    if "$ref" in schema:
        return _referred(schema["$ref"].rsplit("/", 1)[1], shapes)
    if "anyOf" in schema:
        return _value(path, field, schema["anyOf"][0], shapes)
    if schema.get("type") == "array":
        return [_value(path, field, schema["items"], shapes)]
    return _plain(field, schema)


def _plain(field: str, schema: dict[str, Any]) -> Any:
    if "enum" in schema or "const" in schema:
        return schema.get("enum", [schema.get("const")])[0]
    match schema.get("type"):
        case "integer" | "number":
            return 12 * _GIB if field.endswith("_bytes") else 2
        case "boolean":
            return bool(schema.get("default", field.startswith("has_")))
    return _FORMATS.get(schema.get("format", ""), field)


def _referred(name: str, shapes: dict[str, Any]) -> Any:
    shape = shapes[name]
    return _object(name, shapes) if "properties" in shape else shape["enum"][0]

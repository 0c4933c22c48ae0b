"""The one tree of errors, by what the caller does next.

    EstampeError
    ├── Invalid       the request is wrong: change it
    ├── NotFound      the named thing does not exist (or may not be seen)
    ├── Denied        the caller may not do this
    ├── Conflict      the state of things forbids it now: look, then ask again
    ├── Unsupported   this host or guest lacks something: install or choose otherwise
    ├── Unavailable   something did not answer: try again later
    ├── Corrupt       stored data is not what it was: never retry, raise the alarm
    └── Cancelled     somebody asked for it to stop

Every concrete error has a stable `code` and a `message` template; the facts it is built from are attributes (`facts`).
Errors survive a trip through the database and the API as records: see `EstampeError.to_record` and `from_record`.
"""

from __future__ import annotations

from typing import Any, ClassVar


class EstampeError(Exception):
    """Base of all errors that Estampe raises on purpose; anything else is a defect."""

    code: ClassVar[str] = "internal"
    message: ClassVar[str] = "{detail}"

    def __init__(self, **facts: Any) -> None:
        self.facts = facts
        super().__init__(self.message.format(**facts))

    def to_record(self) -> dict[str, Any]:
        """A JSON-able record of this error: code, message and facts (values that are not JSON become text)."""
        facts = {k: v if isinstance(v, int | float | str | bool | None) else str(v) for k, v in self.facts.items()}
        return {"code": self.code, "message": str(self), "facts": facts}

    def __reduce__(self) -> tuple[Any, ...]:
        return (_rebuild, (type(self), self.facts))


def _rebuild(kind: type[EstampeError], facts: dict[str, Any]) -> EstampeError:
    return kind(**facts)


class Invalid(EstampeError):
    """The request is wrong."""


class NotFound(EstampeError):
    """The named thing does not exist."""


class Denied(EstampeError):
    """The caller may not do this."""


class Conflict(EstampeError):
    """The state of things forbids it now."""


class Unsupported(EstampeError):
    """This host or guest lacks what is needed."""


class Unavailable(EstampeError):
    """Something did not answer in time."""


class Corrupt(EstampeError):
    """Stored data is not what it was."""


class Cancelled(EstampeError):
    """Somebody asked for the operation to stop."""

    code = "cancelled"
    message = "the operation was cancelled"


# --- requests -------------------------------------------------------------------------------------------------------


class InvalidRequest(Invalid):
    code = "invalid-request"
    message = "{field}: {problem}"


class InvalidSize(Invalid):
    code = "invalid-size"
    message = "{text!r} is not a size: write a whole number with a unit, as 512MiB or 40GiB"


class InvalidName(Invalid):
    code = "invalid-name"
    message = "{name!r} is not a valid {what} name: {rule}"


class InvalidSetting(Invalid):
    code = "invalid-setting"
    message = "setting {setting}: {problem}"


class AmbiguousId(Invalid):
    code = "ambiguous-id"
    message = "more than one {what} has an id that begins with {id!r}; write more of it"


class AccountAmbiguous(Invalid):
    code = "account-ambiguous"
    message = "{user} is a member of several accounts ({known}): say which one to sign in to (--account)"


class VolumeTooSmall(Invalid):
    code = "volume-too-small"
    message = (
        "volume {volume} cannot be {asked}: the template's volume is {least}, and a volume is never made smaller; "
        "ask for {least} or more"
    )


class NotAVirtualServer(Invalid):
    code = "not-a-virtual-server"
    message = "{server!r} is not a virtual server that Estampe can capture: {reason}"


class ConfirmationNeeded(Invalid):
    code = "confirmation-needed"
    message = "nobody is there to confirm that you want to {action}: say --yes to do it without being asked"


class DomainXmlInvalid(Invalid):
    code = "domain-xml-invalid"
    message = "the domain XML of server {server!r} cannot be used: {problem}"


# --- things that are not there --------------------------------------------------------------------------------------


class ServerNotFound(NotFound):
    code = "server-not-found"
    message = "there is no server {server!r} on this host; `estampe server list` names those there are"


class TemplateNotFound(NotFound):
    code = "template-not-found"
    message = "there is no template {template!r}; `estampe template list` names those there are"


class OperationNotFound(NotFound):
    code = "operation-not-found"
    message = "there is no operation {operation!r}; `estampe operation list` names those there are"


class AccountNotFound(NotFound):
    code = "account-not-found"
    message = "there is no account {account}"


class UserNotFound(NotFound):
    code = "user-not-found"
    message = "there is no user {user!r}"


class MemberNotFound(NotFound):
    code = "member-not-found"
    message = "account {account} has no member {user!r}; `estampe member list` names those it has"


class ApiKeyNotFound(NotFound):
    code = "api-key-not-found"
    message = "there is no API key {key!r}; `estampe api-key list` names those there are"


class ContextNotFound(NotFound):
    code = "context-not-found"
    message = "there is no context {context!r} in {file}; `estampe context list` names those there are"


class PoolNotFound(NotFound):
    code = "pool-not-found"
    message = "there is no active storage pool {pool!r} on this host (there are: {known}); see `virsh pool-list --all`"


class NetworkNotFound(NotFound):
    code = "network-not-found"
    message = "there is no active network {network!r} on this host (there are: {known}); see `virsh net-list --all`"


class VolumeNotFound(NotFound):
    code = "volume-not-found"
    message = "{owner} has no volume {volume!r}; it has: {known}"


class ManifestNotFound(NotFound):
    code = "manifest-not-found"
    message = "the store holds no manifest {template}"


class ChunkNotFound(NotFound):
    """A bare look-up of a chunk that is not there; a chunk that a template names is `ChunkMissing` instead."""

    code = "chunk-not-found"
    message = "the store holds no chunk {chunk}"


class RouteNotFound(NotFound):
    code = "route-not-found"
    message = "this Estampe daemon has no {method} {path}; is the client newer than the daemon?"


# --- what the caller may not do -------------------------------------------------------------------------------------


class SocketDenied(Denied):
    code = "socket-denied"
    message = "you may not open the daemon's socket {socket}: be root or a member of the group that owns it (`estampe`)"


class NotSignedIn(Denied):
    """It is not known who asks; over HTTP this is 401."""


class SignInNeeded(NotSignedIn):
    code = "sign-in-needed"
    message = "nobody is signed in: run `estampe login NAME`, or give an API key (ESTAMPE_KEY, or the header `Authorization: Bearer`)"


class ApiKeyRefused(NotSignedIn):
    """One answer, whatever is wrong with the key: unknown, revoked, expired, or its maker is no member any more."""

    code = "api-key-refused"
    message = (
        "the API key is not valid (any more): make another (`estampe api-key create`) or sign in (`estampe login NAME`)"
    )


class SignInRefused(NotSignedIn):
    """One answer, whatever is wrong: the name, the password, or the account."""

    code = "sign-in-refused"
    message = "name, password or account is wrong, or the user is not a member of the account"


class RoleDenied(Denied):
    code = "role-denied"
    message = "this takes the role {needed}, and yours in account {account} is {role}; ask an owner of the account"


class CloudOperatorOnly(Denied):
    code = "cloud-operator-only"
    message = "only the cloud operator may do this"


class AccountSuspended(Denied):
    code = "account-suspended"
    message = "account {account} is suspended: nothing of it can be changed until the cloud operator resumes it"


# --- state that forbids ---------------------------------------------------------------------------------------------


class NameInUse(Conflict):
    code = "name-in-use"
    message = "the name {name!r} is in use by {what}; choose another or remove that one first"


class ServerBusy(Conflict):
    code = "server-busy"
    message = "server {server!r} is in use by operation {operation}; wait for it (`estampe operation wait {operation}`) or cancel it"


class TemplateInUse(Conflict):
    code = "template-in-use"
    message = "template {template!r} is in use by operation {operation}; wait for it or cancel it first"


class TemplateStateForbids(Conflict):
    code = "template-state"
    message = "template {template!r} is {state}: {advice}"


class AlreadyServing(Conflict):
    code = "already-serving"
    message = "another Estampe daemon works in {directory}; stop that one first, or set another state_directory"


class StoreBusy(Conflict):
    code = "store-busy"
    message = (
        "the store is in use by operation {operation}; wait for it (`estampe operation wait {operation}`) or cancel it"
    )


class ShutdownTimeout(Conflict):
    code = "shutdown-timeout"
    message = (
        "server {server!r} did not shut down within {seconds:g} s, and was left running; shut it down yourself, "
        "give it longer with --stop-timeout, or power it off with --force (its file systems are then captured as after a power cut)"
    )


class ServerStateForbids(Conflict):
    code = "server-state"
    message = "server {server!r} is {state}: {advice}"


class ServerStarted(Conflict):
    code = "server-started"
    message = (
        "server {server!r} was started, or its volume {volume} written to, while it was being captured; what was copied is not "
        "one state of it, so nothing was kept; capture it again"
    )


class VolumeLocked(Conflict):
    code = "volume-locked"
    message = "volume {path} is in use by another process ({detail}); stop what uses it, then try again"


class VolumeGone(Conflict):
    code = "volume-gone"
    message = "volume {volume} ({path}) cannot be read: {detail}"


class OperationEnded(Conflict):
    code = "operation-ended"
    message = "operation {operation} has already ended ({state}); nothing to cancel"


class OperationOutdated(Conflict):
    code = "operation-outdated"
    message = "operation {operation} was begun by another version of Estampe and was undone; ask for it again"


class NoSpace(Conflict):
    code = "no-space"
    message = "not enough space in {where}: {needed} needed, {available} available; free some or choose another place"


class ManifestExists(Conflict):
    code = "manifest-exists"
    message = "the store holds another manifest under {template} already; a manifest is never replaced"


class SocketInUse(Conflict):
    code = "socket-in-use"
    message = "cannot listen on {socket}: {detail}; stop the other daemon or choose another socket"


class StoreMismatch(Conflict):
    code = "store-mismatch"
    message = "the store at {path} {problem}"


class QuotaExceeded(Conflict):
    code = "quota-exceeded"
    message = (
        "this would exceed the account's quota of {what}: {asked} asked, {used} of {limit} used (running operations "
        "included); remove some, or ask the cloud operator for more"
    )


class AccountInUse(Conflict):
    code = "account-in-use"
    message = "account {account} cannot be deleted: it has {what}; delete those or assign them to another account first"


class AccountBuiltIn(Conflict):
    code = "account-built-in"
    message = "account {account} is always there and active: it owns the servers that nobody was assigned"


# --- what the host lacks --------------------------------------------------------------------------------------------


class ProgramMissing(Unsupported):
    code = "program-missing"
    message = "the program {program!r} is not installed; install the package {package}"


class KernelTooOld(Unsupported):
    code = "kernel-too-old"
    message = "this host runs Linux {release}, and {why}: {needed} or newer is needed"


class HostLacks(Unsupported):
    code = "host-lacks"
    message = "this host cannot give the server its {what}: {detail}"


class GuestLacks(Unsupported):
    code = "guest-lacks"
    message = "the guest of template {template} has no {what}: {detail}"


class FormatUnsupported(Unsupported):
    code = "format-unsupported"
    message = "volume {volume} has the format {format!r}; Estampe captures raw and qcow2"


class DatabaseVersionUnsupported(Unsupported):
    code = "database-version"
    message = "the database at {where} has schema {version}, which this Estampe does not know: upgrade Estampe"


class ChainUnsupported(Unsupported):
    code = "chain-unsupported"
    message = "volume {volume} cannot be read: {path} {problem}"


class ManifestVersionUnsupported(Unsupported):
    code = "manifest-version"
    message = "manifest {template} has format version {version}, this Estampe reads up to {supported}: upgrade Estampe"


# --- things that do not answer --------------------------------------------------------------------------------------


class HypervisorUnavailable(Unavailable):
    code = "hypervisor-unavailable"
    message = (
        "libvirt at {uri} does not answer: {detail}; start it (`systemctl start libvirtd`) and see `estampe doctor`"
    )


class HypervisorFailed(Unavailable):
    code = "hypervisor-failed"
    message = "libvirt could not {action}: {detail}"


class DaemonUnavailable(Unavailable):
    code = "daemon-unavailable"
    message = "the Estampe daemon does not answer at {socket}: {detail}; start it (`systemctl start estampe` or `estampe serve`)"


class DeadlineExceeded(Unavailable):
    code = "deadline-exceeded"
    message = "{what} did not finish within {seconds:g} s and was ended"


class ProcessFailed(Unavailable):
    code = "process-failed"
    message = "{program} failed (exit status {status}): {detail}"


class AgentUnavailable(Unavailable):
    code = "agent-unavailable"
    message = "the guest agent of server {server!r} does not answer: {detail}"


class NvramFailed(Unavailable):
    code = "nvram-failed"
    message = "cannot {action} the NVRAM file {path}: {detail}"


class ApplianceFailed(Unavailable):
    code = "appliance-failed"
    message = "the appliance could not work on the copy: {detail}"


class BlockIOFailed(Unavailable):
    code = "block-io"
    message = "{action} of {length} bytes at offset {offset} of {where} failed: {detail}"


class DatabaseUnavailable(Unavailable):
    code = "database-unavailable"
    message = "the database at {where} cannot be used: {detail}"


class StoreUnavailable(Unavailable):
    code = "store-unavailable"
    message = "the store at {where} cannot {action}: {detail}"


class SignInLocked(Unavailable):
    """Too many failed attempts; over HTTP this is 429."""

    code = "sign-in-locked"
    message = "too many failed attempts to sign in by that name or from that address: try again in {seconds} s"


# --- stored data that changed ---------------------------------------------------------------------------------------


class ChunkCorrupt(Corrupt):
    code = "chunk-corrupt"
    message = (
        "chunk {chunk} in the store is damaged ({detail}); run `estampe store check` to see which templates it hurts"
    )


class ChunkMissing(Corrupt):
    code = "chunk-missing"
    message = "chunk {chunk} is missing from the store; run `estampe store check` to see which templates it hurts"


class StoreDamaged(Corrupt):
    code = "store-damaged"
    message = (
        "the store is damaged: {chunks} chunks and {manifests} manifests cannot be used, and {templates} templates need them; "
        "capture those again while their servers are there, and look after what holds the store"
    )


class ManifestCorrupt(Corrupt):
    code = "manifest-corrupt"
    message = "manifest {template} is damaged: {detail}; run `estampe store check`"


def all_errors() -> dict[str, type[EstampeError]]:
    """Every concrete error by its code."""
    found: dict[str, type[EstampeError]] = {EstampeError.code: EstampeError}
    pending: list[type[EstampeError]] = [EstampeError]
    while pending:
        kind = pending.pop()
        pending.extend(kind.__subclasses__())
        if "code" in vars(kind):
            found[kind.code] = kind
    return found


def from_record(record: dict[str, Any]) -> EstampeError:
    """The error that `to_record` described; a code this version does not know becomes a plain EstampeError."""
    kind = all_errors().get(record["code"], EstampeError)
    try:
        return kind(**record["facts"])
    except (KeyError, ValueError, TypeError):
        return EstampeError(detail=record["message"])

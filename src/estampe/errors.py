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


class IdempotencyKeyReused(Invalid):
    code = "idempotency-key-reused"
    message = "the idempotency key {key!r} was used for another request within the last day; use a new key for this one"


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
    message = "volume {volume} cannot be {asked}: {why}; ask for {least} or more"


class CannotGrow(Invalid):
    code = "cannot-grow"
    message = "{what} cannot be given more space: {why}; what can here: {known}; --no-grow leaves the space unused"


class BelowLeast(Invalid):
    code = "below-least"
    message = (
        "{what}: {asked} is less than template {template} needs, by its characteristics: ask for {least} or more, "
        "or have them changed (`estampe template edit`)"
    )


class NotAVirtualServer(Invalid):
    code = "not-a-virtual-server"
    message = "{server!r} is not a virtual server that Estampe can capture: {reason}"


class ConfirmationNeeded(Invalid):
    code = "confirmation-needed"
    message = "nobody is there to confirm that you want to {action}: say --yes to do it without being asked"


class DatabaseUrlInvalid(Invalid):
    code = "database-url"
    message = "the setting database_url cannot be used: {problem}; it looks like postgresql://user@host/database"


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


class InventoryNotFound(NotFound):
    code = "inventory-not-found"
    message = (
        "template {template!r} has no inventory: its guest could not be inspected, or was not when it was captured; "
        "`estampe template show {template}` tells why"
    )


class NoDeployableVersion(TemplateNotFound):
    code = "no-deployable-version"
    message = (
        "no version of template {template!r} can be deployed ({versions}); name one with its version, as {example}"
    )


class ShareNotFound(NotFound):
    code = "share-not-found"
    message = "template {template} is not shared with {account}; `estampe template shares {template}` names whom it is shared with"


class RetentionRuleNotFound(NotFound):
    code = "retention-rule-not-found"
    message = "there is no retention rule for {pattern!r}; `estampe retention list` names those there are"


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


class SessionNotFound(NotFound):
    code = "session-not-found"
    message = "there is no session {session!r}; `estampe session list` names those there are"


class ContextNotFound(NotFound):
    code = "context-not-found"
    message = "there is no context {context!r} in {file}; `estampe context list` names those there are"


class PoolNotFound(NotFound):
    code = "pool-not-found"
    message = "there is no active storage pool {pool!r} on this host (there are: {known}); see `virsh pool-list --all`"


class NetworkNotFound(NotFound):
    code = "network-not-found"
    message = "there is no active network {network!r} on this host (there are: {known}); see `virsh net-list --all`, `ip link show type bridge`"


class VolumeNotFound(NotFound):
    code = "volume-not-found"
    message = "{owner} has no volume {volume!r}; it has: {known}"


class ProfileNotFound(NotFound):
    code = "profile-not-found"
    message = "there is no profile {profile!r}; there are: {known}"


class ManifestNotFound(NotFound):
    code = "manifest-not-found"
    message = "the store holds no manifest {template}"


class ChunkNotFound(NotFound):
    """A bare look-up of a chunk that is not there; a chunk that a template names is `ChunkMissing` instead."""

    code = "chunk-not-found"
    message = "the store holds no chunk {chunk}"


class BackupNotFound(NotFound):
    code = "backup-not-found"
    message = "there is no backup {path}: {detail}"


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


class SessionEnded(NotSignedIn):
    """One answer, whatever is wrong with the session: unknown, ended, unused for too long, or its person is no member any more."""

    code = "session-ended"
    message = "the session has ended, or there never was one: sign in again"


class OidcAnswerRefused(NotSignedIn):
    """What the OpenID provider, or who says to come from there, has sent cannot be believed."""

    code = "oidc-answer-refused"
    message = "signing in at the OpenID provider did not succeed: {problem}; begin again"


class OidcPersonUnknown(NotSignedIn):
    """One answer, whether there is no such user, or one who was not meant."""

    code = "oidc-person-unknown"
    message = (
        "the OpenID provider knows you as {name}, and nobody who may sign in that way goes by that name here; ask the cloud "
        "operator for it, who needs your subject there: {subject}"
    )


class CrossSiteRefused(Denied):
    """A change that a browser asked for by its cookie, without showing that it was one of our own pages."""

    code = "cross-site-refused"
    message = "the request may come from another site: {problem}"


class TicketRefused(Denied):
    """For which reason is not told: whoever guesses learns nothing."""

    code = "ticket-refused"
    message = "the ticket is not valid: one opens one screen or serial console once, within {seconds} s, for who asked for it; ask for another"


class TerminalForbidden(Denied):
    code = "terminal-forbidden"
    message = "the {kind} of server {server!r} was closed: you are signed out, or may not use it any more"


class RoleDenied(Denied):
    code = "role-denied"
    message = "this takes the role {needed}, and yours in account {account} is {role}; ask an owner of the account"


class CloudOperatorOnly(Denied):
    code = "cloud-operator-only"
    message = "only the cloud operator may do this"


class TemplateNotOwned(Denied):
    """Only for who may see the template anyway: of others it is not found."""

    code = "template-not-owned"
    message = "template {template} belongs to {publisher}: only that account can do this with it"


class PublishingNotAllowed(Denied):
    code = "publishing-not-allowed"
    message = "account {account} may not publish templates: ask the cloud operator to allow it, or share them with accounts by name"


class AccountSuspended(Denied):
    code = "account-suspended"
    message = "account {account} is suspended: nothing of it can be changed until the cloud operator resumes it"


# --- state that forbids ---------------------------------------------------------------------------------------------


class NameInUse(Conflict):
    code = "name-in-use"
    message = "the name {name!r} is in use by {what}; choose another or remove that one first"


class VersionGiven(Conflict):
    code = "version-given"
    message = (
        "{name}@{version} was another template once, deleted or renamed since, and a version is never given again: "
        "what is written down must not become something else; choose another name"
    )


class ServerBusy(Conflict):
    code = "server-busy"
    message = "server {server!r} is in use by operation {operation}; wait for it (`estampe operation wait {operation}`) or cancel it"


class TemplateInUse(Conflict):
    code = "template-in-use"
    message = "template {template!r} is in use by operation {operation}; wait for it or cancel it first"


class TemplateInUseElsewhere(Conflict):
    code = "template-in-use-elsewhere"
    message = (
        "template {template!r} is being deployed by another account; try again when that has ended, and unshare or unpublish it "
        "first where others would only begin anew"
    )


class TemplateStateForbids(Conflict):
    code = "template-state"
    message = "template {template!r} is {state}: {advice}"


class TemplateNotSealed(Conflict):
    code = "template-not-sealed"
    message = (
        "template {template} is not sealed: everybody would get the identity of the server it was captured from, its SSH "
        "host keys for one; capture it sealed, or publish it with --unsealed if there is nothing of that in it"
    )


class TemplateProtected(Conflict):
    code = "template-protected"
    message = "template {template!r} is protected: `estampe template unprotect {template}` first if you mean it"


class AlreadyServing(Conflict):
    code = "already-serving"
    message = "another Estampe daemon works in {directory}; stop that one first, or set another state_directory"


class DatabaseInUse(Conflict):
    code = "database-in-use"
    message = "another Estampe daemon works with the database at {where}; stop that one first"


class BackupKindMismatch(Conflict):
    code = "backup-kind"
    message = (
        "the backup {path} is of a database in {kind}, and this installation's is in {wanted}: restore it where database_url "
        "is as it was when the backup was made"
    )


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


class SerialConsoleInUse(Conflict):
    code = "serial-console-in-use"
    message = (
        "the serial console of server {server!r} is open elsewhere, and only one can have it: close it there, or take it over "
        "(--force)"
    )


class TerminalClosed(Conflict):
    code = "terminal-closed"
    message = "the {kind} of server {server!r} was closed: {reason}; open it again"


class TooManyTerminals(Conflict):
    code = "too-many-terminals"
    message = (
        "account {account} has {limit} screens and serial consoles open, which is the most: close one of them first"
    )


class ServerStarted(Conflict):
    code = "server-started"
    message = (
        "server {server!r} was started, or its volume {volume} written to, while it was being captured; what was copied is not "
        "one state of it, so nothing was kept; capture it again"
    )


class TemplateChanged(Conflict):
    code = "template-changed"
    message = "template {template} is not any more as you have seen it (its ETag is {etag} now); look at it again, then decide"


class RequestInProgress(Conflict):
    code = "request-in-progress"
    message = "another request with the idempotency key {key!r} has not been answered yet; ask again in a moment"


class ServerChanged(Conflict):
    code = "server-changed"
    message = "server {server!r} changed between the look at it and the reading of its volumes: {what}; nothing was kept; capture it again"


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


class OperationNotRestored(Conflict):
    code = "operation-not-restored"
    message = (
        "operation {operation} was under way when the backup was made that the database was restored from; it was not "
        "continued: see what it left, then ask for it again"
    )


class NoSpace(Conflict):
    code = "no-space"
    message = "not enough space in {where}: {needed} needed, {available} available; free some or choose another place"


class VolumeNotInPool(Conflict):
    code = "volume-not-in-pool"
    message = (
        "volume {volume} ({place}) of server {server!r} lies in no active storage pool of this host, so Estampe cannot delete it, and "
        "nothing was done; activate its pool, or delete the server without --delete-volumes and remove the volume yourself"
    )


class NotInFull(Conflict):
    code = "not-in-full"
    message = "{what} was not done in full: {problems}"


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


class OidcNotConfigured(Unsupported):
    code = "oidc-not-configured"
    message = (
        "nobody can sign in that way here: sign in with a password, or ask the cloud operator to set `oidc_issuer` (and "
        "`public_url`, for browsers)"
    )


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


class NoScreen(Unsupported):
    code = "no-screen"
    message = (
        "server {server!r} has no screen that can be shown: it has {has}, and a VNC display is needed; use its serial console, or add "
        "<graphics type='vnc'><listen type='none'/></graphics> and a <video> device (`virsh edit`, then stop and start it)"
    )


class NoSerialConsole(Unsupported):
    code = "no-serial-console"
    message = (
        "server {server!r} has no serial console that can be opened: it has {has}; use its screen, or add <serial type='pty'/> "
        "(`virsh edit`, then stop and start it)"
    )


class FormatUnsupported(Unsupported):
    code = "format-unsupported"
    message = "volume {volume} has the format {format!r}; Estampe captures raw and qcow2"


class DatabaseVersionUnsupported(Unsupported):
    code = "database-version"
    message = "the database at {where} has schema {version}, which this Estampe does not know: upgrade Estampe"


class BackupVersionUnsupported(Unsupported):
    code = "backup-version"
    message = "the backup {path} has format version {version}, this Estampe reads up to {supported}: upgrade Estampe"


class ChainUnsupported(Unsupported):
    code = "chain-unsupported"
    message = "volume {volume} cannot be read: {path} {problem}"


class ManifestVersionUnsupported(Unsupported):
    code = "manifest-version"
    message = "manifest {template} has format version {version}, this Estampe reads up to {supported}: upgrade Estampe"


class ChunkVersionUnsupported(Unsupported):
    code = "chunk-version"
    message = "chunk {chunk} has format version {version}, this Estampe reads up to {supported}: upgrade Estampe"


# --- things that do not answer --------------------------------------------------------------------------------------


class NotReady(Unavailable):
    code = "not-ready"
    message = "the daemon is not ready: {problems}"


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


class TpmStateFailed(Unavailable):
    code = "tpm-state-failed"
    message = "cannot {action} the state of the TPM at {path}: {detail}"


class ApplianceFailed(Unavailable):
    code = "appliance-failed"
    message = "the appliance could not work on the copy: {detail}"


class BlockIOFailed(Unavailable):
    code = "block-io"
    message = "{action} of {length} bytes at offset {offset} of {where} failed: {detail}"


class DatabaseUnavailable(Unavailable):
    code = "database-unavailable"
    message = "the database at {where} cannot be used: {detail}"


class DatabaseBusy(Unavailable):
    code = "database-busy"
    message = "the database at {where} was busy, and nothing was changed: {detail}; try again"


class BackupFailed(Unavailable):
    code = "backup-failed"
    message = "cannot {action} {path}: {detail}"


class StoreUnavailable(Unavailable):
    code = "store-unavailable"
    message = "the store at {where} cannot {action}: {detail}"


class OidcUnavailable(Unavailable):
    code = "oidc-unavailable"
    message = "the OpenID provider {issuer} cannot be used: {detail}; try again, or sign in with a password"


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


class DatabaseDamaged(Corrupt):
    code = "database-damaged"
    message = (
        "the database at {where} is damaged: {detail}; restore the last backup that is sound (`estampe db restore`)"
    )


class BackupCorrupt(Corrupt):
    code = "backup-corrupt"
    message = "the backup {path} is damaged: {detail}; nothing was changed, use another one"


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

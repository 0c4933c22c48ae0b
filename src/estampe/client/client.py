"""The typed client: a method per route, schemas in and out, errors as `estampe.errors`."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Self, TypeVar

import pydantic

from estampe import errors
from estampe.client import transport
from estampe.model import operation as operations
from estampe.schemas import capture, characteristics, deploy, operation, server, store, system, template, wire

SOCKET_VARIABLE: Final = "ESTAMPE_SOCKET"
DEFAULT_SOCKET: Final = Path("/run/estampe/estampe.sock")
_PLAN_SECONDS: Final = 300.0  # a plan reads the extents of every volume; usage every manifest
_START_SECONDS: Final = 120.0  # of a server, by libvirt on a busy host
_MARGIN_SECONDS: Final = 15.0  # between the end of a wait in the daemon and our giving up on it
_PAGE: Final = 200
_Request = TypeVar("_Request", bound=wire.Request)


def socket_path() -> Path:
    """Where the daemon listens: $ESTAMPE_SOCKET, else the usual place."""
    return Path(os.environ.get(SOCKET_VARIABLE) or DEFAULT_SOCKET)


def make(kind: type[_Request], **fields: Any) -> _Request:
    """A request of that kind, by the rules that the daemon has too. Raises: errors.InvalidRequest."""
    try:
        return kind(**fields)
    except pydantic.ValidationError as error:
        raise wire.invalid_request([dict(problem) for problem in error.errors()]) from error


class Client:
    """Estampe's daemon. Context manager; not for several threads.

    Every method raises errors.DaemonUnavailable, errors.SocketDenied and what its route answers.
    """

    def __init__(self, socket: Path | None = None, *, request_seconds: float = transport.REQUEST_SECONDS) -> None:
        self._daemon = transport.Transport(socket or socket_path(), request_seconds=request_seconds)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._daemon.__exit__(*exc)

    # --- servers

    def list_servers(self) -> list[server.Server]:
        """All servers, by name."""
        return self._daemon.ask(server.ServerList, "GET", "/servers").servers

    def get_server(self, reference: str) -> server.ServerDetail:
        """One server."""
        return self._daemon.ask(server.ServerDetail, "GET", _server(reference))

    def start_server(self, reference: str) -> server.Server:
        """Start it; returns when it has started."""
        return self._daemon.ask(server.Server, "POST", f"{_server(reference)}/start", timeout_seconds=_START_SECONDS)

    def stop_server(self, reference: str, request: server.StopRequest) -> server.Server:
        """Shut it down; returns when it is off."""
        return self._daemon.ask(
            server.Server,
            "POST",
            f"{_server(reference)}/stop",
            body=request,
            timeout_seconds=request.timeout_seconds + _START_SECONDS,
        )

    def delete_server(self, reference: str, *, is_volumes_deleted: bool, is_forced: bool) -> None:
        """Remove it."""
        query = {"is_volumes_deleted": is_volumes_deleted, "is_forced": is_forced}
        self._daemon.send("DELETE", _server(reference), query=query, timeout_seconds=_START_SECONDS)

    # --- captures and deployments

    def plan_capture(self, request: capture.CaptureRequest) -> capture.CapturePlan:
        """What the capture would do."""
        return self._daemon.ask(
            capture.CapturePlan, "POST", "/captures/plan", body=request, timeout_seconds=_PLAN_SECONDS
        )

    def start_capture(self, request: capture.CaptureRequest) -> operation.Operation:
        """Begin a capture."""
        return self._daemon.ask(operation.Operation, "POST", "/captures", body=request, timeout_seconds=_PLAN_SECONDS)

    def plan_deployment(self, request: deploy.DeployRequest) -> deploy.DeployPlan:
        """What the deployment would do."""
        return self._daemon.ask(
            deploy.DeployPlan, "POST", "/deployments/plan", body=request, timeout_seconds=_PLAN_SECONDS
        )

    def start_deployment(self, request: deploy.DeployRequest) -> operation.Operation:
        """Begin a deployment."""
        return self._daemon.ask(
            operation.Operation, "POST", "/deployments", body=request, timeout_seconds=_PLAN_SECONDS
        )

    # --- templates

    def list_templates(self, *, name: str | None = None, tag: str | None = None) -> Iterator[template.Template]:
        """All templates that fit, page by page."""
        after: uuid.UUID | None = None
        while True:
            query = {"name": name, "tag": tag, "limit": _PAGE, "after": str(after) if after else None}
            page = self._daemon.ask(template.TemplateList, "GET", "/templates", query=query)
            yield from page.templates
            after = page.next
            if after is None:
                return

    def get_template(self, reference: str) -> template.TemplateDetail:
        """One template."""
        return self._daemon.ask(template.TemplateDetail, "GET", _template(reference), timeout_seconds=_PLAN_SECONDS)

    def edit_template(self, reference: str, request: template.EditRequest) -> template.Template:
        """Change it."""
        return self._daemon.ask(template.Template, "PATCH", _template(reference), body=request)

    def replace_characteristics(
        self, reference: str, request: characteristics.CharacteristicsRequest
    ) -> template.Template:
        """Say anew what it is tuned for."""
        return self._daemon.ask(template.Template, "PUT", f"{_template(reference)}/characteristics", body=request)

    def change_characteristics(
        self, reference: str, request: characteristics.CharacteristicsChangeRequest
    ) -> template.Template:
        """Change a part of what it is tuned for."""
        return self._daemon.ask(template.Template, "PATCH", f"{_template(reference)}/characteristics", body=request)

    def delete_template(self, reference: str) -> None:
        """Remove it."""
        self._daemon.send("DELETE", _template(reference), timeout_seconds=_START_SECONDS)

    # --- profiles

    def list_profiles(self) -> list[characteristics.Profile]:
        """The tuned settings that Estampe ships, by name."""
        return self._daemon.ask(characteristics.ProfileList, "GET", "/profiles").profiles

    def get_profile(self, name: str) -> characteristics.Profile:
        """One of them."""
        unknown = errors.ProfileNotFound(profile=name, known="see `estampe profile list`")
        return self._daemon.ask(characteristics.Profile, "GET", f"/profiles/{transport.segment(name, unknown)}")

    # --- operations

    def list_operations(
        self, *, states: Sequence[operations.State] = (), kind: operations.Kind | None = None, limit: int = 100
    ) -> list[operation.Operation]:
        """Operations, the newest first."""
        query = {"state": [state.value for state in states], "kind": kind.value if kind else None, "limit": limit}
        return self._daemon.ask(operation.OperationList, "GET", "/operations", query=query).operations

    def get_operation(self, reference: str) -> operation.Operation:
        """One operation as it stands."""
        return self._daemon.ask(operation.Operation, "GET", _operation(reference))

    def wait_operation(self, reference: str, *, seen: str | None, wait_seconds: float) -> operation.Operation:
        """One operation when it differs from `seen` (a change token), has ended, or those seconds have passed."""
        return self._daemon.ask(
            operation.Operation,
            "GET",
            _operation(reference),
            query={"wait": wait_seconds, "seen": seen},
            timeout_seconds=wait_seconds + _MARGIN_SECONDS,
        )

    def cancel_operation(self, reference: str) -> operation.Operation:
        """Ask it to stop."""
        return self._daemon.ask(operation.Operation, "POST", f"{_operation(reference)}/cancel")

    # --- store

    def get_usage(self) -> store.Usage:
        """What the store holds."""
        return self._daemon.ask(store.Usage, "GET", "/store/usage", timeout_seconds=_PLAN_SECONDS)

    def start_check(self, request: store.CheckRequest) -> operation.Operation:
        """Begin to verify the store."""
        return self._daemon.ask(operation.Operation, "POST", "/store/check", body=request)

    def start_sweep(self, request: store.SweepRequest) -> operation.Operation:
        """Begin to sweep the store."""
        return self._daemon.ask(operation.Operation, "POST", "/store/sweep", body=request)

    # --- the daemon itself

    def get_version(self) -> system.Version:
        """Which Estampe answers."""
        return self._daemon.ask(system.Version, "GET", "/version")

    def get_health(self) -> system.Health:
        """Whether it answers."""
        return self._daemon.ask(system.Health, "GET", "/health")


def _server(reference: str) -> str:
    return f"/servers/{transport.segment(reference, errors.ServerNotFound(server=reference))}"


def _template(reference: str) -> str:
    return f"/templates/{transport.segment(reference, errors.TemplateNotFound(template=reference))}"


def _operation(reference: str) -> str:
    return f"/operations/{transport.segment(reference, errors.OperationNotFound(operation=reference))}"

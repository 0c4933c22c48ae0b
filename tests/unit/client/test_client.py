"""The client against a real server: what a service raises is what the caller catches."""

from __future__ import annotations

import datetime
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.api import fakes

from estampe import errors
from estampe.client import client
from estampe.model import operation, visibility
from estampe.model import template as model
from estampe.schemas import capture, characteristics, deploy, publishing, retention, server, store, template


def test_answers_are_typed(daemon: client.Client, world: fakes.World) -> None:
    assert next(daemon.list_servers()).id == fakes.an_id(1)
    assert daemon.get_server("web-01").summary.power_state.value == "running"
    assert daemon.stop_server("web-01", server.StopRequest()).power_state.value == "shut off"
    assert daemon.start_server("web-01").power_state.value == "running"
    assert daemon.plan_capture(capture.CaptureRequest(server="web-01")).template_version == 3
    assert daemon.start_capture(capture.CaptureRequest(server="web-01")).kind is operation.Kind.CAPTURE
    assert daemon.plan_deployment(deploy.DeployRequest(template="web", name="n")).pool == "default"
    assert daemon.start_deployment(deploy.DeployRequest(template="web", name="n")).kind is operation.Kind.DEPLOY
    assert daemon.get_template("web@1").manifest is not None
    assert daemon.get_inventory("web@1").packages[0].name == "nginx"
    assert daemon.compare_templates("web@1", "web@2").packages[0].after == "1.24-1"
    assert daemon.edit_template("web@1", template.EditRequest(note="new")).note == "new"
    told = characteristics.CharacteristicsRequest(tuned_for="builds")
    assert daemon.replace_characteristics("web@1", told).characteristics.tuned_for == "builds"  # type: ignore[union-attr]
    part = characteristics.CharacteristicsChangeRequest(profile="linux-server", unset=["tuned_for"])
    changed = daemon.change_characteristics("web@1", part).characteristics
    assert changed is not None
    assert (changed.tuned_for, changed.tuned.rng) == (None, True)
    assert daemon.get_profile(daemon.list_profiles().profiles[0].name).name == "linux-database"
    assert daemon.get_usage().chunks == 6144
    assert [each.templates for each in daemon.get_growth(days=30).samples] == [1, 2, 3]
    assert daemon.start_check(store.CheckRequest()).kind is operation.Kind.CHECK
    assert daemon.start_sweep(store.SweepRequest()).kind is operation.Kind.SWEEP
    assert len(list(daemon.list_operations(states=[operation.State.RUNNING], kind=operation.Kind.SWEEP))) == 1
    assert daemon.get_version().api == "v1"
    assert daemon.deprecate_template("web@1", template.DeprecateRequest(successor="web@2")).successor_id == fakes.an_id(
        202
    )
    assert daemon.disable_template("web@1").state is model.State.DISABLED
    assert daemon.enable_template("web@1").state is model.State.ACTIVE
    assert daemon.protect_template("web@1").is_protected
    assert not daemon.unprotect_template("web@1").is_protected
    assert [found.name for found in daemon.list_servers_of_template("web@1").servers] == []
    assert daemon.set_retention_rule("w?b*", retention.RetentionRuleRequest(keep_last=1)).pattern == "w?b*"
    assert [rule.keep_last for rule in daemon.list_retention_rules().rules] == [1]
    assert [each.is_kept for each in daemon.apply_retention_rules(retention.ApplyRequest()).verdicts] == [True, False]
    daemon.remove_retention_rule("w?b*")
    assert daemon.delete_template("web@1").trash is not None
    assert [found.version for found in daemon.list_templates(is_trashed=True)] == [1]
    assert daemon.restore_template("web@1").trash is None
    daemon.delete_template("web@1")
    daemon.purge_template("web@1")
    daemon.delete_server("web-01", is_volumes_deleted=True, is_forced=False)
    assert world.calls[-1] == ("delete", "web-01", True, False)


def test_all_pages_of_templates_are_read(daemon: client.Client, world: fakes.World) -> None:
    world.templates = [fakes.a_template(id=fakes.an_id(1000 + number), version=number) for number in range(450, 0, -1)]
    assert [found.version for found in daemon.list_templates(name="web", tag="production")] == list(range(450, 0, -1))


@pytest.mark.parametrize(
    "error",
    [
        errors.ServerBusy(server="web-01", operation="x"),
        errors.ShutdownTimeout(server="web-01", seconds=180.0),
        errors.ChunkCorrupt(chunk="ab", detail="flipped"),
        errors.HypervisorUnavailable(uri="qemu:///system", detail="refused"),
        errors.InvalidName(name="{evil}", what="template", rule="{no}"),
    ],
)
def test_an_error_arrives_as_it_was_raised(
    daemon: client.Client, world: fakes.World, error: errors.EstampeError
) -> None:
    world.failure = error
    with pytest.raises(type(error)) as caught:
        daemon.get_server("web-01")
    assert str(caught.value) == str(error)
    assert caught.value.facts == error.facts


def test_a_name_needs_no_quoting(daemon: client.Client, world: fakes.World) -> None:
    name = "a b%2F?#é"
    world.servers[name] = fakes.a_server(name=name, id=fakes.an_id(7))
    assert daemon.get_server(name).summary.name == name


@pytest.mark.parametrize("reference", ["", ".", ".."])
def test_a_name_that_no_path_can_hold_is_not_found(daemon: client.Client, world: fakes.World, reference: str) -> None:
    with pytest.raises(errors.ServerNotFound):
        daemon.get_server(reference)
    with pytest.raises(errors.TemplateNotFound):
        daemon.delete_template(reference)
    assert world.calls == []


def test_the_slash_of_a_publisher_is_part_of_the_name(daemon: client.Client, world: fakes.World) -> None:
    assert daemon.get_template("acme/web@1").template.name == "web"
    assert daemon.list_servers_of_template("acme/web").elsewhere[0].account == "globex"
    assert [call[:2] for call in world.calls] == [("get", "acme/web@1"), ("servers", "acme/web")]
    with pytest.raises(errors.ServerNotFound):
        daemon.get_server("a/b")


def test_sharing_and_publishing_are_typed(daemon: client.Client, world: fakes.World) -> None:
    until = fakes.NOW + datetime.timedelta(days=30)
    request = template.ShareRequest(right=visibility.Right.EXPORT, expires_at=until, note="for you")
    shared = daemon.share_template("web@1", "globex", request)
    assert (shared.account, shared.right, shared.expires_at) == ("globex", visibility.Right.EXPORT, until)
    assert [each.account for each in daemon.list_shares("web@1").shares] == ["globex"]
    daemon.unshare_template("web@1", "globex")
    with pytest.raises(errors.ShareNotFound):
        daemon.unshare_template("web@1", "globex")
    public = daemon.publish_template("web@1", template.PublishRequest(note="for all"))
    assert public.publication is not None
    assert (public.full_reference, public.publication.note) == ("cloud/web@1", "for all")
    assert daemon.unpublish_template("web@1", if_match=public.etag).visibility is visibility.Visibility.PRIVATE
    assert daemon.hide_template("acme/web@1").is_hidden
    assert not daemon.unhide_template("acme/web@1").is_hidden
    assert daemon.allow_publishing("default", publishing.AllowRequest(may_publish=True)).may_publish
    limited = daemon.limit_publishers("default", publishing.LimitRequest(is_limited=True, publishers=["cloud"]))
    assert daemon.get_publishing("default") == limited
    assert limited.publishers == ["cloud"]
    assert list(daemon.list_templates(scopes=[visibility.Scope.SHARED], is_hidden=True))
    assert world.calls[-1][1].scopes == (visibility.Scope.SHARED,)


def test_a_bad_request_is_refused_before_it_is_sent() -> None:
    with pytest.raises(errors.InvalidRequest, match="server"):
        client.make(capture.CaptureRequest, server="")


def test_nobody_there_is_daemon_unavailable(tmp_path: Path) -> None:
    with client.Client(tmp_path / "none") as daemon, pytest.raises(errors.DaemonUnavailable, match="No such file"):
        daemon.get_health()


def test_a_stale_socket_is_daemon_unavailable(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as abandoned:
        abandoned.bind(str(tmp_path / "s"))
    with client.Client(tmp_path / "s") as daemon, pytest.raises(errors.DaemonUnavailable, match="refused"):
        daemon.get_health()


@pytest.mark.requires_root
def test_no_permission_says_who_may(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))
        bound.listen()
        path.chmod(0o600)
        for folder in (tmp_path, *tmp_path.parents):
            if folder.owner() == "root" and folder != Path("/"):
                folder.chmod(folder.stat().st_mode | 0o011)
        code = (
            "import os, sys\n"
            "from estampe import errors\n"
            "from estampe.client import client\n"
            "os.setuid(65534)\n"
            "try: client.Client().get_health()\n"
            "except errors.SocketDenied as error: sys.exit(str(error))\n"
        )
        env = {**os.environ, "ESTAMPE_SOCKET": str(path)}
        denied = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert "member of the group" in denied.stderr


@pytest.fixture
def strange(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A server that answers everything with the bytes of the test's parameter."""
    path = tmp_path / "strange.sock"
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))
        bound.listen()

        def answer() -> None:
            is_answered = False
            while not is_answered:
                connection, _ = bound.accept()
                with connection:
                    is_answered = bool(connection.recv(65536))
                    if is_answered:
                        connection.sendall(request.param)

        answering = threading.Thread(target=answer, daemon=True)
        answering.start()
        yield path
        answering.join(10)


@pytest.mark.parametrize(
    "strange",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 4\r\n\r\noops",
    ],
    indirect=True,
)
def test_an_answer_that_is_not_estampes_is_daemon_unavailable(strange: Path) -> None:
    with client.Client(strange) as daemon, pytest.raises(errors.DaemonUnavailable):
        daemon.get_health()


@pytest.mark.parametrize(
    "strange",
    [b'HTTP/1.1 409 Conflict\r\ncontent-length: 105\r\n\r\n{"type":"x","title":"x","status":409,"detail":"from the future","code":"from-the-future","facts":{"a":1}}'],
    indirect=True,
)  # fmt: skip
def test_an_error_of_a_newer_daemon_keeps_its_message(strange: Path) -> None:
    with client.Client(strange) as daemon, pytest.raises(errors.EstampeError, match="from the future"):
        daemon.get_health()

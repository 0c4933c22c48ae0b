"""Every command: what it asks, what it prints in both forms, and how it ends."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.api import fakes
from tests.unit.cli import conftest

from estampe import errors
from estampe.capture import request as capture
from estampe.cli import daemon, exits
from estampe.deploy import request as deploy
from estampe.doctor import check
from estampe.model import listing, operation, template, visibility

_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5 me@here"
_DONE = {"state": operation.State.SUCCEEDED, "ended_at": fakes.NOW}
_CAPTURED = {
    **_DONE,
    "result": {"template": "web@3", "logical_bytes": 12 * fakes.GIB, "new_bytes": 2 * fakes.GIB, "is_sealed": False, "why_not_sealed": "as asked"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("server list", ["NAME", "web-01", "running", "2 GiB", "web@3"]),
        ("server show web-01", ["pc-q35-7.2", "192.0.2.10/24", "vda", "52:54:00:00:00:01", "CD-ROM sda: removable"]),
        ("server start web-01", ["web-01 is running"]),
        ("server stop web-01", ["web-01 is shut off"]),
        ("server delete web-01 --yes", ["deleted server web-01"]),
        ("template list", ["web@2", "web@1", "12 GiB", "production", "Debian"]),
        ("template show web@1", ["Debian GNU/Linux 12", "emptied /etc/machine-id", "! a note", "NVRAM", "1 GiB", "ext4"]),
        ("template edit web@1 --note new", ["changed web@1"]),
        ("template delete web@1 --yes", ["deleted template web@1", "in the trash until"]),
        ("template deprecate web@1 --successor web@2", ["web@1 is deprecated"]),
        ("template disable web@1", ["web@1 is disabled"]),
        ("template enable web@1", ["web@1 is active"]),
        ("template protect web@1", ["web@1 is active, protected"]),
        ("template unprotect web@1", ["web@1 is active"]),
        ("template servers web@1", ["NAME", "2 of account globex"]),
        ("template list --mine --shared --public", ["SEEN BY", "web@2"]),
        ("template share web@1 --with globex", ["web@1 is shared with globex: deploy"]),
        ("template shares web@1", ["ACCOUNT", "UNTIL"]),
        ("template publish web@1 --note all", ["web@1 is public, as cloud/web@1"]),
        ("template unpublish web@1", ["web@1 is private"]),
        ("template hide acme/web@1", ["acme/web@1 is left out of lists"]),
        ("template unhide acme/web@1", ["acme/web@1 is listed again"]),
        ("publisher show", ["may publish", "no", "everybody"]),
        ("publisher allow default", ["yes"]),
        ("publisher deny default", ["no"]),
        ("publisher limit cloud acme", ["cloud, acme"]),
        ("publisher unlimit", ["everybody"]),
        ("retention set ci-* --keep-last 5", ["ci-*: the newest 5 of each name stay"]),
        ("retention set ci-* --keep-last 5 --keep-days 14", ["and those younger than 14 days"]),
        ("retention list", ["PATTERN"]),
        ("retention apply --dry-run", ["no template is matched"]),
        ("capture web-01 --dry-run", ["web-01@3", "7 GiB", "5 GiB", "new in the store   about", "CD-ROM sda: removable", "a warning", "shut down by"]),
        ("template tune web@1 --profile linux-server", ["tuned web@1", "one per CPU", "free-page-reporting", "unmap"]),
        ("template edit web@1 --set tuned_for=builds", ["changed web@1"]),
        ("profile list", ["linux-server", "linux-database", "Linux with a database"]),
        ("profile show linux-database", ["host-passthrough", "native", "page cache"]),
        ("deploy web web-02 --dry-run", ["queues of volume vda: 2", "CPU: host-passthrough asked, maximum given (no KVM)", "web pages"]),
        ("deploy web web-02 --dry-run", ["40 GiB", "bridge:br0", "machine type: pc-q35-8.0 -> pc-q35-7.2", "host name by seed"]),
        ("store usage", ["24 GiB", "saved by deduplication", "4 GiB", "web@1", "100 GiB"]),
    ],
)  # fmt: skip
def test_people_are_told(run: conftest.CommandLine, arguments: str, told: list[str]) -> None:
    result = run(*arguments.split())
    assert result.exit_code == 0, result.output
    for words in told:
        assert words in result.stdout
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ("server list", "servers"),
        ("server show web-01", "summary"),
        ("server start web-01", "power_state"),
        ("server stop web-01", "power_state"),
        ("server delete web-01 --yes", "deleted"),
        ("template list", "templates"),
        ("template show web@1", "manifest"),
        ("template edit web@1 --tag x", "tags"),
        ("template delete web@1 --yes", "trash"),
        ("template deprecate web@1", "successor_id"),
        ("template disable web@1", "state"),
        ("template enable web@1", "state"),
        ("template protect web@1", "is_protected"),
        ("template unprotect web@1", "is_protected"),
        ("template servers web@1", "elsewhere"),
        ("template share web@1 --with globex --expires 30d", "expires_at"),
        ("template shares web@1", "shares"),
        ("template publish web@1", "publication"),
        ("template unpublish web@1", "visibility"),
        ("template hide acme/web@1", "is_hidden"),
        ("template unhide acme/web@1", "is_hidden"),
        ("publisher show", "may_publish"),
        ("retention set ci-* --keep-last 5", "keep_last"),
        ("retention list", "rules"),
        ("retention apply --yes", "verdicts"),
        ("template tune web@1 --profile linux-server", "characteristics"),
        ("profile list", "profiles"),
        ("profile show linux-server", "why"),
        ("capture web-01 --dry-run", "estimated_new_bytes"),
        ("capture web-01 --no-wait", "change_token"),
        ("deploy web web-02 --dry-run", "needed_bytes"),
        ("deploy web web-02 --no-wait", "change_token"),
        ("operation list", "operations"),
        ("store usage", "distinct_bytes"),
        ("store check --no-wait", "id"),
        ("store sweep --dry-run --no-wait", "id"),
    ],
)
def test_programs_get_one_document(run: conftest.CommandLine, arguments: str, key: str) -> None:
    result = run(*arguments.split(), "--output", "json")
    assert result.exit_code == 0, result.output
    assert key in json.loads(result.stdout)
    assert result.stderr == ""


def test_a_capture_asks_for_what_was_said(run: conftest.CommandLine, world: fakes.World) -> None:
    result = run(
        "capture", "web-01", "--name", "web", "--note", "n", "--tag", "a", "--tag", "b", "--volume", "vda", "--volume", "vdb",
        "--force", "--stop-timeout", "2min", "--no-seal", "--no-wait",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    asked = capture.CaptureRequest(
        server="web-01",
        name="web",
        note="n",
        tags=("a", "b"),
        volumes=("vda", "vdb"),
        is_forced=True,
        stop_timeout_seconds=120.0,
        is_sealed=False,
    )
    assert world.calls == [("capture", asked)]


def test_a_deploy_asks_for_what_was_said(run: conftest.CommandLine, world: fakes.World, tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_text(f"# mine\n{_KEY}\n\n{_KEY}2\n")
    (tmp_path / "user-data").write_text("#cloud-config\n")
    result = run(
        "deploy", "web@1", "web-02", "--cpus", "4", "--memory", "4GiB", "--volume", "vda=40GiB", "--volume", "vdb=1TiB",
        "--format", "raw", "--pool", "fast", "--network", "lan", "--network", "bridge:br0", "--address", "192.0.2.10/24",
        "--address", "2=198.51.100.7/24", "--address", "3=2001:db8::7/64", "--gateway", "192.0.2.1", "--dns", "2=192.0.2.53",
        "--hostname", "web.example.org", "--ssh-key", str(tmp_path / "key.pub"), "--ssh-key", _KEY, "--user-data",
        str(tmp_path / "user-data"), "--count", "3", "--no-start", "--no-wait",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    interfaces = (
        deploy.InterfaceRequest(network="lan", addresses=("192.0.2.10/24",), gateways=("192.0.2.1",)),
        deploy.InterfaceRequest(network="bridge:br0", addresses=("198.51.100.7/24",), dns=("192.0.2.53",)),
        deploy.InterfaceRequest(addresses=("2001:db8::7/64",)),
    )
    asked = deploy.DeployRequest(
        template="web@1", name="web-02", count=3, cpus=4, memory_bytes=4 * fakes.GIB,
        volume_sizes={"vda": 40 * fakes.GIB, "vdb": 1024 * fakes.GIB}, pool="fast", volume_format="raw",
        interfaces=interfaces, hostname="web.example.org", ssh_keys=(_KEY, f"{_KEY}2", _KEY), user_data="#cloud-config\n",
        is_started=False,
    )  # fmt: skip
    assert world.calls == [("deploy", asked)]


def test_user_data_may_come_from_standard_input(run: conftest.CommandLine, world: fakes.World) -> None:
    result = run("deploy", "web", "web-02", "--user-data", "-", "--dry-run", input="#cloud-config\n")
    assert result.exit_code == 0, result.output
    assert world.calls == [("plan", deploy.DeployRequest(template="web", name="web-02", user_data="#cloud-config\n"))]


def test_what_is_not_said_is_not_asked_for(run: conftest.CommandLine, world: fakes.World) -> None:
    run("deploy", "web", "web-02", "--no-wait")
    run("capture", "web-01", "--no-wait")
    assert world.calls == [
        ("deploy", deploy.DeployRequest(template="web", name="web-02")),
        ("capture", capture.CaptureRequest(server="web-01")),
    ]


def test_stop_delete_edit_check_and_sweep_ask_for_what_was_said(run: conftest.CommandLine, world: fakes.World) -> None:
    run("server", "stop", "web-01", "--force", "--timeout", "30s")
    run("server", "delete", "web-01", "--delete-volumes", "--force", "--yes")
    run("template", "edit", "web@1", "--name", "www", "--no-tags")
    run("template", "list", "w*", "--tag", "x")
    run("template", "list", "--trashed")
    run("template", "servers", "web", "--all-versions")
    run("retention", "set", "ci-*", "--keep-last", "5", "--keep-days", "30")
    run("retention", "apply", "--yes")
    run("operation", "list", "--state", "running", "--kind", "deploy", "--limit", "3")
    run("store", "check", "--sample", "5%", "--no-wait")
    run("store", "sweep", "--grace", "24h", "--yes", "--no-wait")
    assert world.calls == [
        ("stop", "web-01", True, 30.0),
        ("delete", "web-01", True, True),
        ("edit", "web@1", "www", None, ()),
        ("list", listing.TemplateQuery(name_glob="w*", tag="x", limit=100)),
        ("list", listing.TemplateQuery(is_trashed=True, limit=100)),
        ("servers", "web", True),
        ("set", "ci-*", 5, 30),
        ("apply", False),
        ("list", listing.OperationQuery(states=(operation.State.RUNNING,), kind=operation.Kind.DEPLOY, limit=3)),
        ("check", 0.05),
        ("sweep", False, 86_400.0),
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        "server delete web-01",
        "template delete web@1",
        "template purge web@1",
        "retention apply",
        "operation cancel 0000012d",
        "store sweep",
    ],
)
def test_nothing_is_destroyed_unasked_without_a_terminal(
    run: conftest.CommandLine, world: fakes.World, arguments: str
) -> None:
    result = run(*arguments.split(), input="y\n")
    assert result.exit_code == exits.CODES[errors.Invalid]
    assert "--yes" in result.stderr
    assert world.calls == []


@pytest.mark.parametrize(
    "arguments",
    [
        "deploy web n --memory lots",
        "deploy web n --volume vda",
        "deploy web n --volume vda=1GiB --volume vda=2GiB",
        "deploy web n --address 192.0.2.10",
        "deploy web n --address 0=192.0.2.10/24",
        "deploy web n --address x=192.0.2.10/24",
        "deploy web n --ssh-key /nowhere",
        "deploy web n --user-data /nowhere",
        "deploy web n --count 0",
        "deploy web n --format vmdk",
        "capture web-01 --stop-timeout soon",
        "capture web-01 --tag a,b",
        "template edit web@1",
        "template edit web@1 --tag x --no-tags",
        "retention set ci-*",
        "retention set ci-* --keep-last 0",
        "retention set CI --keep-last 5",
        "retention set a/b --keep-last 5",
        "retention set ci-* --keep-last 5 --keep-days 0",
        "retention remove ../x",
        "store check --sample 0%",
        "store check --sample 101%",
        "store sweep --grace -1h --yes",
        "operation list --state done",
        "server list --nonsense",
        "nonsense",
    ],
)
def test_what_is_not_understood_ends_before_anything_is_asked(
    run: conftest.CommandLine, world: fakes.World, arguments: str
) -> None:
    result = run(*arguments.split())
    assert result.exit_code == 2, result.output
    assert result.stderr
    assert world.calls == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("deploy web n --memory 4096TiB", "--memory: must be at most"),
        ("deploy web n --address 192.0.2.10", "--address: must be an address with its prefix length"),
        ("deploy web n --volume a-b=2GiB", "--volume a-b: must be a volume as its server names it"),
        ("deploy web n --gateway 1.2.3.4 --gateway x", "--gateway: must be an address without prefix"),
        ("capture web-01 --tag a,b", "--tag: must be 1 to 64 of"),
        ("capture web-01 --stop-timeout 48h", "--stop-timeout: must be less than or equal to 86400"),
        ("capture web-01 --name", "Option '--name' requires an argument"),
    ],
)
def test_what_is_wrong_is_told_by_the_option_in_words(run: conftest.CommandLine, arguments: str, told: str) -> None:
    result = run(*arguments.split())
    assert result.exit_code == 2
    assert told in result.stderr
    assert "^[" not in result.stderr  # no pattern


def test_what_the_daemon_finds_wrong_is_told_by_the_option_too(run: conftest.CommandLine, world: fakes.World) -> None:
    for field, option in (("memory", "--memory"), ("dns of interface 2", "--dns of interface 2"), ("odd", "odd")):
        world.failure = errors.InvalidRequest(field=field, problem="is wrong")
        assert run("deploy", "web", "n").stderr == f"error: {option}: is wrong\n"
    world.failure = errors.InvalidRequest(field="name", problem="is wrong")
    assert run("deploy", "web", "n").stderr == "error: NAME: is wrong\n"
    assert run("capture", "web-01").stderr == "error: --name: is wrong\n"


@pytest.mark.parametrize(
    "arguments",
    [
        "operation list --limit 0 -o json",
        "operation list --output json --limit 0",
        "server list --nonsense --output=json",
        "template edit web@1 -o json",
        "nonsense -o json",
        "--nonsense server list -o json",
        "deploy web --output json",
    ],
)
def test_programs_get_a_problem_for_a_line_that_is_not_understood(run: conftest.CommandLine, arguments: str) -> None:
    result = run(*arguments.split())
    assert (result.exit_code, result.stdout) == (2, "")
    problem = json.loads(result.stderr)
    assert problem["code"] == "invalid-request"
    assert problem["facts"]["field"] == "command line"


def test_json_behind_two_dashes_is_no_choice(run: conftest.CommandLine) -> None:
    assert run("operation", "show", "--limit", "--", "-o", "json").stderr.startswith("Usage: ")


def test_a_private_key_is_never_sent(run: conftest.CommandLine, world: fakes.World, tmp_path: Path) -> None:
    (tmp_path / "id").write_text("-----BEGIN OPENSSH PRIVATE KEY-----\nsecret\n")
    result = run("deploy", "web", "n", "--ssh-key", str(tmp_path / "id"))
    assert result.exit_code == 2
    assert "private key" in result.stderr
    assert "secret" not in result.output
    assert world.calls == []


@pytest.mark.parametrize(
    "error",
    [
        errors.InvalidName(name="x", what="server", rule="y"),
        errors.ServerNotFound(server="x"),
        errors.SocketDenied(socket="x"),
        errors.ServerBusy(server="x", operation="y"),
        errors.FormatUnsupported(volume="vda", format="vmdk"),
        errors.HypervisorUnavailable(uri="x", detail="y"),
        errors.ChunkMissing(chunk="x"),
        errors.Cancelled(),
        errors.EstampeError(detail="x"),
    ],
    ids=lambda error: error.code,
)
def test_a_family_of_errors_has_one_exit_code(run: conftest.CommandLine, world: fakes.World, error: Any) -> None:
    world.failure = error
    for_people, for_programs = run("server", "list"), run("server", "list", "-o", "json")
    family = next(kind for kind in type(error).__mro__ if kind in exits.CODES)
    assert for_people.exit_code == for_programs.exit_code == exits.CODES[family]
    assert for_people.stderr == f"error: {error}\n"
    problem = json.loads(for_programs.stderr)
    assert (problem["code"], problem["detail"]) == (error.code, str(error))
    assert for_people.stdout == for_programs.stdout == ""


def test_every_family_has_an_exit_code_of_its_own() -> None:
    codes = list(exits.CODES.values())
    assert len(set(codes)) == len(codes)
    assert all(any(family in exits.CODES for family in kind.__mro__) for kind in errors.all_errors().values())


def test_a_bad_value_is_a_problem_document_for_programs_too(run: conftest.CommandLine) -> None:
    result = run("deploy", "web", "n", "--memory", "lots", "--output", "json")
    assert json.loads(result.stderr)["code"] == "invalid-size"


def test_without_a_daemon_it_says_how_to_start_it(run_alone: conftest.CommandLine) -> None:
    result = run_alone("server", "list")
    assert result.exit_code == exits.CODES[errors.Unavailable]
    assert "estampe serve" in result.stderr


def test_a_template_that_is_being_captured_is_shown_without_a_manifest(
    run: conftest.CommandLine, world: fakes.World
) -> None:
    world.templates = [
        fakes.a_template(
            state=template.State.CAPTURING, logical_bytes=None, data_bytes=None, new_bytes=None, is_sealed=None
        )
    ]
    assert "capturing" in run("template", "show", "web").stdout
    assert "capturing" in run("template", "list").stdout


def test_the_trash_is_listed_and_emptied_by_name(run: conftest.CommandLine, world: fakes.World) -> None:
    run("template", "delete", "web@1", "--yes")
    assert "web@1" not in run("template", "list").stdout
    assert "web@1" in run("template", "list", "--trashed").stdout
    assert "by uid 0" in run("template", "show", "web@1").stdout
    assert "web@1 is active" in run("template", "restore", "web@1").stdout
    run("template", "delete", "web@1", "--yes")
    assert "purged template web@1" in run("template", "purge", "web@1", "--yes").stdout
    assert [found.version for found in world.templates] == [2]


def test_without_a_trash_a_deletion_says_so(run: conftest.CommandLine, world: fakes.World) -> None:
    world.trash_days = 0
    assert "estampe store sweep" in run("template", "delete", "web@1", "--yes").stdout


def test_a_template_shows_where_it_came_from_and_what_follows_it(run: conftest.CommandLine, world: fakes.World) -> None:
    world.change_template(
        "web@1", successor_id=fakes.an_id(202), parent_id=fakes.an_id(9), state=template.State.DEPRECATED
    )
    shown = run("template", "show", "web@1").stdout
    for words in ("deprecated", "web@9", "web-01", "base@4 (deleted)"):
        assert words in shown


def test_a_share_reaches_the_daemon_with_its_terms(run: conftest.CommandLine, world: fakes.World) -> None:
    told = run(
        "template", "share", "web@1", "--with", "globex", "--right", "deploy-and-export", "--expires", "2127-01-01",
        "--note", "for you",
    )  # fmt: skip
    assert told.exit_code == 0, told.output
    _share, reference, account, terms, expires_at = world.calls[-1]
    assert (reference, account, terms) == (
        "web@1", "globex", visibility.Terms(right=visibility.Right.EXPORT, note="for you"),
    )  # fmt: skip
    assert expires_at.astimezone().replace(tzinfo=None) == datetime.datetime(2127, 1, 1)  # noqa: DTZ001 - this machine's zone
    listed = run("template", "shares", "web@1").stdout
    assert "2127-01-01" in listed
    assert run("template", "unshare", "web@1", "--with", "globex").stdout.startswith(
        "web@1 is shared with globex no longer"
    )
    assert run("template", "unshare", "web@1", "--with", "globex").exit_code != 0
    assert "--expires" in run("template", "share", "web@1", "--with", "globex", "--expires", "soon").output


def test_what_is_hidden_is_asked_for_among_others_templates(run: conftest.CommandLine, world: fakes.World) -> None:
    run("template", "list", "--hidden")
    assert world.calls[-1][1].is_hidden
    assert world.calls[-1][1].scopes == (visibility.Scope.SHARED, visibility.Scope.PUBLIC)
    run("template", "list")
    assert world.calls[-1][1].scopes == (visibility.Scope.MINE,)


def test_a_public_template_says_since_when_and_as_what(run: conftest.CommandLine, world: fakes.World) -> None:
    run("template", "publish", "web@1", "--note", "for all")
    shown = run("template", "show", "web@1").stdout
    assert "public as cloud/web@1 since" in shown
    assert "(for all)" in shown


def test_servers_of_a_template_are_a_table_of_servers(run: conftest.CommandLine, world: fakes.World) -> None:
    world.servers["web-02"] = fakes.a_server(name="web-02", id=fakes.an_id(2), template_id=fakes.an_id(201))
    told = run("template", "servers", "web@1").stdout
    assert "web-02" in told
    assert "running" in told
    assert "web-01" not in told


def test_retention_tells_what_goes_and_why_the_others_stay(run: conftest.CommandLine, world: fakes.World) -> None:
    run("retention", "set", "w*", "--keep-last", "1")
    dry = run("retention", "apply", "--dry-run").stdout
    assert "would go" in dry
    assert "by count: 0 newer versions, 1 stay" in dry
    assert "deleted" in run("retention", "apply", "--yes").stdout
    assert "removed the rule for w*" in run("retention", "remove", "w*").stdout
    assert run("retention", "remove", "w*").exit_code == exits.CODES[errors.NotFound]


def test_the_warnings_of_a_deploy_are_told_at_its_end(run: conftest.CommandLine, world: fakes.World) -> None:
    world.begin(operation.Kind.DEPLOY, "web-02")
    warned = {"template": "web@1", "servers": [], "warnings": ["template web@1 is deprecated: use web@2 instead"]}
    world.change(fakes.an_id(301), **_DONE, result=warned)
    assert "! template web@1 is deprecated: use web@2 instead" in run("operation", "wait", "0000012d").stdout


def test_a_server_that_cannot_be_captured_says_why(run: conftest.CommandLine, world: fakes.World) -> None:
    world.problem = "it is a container"
    assert "it is a container" in run("server", "show", "web-01").stdout


_EVIL = "\x1b]0;owned\x07\x9b2J[bold red]x[/]\u202egnp\r\nfake line"


def test_names_from_elsewhere_cannot_act_on_the_terminal(run: conftest.CommandLine, world: fakes.World) -> None:
    world.servers = {"x": fakes.a_server(name=_EVIL)}
    world.problem = _EVIL
    world.templates = [fakes.a_template(name=_EVIL, note=_EVIL, server_name=_EVIL, guest_product=_EVIL, tags=(_EVIL,))]
    world.begin(operation.Kind.DEPLOY, _EVIL)
    world.change(fakes.an_id(301), progress=operation.Progress(phase=_EVIL), error={"code": _EVIL, "message": _EVIL})
    for arguments in (
        ["server", "list"], ["server", "show", str(fakes.an_id(1))], ["template", "list"], ["template", "show", str(fakes.an_id(201))],
        ["operation", "list"], ["operation", "show", "0000012d"], ["deploy", _EVIL, "n"], ["capture", _EVIL], ["server", "show", _EVIL],
    ):  # fmt: skip
        for form in ("table", "json"):
            result = run(*arguments, "--output", form)
            for character in "\x1b\x07\x9b\u202e\r":
                assert character not in result.output, (arguments, form)
            assert not any(line.startswith("fake line") for line in result.output.splitlines())


def test_markup_is_text(run: conftest.CommandLine, world: fakes.World) -> None:
    world.servers = {"x": fakes.a_server(name="[bold]x[/bold]")}
    assert "[bold]x[/bold]" in run("server", "list").stdout


def test_every_command_has_help_with_examples(run_alone: conftest.CommandLine) -> None:
    for arguments in (
        "serve", "doctor", "capture", "deploy", "server list", "server show", "server start", "server stop", "server delete",
        "template list", "template show", "template edit", "template delete", "template deprecate", "template disable",
        "template enable", "template restore", "template protect", "template unprotect", "template purge", "template servers",
        "retention set", "retention list", "retention remove", "retention apply", "operation list", "operation show",
        "operation wait", "operation cancel", "store usage", "store check", "store sweep",
    ):  # fmt: skip
        result = run_alone(*arguments.split(), "--help")
        assert result.exit_code == 0
        assert "Examples:" in result.stdout
        assert f"    estampe {arguments}" in result.stdout.split("Examples:")[1].splitlines()[1]
        assert "\b" not in result.stdout.replace("\\b", "\b")


def test_the_version_is_told(run_alone: conftest.CommandLine) -> None:
    assert run_alone("--version").stdout.startswith("estampe ")


def test_the_doctors_fixes_stand_below_what_is_not_well() -> None:
    checks = [
        check.ok("qemu-img", "7.2"),
        check.warn("KVM", "no \x1b[31m", fix="one\ntwo"),
        check.fail("pool", "none", fix="three"),
    ]
    assert daemon.describe_checks(checks) == [
        "ok    qemu-img  7.2",
        r"warn  KVM       no \x1b[31m",
        "      fix: one",
        "      fix: two",
        "fail  pool      none",
        "      fix: three",
    ]


def test_lists_are_narrowed_and_sorted_as_was_said(run: conftest.CommandLine, world: fakes.World) -> None:
    run("template", "list", "--state", "active", "--not-sealed", "--guest", "*debian*", "--sort", "-size")
    run("operation", "list", "--subject", "web*", "--since", "2026-11-23", "--sort", "created")
    run("server", "list", "web*", "--state", "running")
    templates, operations, servers = (call[1] for call in world.calls)
    assert (templates.states, templates.is_sealed, templates.guest_glob, templates.sort) == (
        (template.State.ACTIVE,), False, "*debian*", "-size",
    )  # fmt: skip
    assert (operations.subject_glob, operations.since.astimezone().date().isoformat(), operations.sort) == (
        "web*", "2026-11-23", "created",
    )  # fmt: skip
    assert (servers.name_glob, [state.value for state in servers.power_states]) == ("web*", ["running"])

"""Commands of accounts and people, against a real server."""

from __future__ import annotations

import json
import stat
from typing import Any

import pytest
from tests.unit.api import fakes
from tests.unit.cli import conftest

from estampe.cli import exits

PASSWORD = "correct horse battery"


@pytest.fixture
def acme(run: conftest.CommandLine) -> None:
    for command in (
        "account create acme",
        "user add alice --password-stdin",
        "member add alice --role owner --account acme",
    ):
        done = run(*command.split(), input=f"{PASSWORD}\n")
        assert done.exit_code == 0, done.output


def _json(run: conftest.CommandLine, *arguments: str, **env: str) -> Any:
    done = run(*arguments, "--output", "json", **env)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("account list", ["acme", "default", "active"]),
        ("account show acme", ["acme", "active"]),
        ("account show", ["default"]),
        ("account suspend acme", ["suspended"]),
        ("account resume acme", ["active"]),
        ("account delete acme --yes", ["deleted account acme"]),
        ("member list --account acme", ["alice", "owner"]),
        ("member role alice viewer --account acme", ["alice is viewer"]),
        ("member remove alice --account acme --yes", ["deleted member alice"]),
        ("--account acme member list", ["alice"]),
        ("user add bob --no-password", ["added user bob"]),
        ("user list", ["alice", "yes", "no"]),
        ("user remove alice --yes", ["deleted user alice"]),
        ("quota set acme --servers 3 --stored 10GiB --templates none", ["servers", "3", "10 GiB"]),
        ("quota show acme", ["templates", "stored", "CPUs", "-"]),
        ("quota show", ["volumes"]),
        ("audit list", ["create_account", "acme", "uid", "unix", "done"]),
        ("audit list --since 2026-11-01T00:00:00Z --action add_member --account acme", ["alice as owner"]),
        ("server assign web-01 --account acme", ["web-01 belongs to acme"]),
        ("whoami", ["uid", "default", "cloud operator"]),
        ("--account acme whoami", ["acme"]),
        ("context list", ["default", "*"]),
        ("context use default", ["using context default"]),
        ("logout", ["nobody was signed in"]),
    ],
)
def test_people_are_told(run: conftest.CommandLine, arguments: str, told: list[str]) -> None:
    result = run(*arguments.split())
    assert result.exit_code == 0, result.output
    for words in told:
        assert words in result.stdout
    assert result.stderr == ""


@pytest.mark.usefixtures("acme")
@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ("account list", "accounts"),
        ("account show acme", "state"),
        ("account delete acme --yes", "deleted"),
        ("member list", "members"),
        ("member role alice viewer --account acme", "role"),
        ("user list", "users"),
        ("user remove alice --yes", "deleted"),
        ("quota show acme", "limits"),
        ("quota set acme --cpus 4", "used"),
        ("audit list", "entries"),
        ("api-key list", "api_keys"),
        ("api-key create ci", "key"),
        ("server assign web-01 --account acme", "power_state"),
        ("whoami", "role"),
        ("context list", "contexts"),
        ("context use default", "current"),
        ("logout", "signed_out"),
    ],
)
def test_programs_get_one_document(run: conftest.CommandLine, arguments: str, key: str) -> None:
    assert key in _json(run, *arguments.split())


@pytest.mark.usefixtures("acme")
def test_signing_in_lasts_until_signing_out(run: conftest.CommandLine) -> None:
    done = run("login", "alice", "--password-stdin", input=f"{PASSWORD}\n")
    assert done.exit_code == 0, done.output
    file = run.home / "estampe" / "config.toml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    who = _json(run, "whoami")
    assert (who["name"], who["account"]["name"], who["is_cloud_operator"]) == ("alice", "acme", False)
    assert run("store", "usage").exit_code == exits.code_of(fakes.errors.CloudOperatorOnly())
    assert run("logout").stdout == "signed out alice\n"
    assert "est_" not in file.read_text()
    assert _json(run, "whoami")["is_cloud_operator"]


@pytest.mark.usefixtures("acme")
def test_contexts_are_kept_apart(run: conftest.CommandLine) -> None:
    run("login", "alice", "--context", "work", "--password-stdin", input=f"{PASSWORD}\n")
    listed = {each["name"]: each for each in _json(run, "context", "list")["contexts"]}
    assert (listed["work"]["user"], listed["work"]["is_current"]) == ("alice", True)
    assert "key" not in listed["work"]
    assert _json(run, "--context", "default", "whoami")["is_cloud_operator"]
    run("context", "use", "default")
    assert _json(run, "whoami")["is_cloud_operator"]
    assert _json(run, "whoami", ESTAMPE_CONTEXT="work")["name"] == "alice"
    missing = run("context", "use", "no-such")
    assert missing.exit_code == 3
    assert "context list" in missing.stderr


@pytest.mark.usefixtures("acme")
def test_a_wrong_password_keeps_nothing(run: conftest.CommandLine) -> None:
    refused = run("login", "alice", "--password-stdin", input="wrong password\n")
    assert refused.exit_code == 4
    assert not (run.home / "estampe").exists()
    assert run("login", "alice").exit_code == 2  # nobody to ask


def test_a_key_is_used_by_the_environment_and_revoked(run: conftest.CommandLine) -> None:
    made = run("api-key", "create", "ci", "--role", "viewer", "--expires", "90d")
    key = made.stdout.strip()
    assert "only time" in made.stderr
    assert _json(run, "whoami", ESTAMPE_KEY=key)["role"] == "viewer"
    refused = run("server", "start", "web-01", ESTAMPE_KEY=key)
    assert (refused.exit_code, "takes the role operator" in refused.stderr) == (4, True)
    assert "ci" in run("api-key", "list").stdout
    assert run("api-key", "revoke", "ci").exit_code == 0
    assert "ci" not in run("api-key", "list").stdout
    assert "revoked" in run("api-key", "list", "--all").stdout
    assert run("whoami", ESTAMPE_KEY=key).exit_code == 4


@pytest.mark.usefixtures("acme")
def test_a_password_is_changed_by_its_owner_and_by_the_operator(run: conftest.CommandLine) -> None:
    run("login", "alice", "--password-stdin", input=f"{PASSWORD}\n")
    changed = run("user", "password", "alice", "--password-stdin", input=f"another long one\n{PASSWORD}\n")
    assert changed.exit_code == 0, changed.output
    assert run("whoami").exit_code == 4  # signed out
    assert run("logout").exit_code == 0
    assert run("user", "password", "alice", "--password-stdin", input=f"{PASSWORD}\n").exit_code == 0
    assert run("login", "alice", "--password-stdin", input=f"{PASSWORD}\n").exit_code == 0


def test_the_account_to_act_for_may_come_from_the_environment(run: conftest.CommandLine) -> None:
    run("account", "create", "acme")
    assert _json(run, "whoami", ESTAMPE_ACCOUNT="acme")["account"]["name"] == "acme"
    assert _json(run, "--account", "default", "whoami", ESTAMPE_ACCOUNT="acme")["account"]["name"] == "default"
    assert run("whoami", ESTAMPE_ACCOUNT="no-such").exit_code == 3


@pytest.mark.parametrize(
    "arguments",
    [
        "quota set default",
        "quota set default --servers many",
        "quota set default --stored 10parsecs",
        "audit list --since yesterday",
        "api-key create ci --expires soon",
        "api-key create ci --expires 99999999999999d",
        "account create Acme",
        "user add alice --password-stdin",
    ],
)
def test_what_makes_no_sense_is_said_so(run: conftest.CommandLine, arguments: str) -> None:
    result = run(*arguments.split(), input="short\n")
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("error: ")


def test_nothing_is_deleted_without_being_confirmed(run: conftest.CommandLine) -> None:
    run("account", "create", "acme")
    for arguments in ("account delete acme", "user remove alice", "member remove alice"):
        assert run(*arguments.split()).exit_code == 2
    assert run("account", "show", "acme").exit_code == 0

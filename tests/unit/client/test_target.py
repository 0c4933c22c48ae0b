"""Which daemon, as whom, for which account."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from estampe import errors
from estampe.client import target

KEY = "est_" + "0" * 32 + "_" + "1" * 64


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path


def test_without_anything_it_is_the_usual_socket_by_its_own_rights() -> None:
    assert target.current() == target.Target(socket=Path("/run/estampe/estampe.sock"))


def test_options_win_over_the_environment_and_that_over_the_context(monkeypatch: pytest.MonkeyPatch) -> None:
    target.keep("acme", target.Context(socket="/context", account="context", key=KEY))
    assert target.current() == target.Target(socket=Path("/context"), account="context", key=KEY)
    for name in ("SOCKET", "ACCOUNT", "KEY"):
        monkeypatch.setenv(f"ESTAMPE_{name}", f"/env-{name}")
    assert target.current() == target.Target(socket=Path("/env-SOCKET"), account="/env-ACCOUNT", key="/env-KEY")
    with target.using(account="option"):
        assert target.current().account == "option"
    assert target.current().account == "/env-ACCOUNT"


def test_a_context_is_chosen_by_option_environment_or_use(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c"):
        target.keep(name, target.Context(account=name))
    assert target.current().account == "c"
    target.use("a")
    assert target.current().account == "a"
    monkeypatch.setenv("ESTAMPE_CONTEXT", "b")
    assert target.current().account == "b"
    with target.using(context="c"):
        assert target.current().account == "c"
    target.use("default")
    monkeypatch.delenv("ESTAMPE_CONTEXT")
    assert target.current().account is None


@pytest.mark.parametrize("name", ["missing", "../x"])
def test_a_context_that_is_not_there_is_not_found(name: str) -> None:
    with pytest.raises(errors.ContextNotFound, match=r"config\.toml"):
        target.use(name)
    with target.using(context=name), pytest.raises(errors.ContextNotFound):
        target.current()


@pytest.mark.parametrize("name", ["", "a b", "a/b", "-a", "a" * 64])
def test_a_context_has_a_plain_name(name: str) -> None:
    with pytest.raises(errors.InvalidName):
        target.keep(name, target.Context())


def test_the_file_is_its_owners_alone_and_goes_through_toml() -> None:
    odd = target.Context(socket='/a "b" \\c\n\u202e\x7f', account="acme", key=KEY, user="alice")
    target.keep("a.b", odd)
    target.keep("default", target.Context(account="x"))
    assert target.load().by_name == {"a.b": odd, "default": target.Context(account="x")}
    assert stat.S_IMODE(target.path().stat().st_mode) == 0o600
    assert stat.S_IMODE(target.path().parent.stat().st_mode) == 0o700
    assert [each.name for each in target.path().parent.iterdir()] == ["config.toml"]


def test_a_file_with_keys_that_others_may_open_is_refused() -> None:
    target.keep("acme", target.Context(key=KEY))
    target.path().chmod(0o640)
    with pytest.raises(errors.InvalidSetting, match="chmod 600"):
        target.current()
    target.path().chmod(0o600)
    target.forget_key("acme")
    target.path().chmod(0o644)
    assert target.current().key is None


@pytest.mark.parametrize(
    "content",
    ["no toml", "contexts = 5", "[contexts]\na = 5", '[contexts.a]\nnonsense = "x"', "[contexts.a]\nkey = 5", "\xff"],
)
def test_a_file_that_makes_no_sense_is_said_so(content: str) -> None:
    target.path().parent.mkdir()
    target.path().write_bytes(content.encode("latin-1"))
    with pytest.raises(errors.InvalidSetting, match=r"config\.toml"):
        target.current()


def test_a_key_is_not_shown_by_accident() -> None:
    assert KEY not in repr(target.Context(key=KEY)) + repr(target.Target(socket=Path("/s"), key=KEY))

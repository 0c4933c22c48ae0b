from __future__ import annotations

import configparser
import re
import tomllib
from pathlib import Path

import pytest

from estampe import config, errors
from estampe.cli import exits

PACKAGING = Path(__file__).parents[2] / "packaging"
EXAMPLE = re.compile(r"^# ([a-z_]+ = .*)$", re.MULTILINE)


@pytest.fixture(scope="module")
def example() -> dict:
    return tomllib.loads("\n".join(EXAMPLE.findall((PACKAGING / "estampe.toml").read_text())))


def test_the_example_names_every_setting(example):
    assert set(example) == set(config.Settings.model_fields)


def test_the_example_shows_the_defaults(example):
    depends_on_the_host = {"copy_threads"}
    shown = config.Settings(**example)
    assert shown.store == config.Settings().store
    off = {name for name in example if config.Settings.model_fields[name].default is None}  # shown by an example value
    assert off - depends_on_the_host == {
        "store_directory", "database_url", "listen", "tls_certificate", "tls_key", "public_url", "oidc_issuer", "oidc_client_id",
        "oidc_client_secret_file", "oidc_certificates", "oidc_groups_claim",
    }  # fmt: skip
    fields = set(example) - depends_on_the_host - off
    assert shown.model_dump(include=fields) == config.Settings().model_dump(include=fields)


def test_the_example_file_changes_nothing_as_it_is():
    assert tomllib.loads((PACKAGING / "estampe.toml").read_text()) == {}


def test_the_unit_gives_the_daemon_the_directories_of_the_default_settings():
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read_string((PACKAGING / "systemd/estampe.service").read_text())
    service, settings = unit["Service"], config.Settings()
    assert f"/var/lib/{service['StateDirectory']}" == str(settings.state_directory)
    assert f"/run/{service['RuntimeDirectory']}" == str(settings.run_directory)
    assert service["Type"] == "notify"
    assert service["KillMode"] == "mixed"


def test_the_unit_does_not_start_again_what_nobody_has_mended():
    unit = (PACKAGING / "systemd/estampe.service").read_text()
    (listed,) = re.findall(r"^RestartPreventExitStatus=(.*)$", unit, re.MULTILINE)
    hopeless = {errors.InvalidSetting, errors.AlreadyServing, errors.KernelTooOld, errors.DatabaseVersionUnsupported}
    assert {int(code) for code in listed.split()} == {
        next(exits.CODES[family] for family in kind.__mro__ if family in exits.CODES) for kind in hopeless
    }

from __future__ import annotations

import configparser
import re
import tomllib
from pathlib import Path

import pytest

from estampe import config

PACKAGING = Path(__file__).parents[2] / "packaging"
EXAMPLE = re.compile(r"^# ([a-z_]+ = .*)$", re.MULTILINE)


@pytest.fixture(scope="module")
def example() -> dict:
    return tomllib.loads("\n".join(EXAMPLE.findall((PACKAGING / "estampe.toml").read_text())))


def test_the_example_names_every_setting(example):
    assert set(example) == set(config.Settings.model_fields)


def test_the_example_shows_the_defaults(example, monkeypatch, tmp_path):
    monkeypatch.setenv("ESTAMPE_CONFIG", str(tmp_path / "none.toml"))
    depends_on_the_host = {"copy_threads"}
    shown = config.Settings(**example)
    assert shown.store == config.Settings().store
    fields = set(example) - depends_on_the_host - {"store_directory", "database_url"}
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

from __future__ import annotations

import os

import pytest

from estampe import config, errors


def test_a_named_file_is_read(monkeypatch, tmp_path):
    (tmp_path / "mine.toml").write_text('default_pool = "ssd"\n')
    monkeypatch.setenv("ESTAMPE_CONFIG", str(tmp_path / "mine.toml"))
    assert config.load().default_pool == "ssd"


@pytest.mark.parametrize("name", ["mistyped.toml", ""])
def test_a_named_file_that_is_not_there_is_no_file_of_defaults(name, monkeypatch, tmp_path):
    monkeypatch.setenv("ESTAMPE_CONFIG", str(tmp_path / name))  # the second is a directory
    with pytest.raises(errors.InvalidSetting) as refused:
        config.load()
    assert refused.value.facts["setting"] == "ESTAMPE_CONFIG"
    assert str(tmp_path) in str(refused.value)


@pytest.mark.parametrize("nothing", ["", os.devnull])
def test_no_file_at_all_can_be_asked_for(nothing, monkeypatch):
    monkeypatch.setenv("ESTAMPE_CONFIG", nothing)
    assert config.load().default_pool == "default"

"""What keeps the daemon from starting is told as an error that names the setting."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from estampe import config, errors, wiring


def settings(tmp_path, **given) -> config.Settings:
    return config.Settings(**{"state_directory": tmp_path / "state", "run_directory": tmp_path / "run", **given})


def test_directories_are_made_where_they_are_missing(tmp_path):
    places = wiring.Places.make(settings(tmp_path, state_directory=tmp_path / "a/state"))
    assert places == wiring.Places.make(settings(tmp_path, state_directory=tmp_path / "a/state"))
    assert (places.work.stat().st_mode & 0o777, places.seeds.stat().st_mode & 0o777) == (0o700, 0o711)


@pytest.mark.parametrize("setting", ["state_directory", "run_directory"])
@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_file_where_a_directory_shall_be_is_a_wrong_setting(setting, below, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(errors.InvalidSetting, match="cannot be used") as refused:
        wiring.Places.make(settings(tmp_path, **{setting: tmp_path / "file" / below}))
    assert refused.value.facts["setting"] == setting
    assert "director" in str(refused.value)


def serve(state: str, **how) -> subprocess.CompletedProcess[str]:
    """`estampe serve`, which must not get as far as serving."""
    code = "import sys; sys.argv[1:] = ['serve']; from estampe.cli.main import main; main()"
    environment = {**os.environ, "ESTAMPE_STATE_DIRECTORY": state, "ESTAMPE_RUN_DIRECTORY": state}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False, **how
    )


def test_serving_from_a_state_directory_that_is_a_file_ends_with_an_error(tmp_path):
    (tmp_path / "state").write_bytes(b"")
    done = serve(str(tmp_path / "state"))
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert done.stderr.startswith("error: setting state_directory: ")


@pytest.mark.requires_root  # to become another user
def test_serving_as_somebody_who_may_not_write_there_says_to_be_root(tmp_path):
    (tmp_path / "state").mkdir(mode=0o700)
    done = serve(str(tmp_path / "state"), user=65534, group=65534, extra_groups=[])
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert "run Estampe as root" in done.stderr

from pathlib import Path

import pytest

from estampe import units
from estampe.capture import finish


def _copy(size_bytes):
    return finish.Copy(target="vda", size_bytes=size_bytes, table=Path("t"), finished_table=Path("f"))


def test_the_appliance_has_more_time_for_larger_volumes():
    assert finish.deadline_seconds([_copy(0)]) == 600
    assert finish.deadline_seconds([_copy(100 * units.GIB)] * 2) == pytest.approx(720)
    assert finish.deadline_seconds([_copy(10 * units.TIB)]) == pytest.approx(600 + 60 * 102.4)

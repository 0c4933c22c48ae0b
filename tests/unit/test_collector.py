from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from estampe import collector


@pytest.fixture
def collecting() -> Iterator[None]:
    """This process' own settings come back: it is no daemon."""
    before = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


@pytest.mark.usefixtures("collecting")
def test_what_is_there_is_not_looked_at_again() -> None:
    class Kept:
        pass

    kept = Kept()
    assert any(each is kept for each in gc.get_objects())

    collector.set_aside()

    assert not any(each is kept for each in gc.get_objects())


@pytest.mark.usefixtures("collecting")
def test_what_is_made_later_is_collected_as_ever() -> None:
    collector.set_aside()
    ring: list[object] = []
    ring.append(ring)
    name = id(ring)
    del ring

    gc.collect()

    assert name not in {id(each) for each in gc.get_objects()}

"""A daemon and a corner of libvirt for the matrix, and its stories, two at a time: a guest waits as much as it works."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.matrix import rows, story
from tests.support import corner, installation

STORY_SECONDS = 3600.0  # the last of seven, of which two are told at a time
_AT_ONCE = 2
_HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def teller(appliance_cache: Path) -> Iterator[story.Teller]:
    settings = {
        "concurrent_captures": str(_AT_ONCE),
        "concurrent_deploys": str(2 * _AT_ONCE),
        "confirm_timeout_seconds": f"{story.BOOT_SECONDS:g}",
    }
    with corner.made("mtx") as place, installation.working_in(place, appliance=appliance_cache, **settings) as daemon:
        yield story.Teller(corner=place, daemon=daemon, has_kvm=daemon.settings["accelerator"] == "kvm")


@pytest.fixture(scope="session")
def stories(request, teller) -> Iterator[dict[str, concurrent.futures.Future[story.Story]]]:
    """By name, of the guests that tests of this run ask for. All are begun with the first one that is asked for."""
    asked = {item.callspec.params["name"] for item in request.session.items if _is_of_a_guest(item)}
    with concurrent.futures.ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        made = {row.name: pool.submit(teller.tell, row) for row in rows.ROWS if row.name in asked}
        try:
            yield made
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            if not all(future.done() for future in made.values()):  # given up: what they wait for never comes now
                teller.daemon.kill()


def _is_of_a_guest(item: pytest.Item) -> bool:
    return item.path.parent == _HERE and "told" in getattr(item, "fixturenames", ()) and hasattr(item, "callspec")


@pytest.fixture
def told(stories, name) -> story.Story:
    """The story of the guest `name`."""
    return stories[name].result(timeout=STORY_SECONDS)

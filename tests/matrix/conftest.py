"""A daemon and a corner of libvirt for the matrix, and its stories, two at a time: a guest waits as much as it works."""

from __future__ import annotations

import concurrent.futures
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.matrix import rows, story
from tests.support import corner, installation

STORY_SECONDS = 3600.0  # the last of seven, of which two are told at a time
_AT_ONCE = 2
_HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def teller() -> Iterator[story.Teller]:
    short = uuid.uuid4().hex[:6]
    directory = Path(tempfile.mkdtemp(prefix=f"estampe-matrix-{short}-", dir="/var/tmp"))  # QEMU's user walks there
    place = corner.Corner(f"estampe-matrix-{short}", directory, f"estmx{short}")
    daemon = installation.Installation(
        state_directory=directory / "state",
        run_directory=Path("/run") / place.prefix,
        settings={
            "default_pool": place.pool,
            "default_network": place.network,
            "concurrent_captures": str(_AT_ONCE),
            "concurrent_deploys": str(2 * _AT_ONCE),
            "confirm_timeout_seconds": f"{story.BOOT_SECONDS:g}",
        },
    )
    try:
        place.ensure()
        has_kvm = daemon.has_kvm()
        daemon.settings["accelerator"] = "kvm" if has_kvm else "tcg"
        daemon.start()
        yield story.Teller(corner=place, daemon=daemon, has_kvm=has_kvm)
        daemon.stop()
    finally:
        daemon.kill()
        daemon.remove()
        place.remove()


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

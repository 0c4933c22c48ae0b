"""The store is counted from time to time, over the real services."""

import dataclasses
import datetime
import logging
import tempfile
from pathlib import Path

import pytest
from tests.unit import site_under_test

from estampe import errors
from estampe.store import memory

HOUR = datetime.timedelta(hours=1)


@pytest.fixture
def site(tmp_path, migrated_sqlite):
    with tempfile.TemporaryDirectory(prefix="estampe-") as run:
        made = site_under_test.Site(tmp_path, migrated_sqlite, run_directory=Path(run))
        yield made
        made.close()


def test_samples_follow_what_is_captured(site):
    count, history = site.installation.growth.sample, site.services.growth.history
    count()
    site.add_server()
    site.capture()
    site.run()
    count()
    assert [each.templates for each in history(days=1)] == [0]  # not yet time for another one
    site.today += 6 * HOUR
    count()
    before, after = history(days=1)
    usage = site.services.storage.usage()
    assert (before.stored_bytes, after.stored_bytes, after.templates) == (0, usage.stored_bytes, 1)
    assert (after.at, after.chunks, after.data_bytes) == (site.today, usage.chunks, usage.data_bytes)
    site.today += 30 * HOUR
    assert history(days=1) == []
    assert len(history(days=2)) == 2


def test_old_samples_are_thinned_out_when_one_is_added(site):
    for _ in range(4 * 34):
        site.today += 6 * HOUR
        site.installation.growth.sample()
    kept = site.services.growth.history(days=40)
    assert 4 * 31 + 2 <= len(kept) < 4 * 34


class Gone(memory.MemoryStore):
    """A store that does not answer."""

    def list_chunks(self):
        raise errors.StoreUnavailable(where="memory", action="be read", detail="gone")


def test_a_store_that_does_not_answer_is_counted_the_next_time(site, caplog):
    with caplog.at_level(logging.ERROR):
        dataclasses.replace(site.installation.growth, store=Gone()).sample()
    assert "could not be counted" in caplog.text
    assert site.services.growth.history(days=1) == []
    site.installation.growth.sample()
    assert len(site.services.growth.history(days=1)) == 1

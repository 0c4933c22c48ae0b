"""Storage in pages: figures and plots of the account's own, and of the whole store for the cloud operator."""

from __future__ import annotations

import datetime
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.api import fakes
from tests.unit.web import reader

from estampe.model import operation
from estampe.web import plots

AT = datetime.datetime(2026, 11, 23, 14, 5, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
KIB, MIB = 1024, 1024**2


@pytest.fixture
def oscar(town):
    with reader.Reader(town) as opened:
        opened.sign_in("oscar", account=None)
        yield opened


def _plain(page: reader.Page) -> str:
    return re.sub(r"\s", " ", page.text)


def test_an_account_sees_its_own(alice) -> None:
    page = alice.open("/storage")
    text = _plain(page)
    assert "What account acme has" in text
    assert "/templates/web@3" in page.links
    assert "/templates/lab@1" not in page.links
    (line,) = [told["d"] for tag, told in page.tags if tag == "path" and told.get("class") == "plot-line"]
    assert re.fullmatch(r"M0 \d+(H\d+V\d+)+H1000", line)
    assert "The whole store" not in text
    assert {form["action"] for form in page.forms} == {"/sign-out"}


def test_a_limit_is_shown_as_a_bar(town, alice, oscar) -> None:
    before = sum(told.get("class") == "bar-all" for _tag, told in alice.open("/storage").tags)
    assert (
        oscar.patch(
            "/v1/accounts/acme/quota", json={"templates": 40}, headers={"X-CSRF-Token": oscar.token()}
        ).status_code
        == 200
    )
    page = alice.open("/storage")
    assert " of 40" in page.text
    assert sum(told.get("class") == "bar-all" for _tag, told in page.tags) == before + 1


def test_the_whole_store_is_the_cloud_operators(alice, oscar) -> None:
    assert alice.get("/storage/whole").status_code == 403
    for path in ("/storage/check", "/storage/sweep"):
        assert alice.fill(path).status_code == 403
    assert "/storage/whole" in oscar.open("/storage").links
    text = _plain(oscar.open("/storage/whole"))
    for told in ("Size of all volumes", "What deleting a template would free"):
        assert told in text, told
    assert re.search(r"Saved by deduplication [1-9][\d.]* [KM]iB \(\d+%\)", text), text


def test_the_whole_stores_growth_is_plotted_once_it_was_counted_twice(world, oscar_there, http) -> None:
    text = _plain(reader.Page(oscar_there.get("/storage").text))
    assert "Stored, compressed" in text
    page = reader.Page(oscar_there.get("/storage").text)
    lines = {
        told["class"]: told["d"]
        for tag, told in page.tags
        if tag == "path" and "plot-line" in (told.get("class") or "")
    }
    assert set(lines) == {"plot-line", "plot-line plot-data"}
    assert re.fullmatch(r"M0 \d+(H\d+V\d+)+H1000", lines["plot-line plot-data"])
    assert "Nov 13, 2026" in page.text
    for samples in (0, 1):
        world.samples = samples
        page = reader.Page(oscar_there.get("/storage").text)
        assert "counted every six hours" in page.text
        assert "plot-data" not in str(page.tags)
    assert "Growth of the whole store" not in http.get("/storage").text


def test_the_store_is_checked_and_swept_from_here(town, oscar) -> None:
    page = oscar.open("/storage")
    for path, fields in (("/storage/check", {"sample": "all"}), ("/storage/sweep", {})):
        form = page.form(path)
        begun = oscar.post(path, data=form["fields"] | fields)
        assert begun.status_code == 303, begun.text
        assert oscar.post(path, data=form["fields"] | fields).headers["Location"] == begun.headers["Location"]
        if path == "/storage/sweep":
            refused = oscar.fill(path)
            assert (refused.status_code, "The store is in use by an operation." in refused.text) == (409, True)
        town.site.run()
        assert "succeeded" in oscar.open(begun.headers["Location"]).text
    text = oscar.open("/storage").text
    assert "sound" in text
    assert "a trial" in text


def test_the_last_check_tells_whether_the_store_is_sound(world, oscar_there) -> None:
    assert "The store was not checked lately." in reader.Page(oscar_there.get("/storage").text).text
    for is_sound, seen in ((True, "sound 5 of 7 chunks"), (False, "damaged 5 of 7 chunks")):
        made = fakes.an_operation(
            kind=operation.Kind.CHECK, state=operation.State.SUCCEEDED, ended_at=fakes.NOW,
            result={"is_sound": is_sound, "checked_chunks": 5, "chunks": 7},
        )  # fmt: skip
        world.operations = {made.id: made}
        assert seen in _plain(reader.Page(oscar_there.get("/storage").text))


def test_an_account_without_templates_has_nothing_to_plot(town) -> None:
    empty = town.services.accounts.create("empty-handed")
    town.services.people.add_user("emma", password="correct horse battery", is_cloud_operator=False)
    town.services.people.add_member(empty.id, "emma", "owner")
    with reader.Reader(town) as emma:
        emma.sign_in("emma", account=None)
        page = emma.open("/storage")
        assert "Your account has no image template yet." in page.text
        assert not [told for tag, told in page.tags if tag == "path"]


# --- drawing ------------------------------------------------------------------------------------------------------------------


def test_a_curve_stays_until_its_next_moment() -> None:
    made = plots.accumulate([(AT + DAY, 100 * KIB), (AT, 300 * KIB)])
    drawn = plots.curve(made, end=AT + 4 * DAY)
    assert drawn is not None
    assert (drawn.highest, drawn.last) == (500 * KIB, 400 * KIB)
    assert drawn.line == "M0 96H250V48H1000"
    assert drawn.area == "M0 96H250V48H1000V240H0Z"
    assert plots.curve([], end=AT) is None


@pytest.mark.parametrize(
    ("value", "above"),
    [(0, 1), (1, 1), (3, 5), (501, 1024), (1024, 1024), (1025, 2 * KIB), (600 * MIB, 1024 * MIB), (6 * MIB, 10 * MIB)],
)
def test_the_upper_edge_is_a_round_value(value, above) -> None:
    assert plots.ceiling(value) == above


@given(added=st.lists(st.tuples(st.datetimes(timezones=st.just(datetime.UTC)), st.integers(0, 2**50)), min_size=1))
def test_a_curve_stays_inside_of_its_box(added) -> None:
    drawn = plots.curve(plots.accumulate(added), end=AT)
    assert drawn is not None
    across = [int(each) for each in re.findall(r"H(\d+)", drawn.line)]
    down = [int(each) for each in re.findall(r"V(\d+)", drawn.line)]
    assert all(0 <= each <= plots.WIDTH for each in across)
    assert across == sorted(across)
    assert all(0 <= each <= plots.HEIGHT for each in down)
    assert down == sorted(down, reverse=True)


@given(value=st.integers(0, 2**50), whole=st.integers(0, 2**50))
def test_a_bar_is_seen_where_there_is_something(value, whole) -> None:
    width = plots.part(value, whole)
    assert 0 <= width <= plots.WIDTH
    assert (width > 0) == (value > 0 and whole > 0)

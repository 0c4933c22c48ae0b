"""Operations in pages: the list, and one of them that is followed to its end."""

from __future__ import annotations

import datetime
import re
from pathlib import Path

import pytest
from tests.unit.api import fakes
from tests.unit.web import reader

import estampe
from estampe import errors
from estampe.capture import request as capture
from estampe.model import operation
from estampe.web import languages, pace, words

GIB = 1024**3
MINUTE = datetime.timedelta(minutes=1)


def _plain(text: str) -> str:
    return re.sub(r"\s", " ", text)


def _shown(http, world, **changes) -> reader.Page:
    made = fakes.an_operation(**changes)
    world.operations[made.id] = made
    answer = http.get(f"/operations/{made.id}")
    assert answer.status_code == 200, answer.text
    return reader.Page(answer.text)


# --- one of them ------------------------------------------------------------------------------------------------------------


def test_a_running_one_tells_phase_bytes_rate_and_time_left(http, world) -> None:
    told = operation.Progress(phase="copying vda", done_bytes=3 * GIB, total_bytes=12 * GIB)
    page = _shown(http, world, progress=told)
    text = _plain(page.text)
    for part in ("under way", "Copying vda", "3 GiB of 12 GiB (25%)", "51.2 MiB/s", "3 min 00 s left in this phase"):
        assert part in text, part
    assert ("progress", {"max": "1000", "value": "250", "aria-label": "Progress of this phase"}) in page.tags


def test_it_is_followed_by_the_apis_own_stream(http, world) -> None:
    page = _shown(http, world)
    (follower,) = [told for _tag, told in page.tags if "data-follow" in told]
    assert follower["data-follow"] == f"/v1/operations/{fakes.an_id(301)}/events"
    assert (follower["hx-get"], follower["hx-select"]) == (f"/operations/{fakes.an_id(301)}", "#live")
    ended = _shown(http, world, state=operation.State.SUCCEEDED, result={}, ended_at=fakes.NOW + MINUTE)
    assert not [told for _tag, told in ended.tags if "data-follow" in told]
    assert "took 1 min 00 s" in _plain(ended.text)


@pytest.mark.parametrize(
    ("state", "phase", "seen"),
    [
        (operation.State.QUEUED, "queued", "Waits for its turn."),
        (operation.State.RUNNING, "planning", "Planning"),
        (operation.State.RUNNING, "of another version", "of another version"),
    ],
)
def test_without_bytes_it_tells_the_phase_and_how_long(http, world, state, phase, seen) -> None:
    page = _shown(http, world, state=state, progress=operation.Progress(phase=phase))
    assert seen in page.text
    assert "left in this phase" not in page.text
    assert ("for 1 min 00 s" in _plain(page.text)) == (state is operation.State.RUNNING)


def test_what_failed_says_what_to_do_next(http, world) -> None:
    record = errors.NoSpace(where="pool 'fast'", needed="40 GiB", available="2 GiB").to_record()
    record["facts"]["not_undone"] = "volume x.raw: busy"
    asked = {"deploy": {"template": "web@2", "name": "web-07"}}
    page = _shown(
        http, world, state=operation.State.FAILED, error=record, ended_at=fakes.NOW, kind=operation.Kind.DEPLOY, request=asked
    )  # fmt: skip
    for part in (
        "There is not enough space in pool 'fast': 40 GiB needed, 2 GiB available.",
        "Free some, or choose another place.", "no-space",
        "This could not be undone and is still there: volume x.raw: busy",
    ):  # fmt: skip
        assert part in page.text, part
    assert f"/templates/web@2/-/deploy?again={fakes.an_id(301)}" in page.links


def test_what_was_cancelled_is_no_mistake(http, world) -> None:
    page = _shown(
        http, world, state=operation.State.CANCELLED, error=errors.Cancelled().to_record(), ended_at=fakes.NOW,
        request={"capture": {"server": "web-01"}},
    )  # fmt: skip
    assert "It was asked to stop, and what it had done was undone." in page.text
    assert not [told for _tag, told in page.tags if told.get("class") == "advice"]
    assert f"/servers/web-01/-/capture?again={fakes.an_id(301)}" in page.links


@pytest.mark.parametrize(
    ("kind", "result", "seen"),
    [
        ("capture", {"template_id": "t", "template": "web@3", "new_bytes": GIB, "offline_seconds": 4.2}, "web@3"),
        ("capture", {"template_id": "t", "is_sealed": False, "why_not_sealed": "unknown guest"}, "unknown guest"),
        ("deploy", {"servers": [{"name": "web-07", "addresses": ["192.0.2.7"]}], "warnings": ["old"]}, "192.0.2.7"),
        ("deploy", {"changes": [{"what": "machine", "was": "a", "now": "b", "why": "c"}]}, "machine : a → b (c)"),
        ("deploy", {"settings": [{"what": "bus", "asked": "a", "given": "b", "why": None}]}, "bus : b"),
    ],
)
def test_what_came_of_it_is_told(http, world, kind, result, seen) -> None:
    page = _shown(
        http, world, kind=operation.Kind(kind), state=operation.State.SUCCEEDED, result=result, ended_at=fakes.NOW
    )
    assert seen in page.text


@pytest.mark.parametrize(
    ("kind", "result", "seen"),
    [
        ("check", {"is_sound": True, "checked_chunks": 5, "chunks": 7}, "The store is sound."),
        ("check", {"is_sound": False, "damaged": [{"chunk_id": "ab", "kind": "missing", "detail": "gone", "templates": ["t-1"]}]}, "Chunk ab is missing (gone)."),
        ("check", {"is_sound": False, "unreadable": [{"template_id": "t-1", "error": "truncated"}]}, "truncated"),
        ("sweep", {"is_dry_run": True, "removed_bytes": GIB, "removed_chunks": 3}, "Would be removed"),
        ("sweep", {"is_dry_run": False, "removed_bytes": GIB, "removed_chunks": 3}, "1 GiB"),
    ],
)  # fmt: skip
def test_reports_of_the_store_are_the_cloud_operators(http, world, kind, result, seen, oscar_there) -> None:
    made = fakes.an_operation(
        kind=operation.Kind(kind), state=operation.State.SUCCEEDED, result=result, ended_at=fakes.NOW
    )
    world.operations[made.id] = made
    assert http.get(f"/operations/{made.id}").status_code == 404
    assert seen in _plain(reader.Page(oscar_there.get(f"/operations/{made.id}").text).text)


def test_a_result_of_another_version_may_lack_anything(http, world, oscar_there) -> None:
    for kind in operation.Kind:
        made = fakes.an_operation(kind=kind, state=operation.State.SUCCEEDED, result={}, ended_at=fakes.NOW)
        world.operations[made.id] = made
        assert oscar_there.get(f"/operations/{made.id}").status_code == 200, kind


def test_one_that_is_not_there_says_so(alice) -> None:
    answer = alice.get("/operations/3f2a9c1e")
    assert (answer.status_code, "There is no operation 3f2a9c1e that you may see." in answer.text) == (404, True)


# --- cancelling, in the town ------------------------------------------------------------------------------------------------


def test_one_is_cancelled_and_says_so(town, alice) -> None:
    begun = town.services.captures.start(
        town.acme.id, capture.CaptureRequest(server="web-01", name="never", is_sealed=False)
    )
    page = alice.open(f"/operations/{begun.id}")
    assert "waiting" in page.text
    form = page.form(f"/operations/{begun.id}/cancel")
    assert alice.post(form["action"], data=form["fields"]).headers["Location"] == f"/operations/{begun.id}"
    page = alice.open(f"/operations/{begun.id}")
    assert "The operation was asked to stop." in page.text
    assert "cancelled" in page.text
    again = alice.post(form["action"], data=form["fields"])
    assert (again.status_code, "The operation has ended already." in again.text) == (409, True)


def test_a_viewer_sees_it_and_is_not_offered_to_cancel(town) -> None:
    begun = town.begin(town.acme, operation.Kind.CAPTURE, "web-01", operation.Progress(phase="planning"), seconds=5)
    with reader.Reader(town) as victor:
        victor.sign_in("victor", account=None)
        page = victor.open(f"/operations/{begun.id}")
        assert {form["action"] for form in page.forms} == {"/sign-out"}
        assert victor.fill(f"/operations/{begun.id}/cancel").status_code == 403
    with reader.Reader(town) as gina:
        gina.sign_in("gina", account=None)
        assert gina.get(f"/operations/{begun.id}").status_code == 404
    town.services.operations.cancel(town.acme.id, str(begun.id))


# --- the list ---------------------------------------------------------------------------------------------------------------


def test_the_list_tells_what_runs_and_what_ran(town, alice) -> None:
    told = operation.Progress(phase="copying vda", done_bytes=GIB, total_bytes=4 * GIB)
    begun = town.begin(town.acme, operation.Kind.CAPTURE, "busy-01", told, seconds=30)
    page = alice.open("/operations")
    assert f"/operations/{begun.id}" in page.links
    assert "Copying vda" in page.text
    assert "Capture · web-01" in page.text
    (moving,) = [told for _tag, told in page.tags if told.get("id") == "moving"]
    assert (moving["hx-trigger"], f"#state-{begun.id}" in moving["hx-select-oob"]) == ("every 2s", True)
    still = alice.open("/operations?state=succeeded")
    assert f"/operations/{begun.id}" not in still.links
    (moving,) = [told for _tag, told in still.tags if told.get("id") == "moving"]
    assert "hx-trigger" not in moving


@pytest.mark.parametrize(
    ("query", "is_found"),
    [
        ("subject=web", True), ("subject=nothing", False), ("kind=capture", True), ("kind=deploy", False),
        ("kind=nonsense", True), ("state=succeeded", True), ("state=failed", False),
    ],
)  # fmt: skip
def test_the_list_is_narrowed(alice, query, is_found) -> None:
    assert ("Capture · web-01" in alice.open(f"/operations?{query}").text) == is_found


def test_only_the_cloud_operator_is_offered_what_concerns_the_store(alice, town) -> None:
    assert "Sweep of the store" not in alice.open("/operations").text
    with reader.Reader(town) as oscar:
        oscar.sign_in("oscar", account=None)
        assert "Sweep of the store" in oscar.open("/operations").text


# --- words and figures --------------------------------------------------------------------------------------------------------


def test_every_phase_that_is_told_has_words() -> None:
    source = Path(estampe.__file__).parent
    told = set()
    for path in source.rglob("*.py"):
        told |= set(re.findall(r'(?:\.phase\(|begin\(|phase=|_Meter\(work, )f?"([^"]+)"', path.read_text()))
    assert {"copying {opened.target}", "planning", "verifying chunks", "restoring"} <= told  # the pattern finds them
    unknown = (
        told - set(words.PHASES) - {"queued", "{what} {target}"}
    )  # the latter is put together of verbs that are found, too
    assert {each for each in unknown if not any(each.startswith(known) for known in words.PHASES_OF)} == set()


def test_words_of_members_with_one_value_are_not_mixed_up() -> None:
    for kind, members in words.WORDS.items():
        assert all(type(member) is kind for member in members)
    assert words.of(operation.Kind.DEPLOY) == "Deployment"


def test_a_rate_is_not_guessed() -> None:
    def at(seconds: float, **progress) -> pace.Pace:
        from estampe.schemas import operation as schema

        seen = fakes.an_operation(progress=operation.Progress(phase="x", **progress))
        return pace.of(schema.Operation.model_validate(seen), now=fakes.NOW + datetime.timedelta(seconds=seconds))

    assert at(1, done_bytes=5, total_bytes=10).bytes_per_second is None
    assert at(5, done_bytes=0, total_bytes=10).left_seconds is None
    assert at(5, done_bytes=5, total_bytes=10).left_seconds == 5
    assert at(-5, done_bytes=5, total_bytes=10).phase_seconds == 0
    assert at(5, done_bytes=10, total_bytes=10).share == 0.99
    assert at(5, done_bytes=10, total_bytes=None).share is None


@pytest.mark.parametrize(
    ("seconds", "english", "french"),
    [
        (0.42, "0.4 s", "0,4 s"),
        (12, "12 s", "12 s"),
        (185, "3 min 05 s", "3 min 05 s"),
        (7800, "2 h 10 min", "2 h 10 min"),
    ],
)
def test_durations_are_written_as_the_language_does(seconds, english, french) -> None:
    assert [_plain(each.duration(seconds)) for each in languages.all_languages().values()] == [english, french]

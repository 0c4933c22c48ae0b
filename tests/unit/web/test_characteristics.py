"""What a template is tuned for: seen, changed by those who may, and checked while it is typed."""

from __future__ import annotations

import re

import pytest
from tests.unit.web import reader

FORM = "/templates/web@1/-/characteristics"
HTMX = {"HX-Request": "true"}


@pytest.fixture
def fields(alice) -> dict[str, str]:
    return alice.open(FORM).form(FORM)["fields"]


def _chosen(page: reader.Page) -> set[str | None]:
    return {told.get("value") for tag, told in page.tags if tag == "option" and "selected" in told}


def test_what_is_said_fills_the_form(alice) -> None:
    path = "/templates/web@3/-/characteristics"
    assert path in alice.open("/templates/web@3").links
    told = alice.open(path).form(path)["fields"]
    assert (told["tuned_for"], told["least.cpus"], told["least.memory_bytes"]) == ("web pages", "2", "1 GiB")
    assert told["tuned.queues"] == "cpus"
    assert "Queues of the volumes one per CPU" in alice.open("/templates/web@3").text


def test_a_profile_fills_in_its_settings(alice) -> None:
    page = alice.open(f"{FORM}?profile=linux-database")
    assert {"virtio-blk", "none", "native", "unmap", "yes"} <= _chosen(page)
    assert page.form(FORM)["fields"]["tuned.cpu"] == "host-passthrough"
    assert alice.open(f"{FORM}?profile=nonsense").form(FORM)["fields"]["tuned.cpu"] == ""


@pytest.mark.parametrize("headers", [HTMX, {}])
def test_it_is_shown_what_servers_would_get_and_nothing_is_changed(alice, fields, headers) -> None:
    typed = fields | {
        "least.cpus": "8",
        "recommended.memory_bytes": "4 GiB",
        "tuned.bus": "virtio-scsi",
        "tuned.rng": "no",
    }
    answer = alice.post(f"{FORM}/plan", data=typed, headers=headers)
    text = re.sub(r"\s", " ", reader.Page(answer.text).text)
    for told in (
        "Processors 8",
        "Memory 4 GiB",
        "virtio-scsi",
        "Random numbers of the host no",
        "Keep the characteristics",
    ):
        assert told in text, told
    assert alice.get("/v1/templates/web@1").json()["template"]["characteristics"] is None


def test_it_is_kept(town, alice) -> None:
    town.capture(town.acme, "traits")
    form = "/templates/traits@1/-/characteristics"
    fields = alice.open(form).form(form)["fields"]
    answer = alice.post(form, data=fields | {"tuned_for": "builds", "recommended.cpus": "3", "tuned.io_threads": "2"})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/templates/traits@1")
    text = alice.open("/templates/traits@1").text
    assert "The characteristics are changed." in text
    assert "Tuned for builds" in text
    late = alice.post(form, data=fields | {"tuned_for": "something else"})
    assert (late.status_code, "template-changed" in late.text) == (412, True)
    assert reader.Page(late.text).form(form)["fields"]["tuned_for"] == "something else"


@pytest.mark.parametrize(
    ("typed", "field", "said"),
    [
        ({"least.cpus": "many"}, "least.cpus", "must be a whole number"),
        ({"least.cpus": "0"}, "least.cpus", "greater than or equal to 1"),
        ({"least.memory_bytes": "lots"}, "least.memory_bytes", "is not a size"),
        ({"least.memory_bytes": "2 GiB", "recommended.memory_bytes": "1 GiB"}, "recommended.memory_bytes", "which is the least"),
        ({"recommended.volume_sizes.vda": "1 KiB"}, "recommended.volume_sizes.vda", "cannot be 1 KiB"),
        ({"tuned.queues": "some"}, "tuned.queues", "must be"),
        ({"tuned.io": "native"}, "tuned.io", "native needs the cache none"),
        ({"tuned.cpu": "a b"}, "tuned.cpu", "must"),
        ({"tuned.bus": "ide"}, "tuned.bus", "must be"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_at_its_field_while_typing(alice, fields, typed, field, said) -> None:
    answer = alice.post(f"{FORM}/plan", data=fields | typed, headers=HTMX)
    assert answer.status_code == 200
    (marked,) = re.findall(rf'id="problem-{field.replace(".", "-")}"[^>]*>([^<]+)<', answer.text)
    assert said in marked
    assert "Keep the characteristics" not in answer.text
    assert alice.post(FORM, data=fields | typed).status_code in {400, 404}


def test_others_and_viewers_only_look(town, gina) -> None:
    assert "/templates/acme/web@3/-/characteristics" not in gina.open("/templates/acme/web@3").links
    refused = gina.fill("/templates/acme/web@3/-/characteristics", tuned_for="mine")
    assert refused.status_code == 403
    with reader.Reader(town) as victor:
        victor.sign_in("victor", account=None)
        assert "/templates/web@3/-/characteristics" not in victor.open("/templates/web@3").links
        assert victor.fill(FORM, tuned_for="mine").status_code == 403

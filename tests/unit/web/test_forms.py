"""Guided forms: the plan beside what is typed, what is wrong in which field, and nothing that begins without its plan."""

from __future__ import annotations

import re
import uuid

import pytest
from tests.unit.web import reader

from estampe import errors
from estampe.model import operation
from estampe.web import forms

MIB = 1024**2
HTMX = {"HX-Request": "true"}
DEPLOY, CAPTURE = "/templates/web@3/-/deploy", "/servers/web-01/-/capture"


@pytest.fixture
def wish(alice) -> dict[str, str]:
    """The form to deploy web@3 as alice finds it."""
    return alice.open(DEPLOY).form(DEPLOY)["fields"]


@pytest.fixture
def fresh(town) -> str:
    """A template of acme's with its server that no other test looks at."""
    name = f"f-{uuid.uuid4().hex[:8]}"
    town.capture(town.acme, name)
    return name


def _plain(text: str) -> str:
    return re.sub(r"\s", " ", text)


def _named(page: reader.Page) -> set[str | None]:
    """Names of all that can be filled in, boxes that are not ticked included."""
    return {told.get("name") for tag, told in page.tags if tag == "input"}


def _operations(alice) -> list[dict]:
    return alice.get("/v1/operations?limit=100").json()["operations"]


# --- deploying --------------------------------------------------------------------------------------------------------------


def test_the_form_begins_with_what_suits_the_template(alice, wish) -> None:
    assert (wish["name"], wish["count"], wish["cpus"]) == ("web-new", "1", "")
    assert "volume_sizes.vda" in wish
    page = alice.open("/templates/web@3")
    assert DEPLOY in page.links
    assert ("button", {"form": "wish"}) not in alice.open(DEPLOY).tags  # nothing begins without a plan


@pytest.mark.parametrize("headers", [HTMX, {}])
def test_a_plan_is_shown_and_nothing_has_happened(alice, wish, headers) -> None:
    before = _operations(alice)
    answer = alice.post(
        f"{DEPLOY}/plan", data=wish | {"count": "2", "memory_bytes": "2 GiB", "cpus": "3"}, headers=headers
    )
    page = reader.Page(answer.text)
    text = _plain(page.text)
    assert answer.status_code == 200, text
    for part in (
        "New servers 2",
        "Processors each 3",
        "Memory each 2 GiB",
        "web-new-1",
        "web-new-2",
        "Deploy 2 servers",
    ):
        assert part in text, part
    assert ("button", {"form": "wish"}) in page.tags
    assert ("<html" in answer.text) == (not headers)
    assert _operations(alice) == before


@pytest.mark.parametrize(
    ("typed", "field", "said"),
    [
        ({"name": ""}, "name", "must have at least 1 character"),
        ({"name": "web 9"}, "name", "web 9 cannot be a name here."),
        ({"name": "web-01"}, "name", "The name web-01 is in use already."),
        ({"count": "many"}, "count", "must be a whole number"),
        ({"count": "101"}, "count", "must be less than or equal to 100"),
        ({"memory_bytes": "lots"}, "memory_bytes", "is not a size"),
        ({"volume_sizes.vda": "1 KiB"}, "volume_sizes.vda", "Volume vda cannot be 1 KiB"),
        ({"hostname": "-"}, "hostname", "cannot be a name here"),
        ({"ssh_keys": "ssh-ed25519 AAAA x"}, "ssh_keys", "not an OpenSSH public key in one line"),
        ({"ssh_keys": "ssh-ed25519 AAAA x\nnonsense"}, "ssh_keys", "must be one OpenSSH public key"),
        ({"pool": "nowhere"}, "pool", "There is no active storage pool nowhere"),
        ({"interfaces.0.network": "nowhere"}, "interfaces.0.network", "There is no active network nowhere"),
        (
            {"interfaces.0.addresses": "192.0.2.7"},
            "interfaces.0.addresses",
            "must be an address with its prefix length",
        ),
    ],
)
def test_what_is_wrong_is_told_at_its_field_while_typing(alice, wish, typed, field, said) -> None:
    answer = alice.post(f"{DEPLOY}/plan", data=wish | typed, headers=HTMX)
    assert answer.status_code == 200  # a form that is not filled in yet is no mistake
    (marked,) = re.findall(rf'id="problem-{field.replace(".", "-")}"[^>]*>([^<]+)<', answer.text)
    assert said in marked
    assert len(re.findall(r'class="field-problem"[^>]*>[^<]', answer.text)) == 1
    assert '<button form="wish"' not in answer.text
    refused = alice.post(DEPLOY, data=wish | typed)
    assert refused.status_code in {400, 404, 409}, refused.text
    assert said in refused.text


def test_a_deployment_begins_and_is_followed(town, alice, fresh) -> None:
    address = f"/templates/{fresh}@1/-/deploy"
    form = alice.open(address).form(address)
    fields = form["fields"] | {
        "name": f"{fresh}-b", "memory_bytes": "512 MiB", "ssh_keys": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGkQ3mvmXpQ5tPz0l5ykoqLF8k1dM6Cw3sJ6bcQ1xY2z alice", "user_data": "#cloud-config",
        "interfaces.0.network": "lan", "interfaces.0.addresses": "192.0.2.10/24", "interfaces.0.gateways": "192.0.2.1",
    }  # fmt: skip
    answer = alice.post(address, data=fields)
    assert answer.status_code == 303, answer.text
    operation_page = answer.headers["Location"]
    assert "waiting" in alice.open(operation_page).text
    again = alice.post(address, data=fields)
    assert again.headers["Location"] == operation_page  # sent twice, it begins once
    town.site.run()
    page = alice.open(operation_page)
    assert "succeeded" in page.text
    assert f"/servers/{fresh}-b" in page.links
    assert f"{fresh}@1" in alice.open(f"/servers/{fresh}-b").text
    repeated = alice.open(f"{address}?again={operation_page.rsplit('/', 1)[-1]}").form(address)["fields"]
    assert repeated["memory_bytes"] == "512 MiB"
    assert (repeated["name"], repeated["interfaces.0.addresses"]) == (f"{fresh}-b", "192.0.2.10/24")
    assert "cloud-config" not in alice.get(operation_page).text


def _asked(alice, operation_page: str) -> dict:
    return alice.get(f"/v1{operation_page}").json()["request"]["deploy"]


def test_advanced_wishes_are_asked_for_and_come_back_without_secrets(town, alice, fresh) -> None:
    address = f"/templates/{fresh}@1/-/deploy"
    fields = alice.open(address).form(address)["fields"] | {
        "name": f"{fresh}-c", "interfaces.0.network": "lan", "interfaces.0.addresses": "192.0.2.10/24",
        "interfaces.0.routes": "198.51.100.0/24 192.0.2.254\n203.0.113.0/24, 192.0.2.253", "interfaces.0.is_dhcp6": "yes",
        "interfaces.0.mac": "52:54:00:00:00:09", "fqdn": f"{fresh}-c.example.org", "search": "example.org example.net",
        "new_volumes.1.name": "data", "new_volumes.1.size_bytes": "4 MiB", "volume_sizes.vda": "4 MiB",
        "timezone": "Europe/Paris", "seed_format": "nocloud",
    }  # fmt: skip
    fields.pop("is_grown")
    begun = alice.post(address, data=fields)
    assert begun.status_code == 303, reader.Page(begun.text).text
    asked = _asked(alice, begun.headers["Location"])
    (interface,) = asked["interfaces"]
    assert interface["routes"] == [
        {"destination": "198.51.100.0/24", "gateway": "192.0.2.254"}, {"destination": "203.0.113.0/24", "gateway": "192.0.2.253"},
    ]  # fmt: skip
    assert (interface["is_dhcp4"], interface["is_dhcp6"], asked["is_grown"]) == (False, True, False)
    assert (asked["search"], asked["timezone"]) == (["example.org", "example.net"], "Europe/Paris")
    assert [(each["name"], each["size_bytes"], each["kind"]) for each in asked["new_volumes"]] == [
        ("data", 4 * MIB, None)
    ]
    town.site.run()
    page = alice.open(f"{address}?again={begun.headers['Location'].rsplit('/', 1)[-1]}")
    again = page.form(address)["fields"]
    for name in ("interfaces.0.mac", "interfaces.0.is_dhcp6", "fqdn", "search", "timezone"):
        assert again[name] == fields[name], name
    assert again["new_volumes.0.name"] == "data"
    assert "203.0.113.0/24 192.0.2.253" in page.text
    assert "is_grown" not in again
    assert "vdb" in alice.open(f"/servers/{fresh}-c").text


@pytest.mark.parametrize("address", [DEPLOY, CAPTURE])
def test_every_problem_that_a_plan_may_tell_has_its_place_in_the_form(alice, address) -> None:
    page = alice.open(address)
    places = {told["id"] for _tag, told in page.tags if "id" in told}
    answer = alice.post(f"{address}/plan", data=page.form(address)["fields"], headers=HTMX)
    told = set(re.findall(r'id="(problem-[^"]+)"', answer.text))
    assert told
    assert told <= places


def test_the_keys_of_a_tpm_are_asked_for_and_told_where_there_are_any(town, alice, gina, fresh) -> None:
    capture, deploy = f"/servers/{fresh}-01/-/capture", f"/templates/{fresh}@2/-/deploy"
    assert "is_vtpm_kept" not in _named(alice.open(capture))
    uuid_of_source = town.site.host.find_domain(f"{fresh}-01").uuid
    xml = town.site.host.get_domain(uuid_of_source).configuration.domain_xml
    tpm = '<tpm model="tpm-crb"><backend type="emulator" version="2.0"/></tpm></devices>'
    town.site.host.define(xml.replace("</devices>", tpm))
    fields = alice.open(capture).form(capture)["fields"] | {"is_vtpm_kept": "yes", "name": fresh}
    fields.pop("is_sealed")
    refused = alice.post(f"{capture}/plan", data=fields, headers=HTMX)
    assert re.findall(r'id="problem-is_vtpm_kept"[^>]*>([^<]+)<', refused.text) != [""]
    assert "never started" in refused.text
    town.site.host.write_tpm_state(uuid_of_source, "2.0", b"keys")
    assert "only servers of your account" in alice.post(f"{capture}/plan", data=fields, headers=HTMX).text
    begun = alice.post(capture, data=fields).headers["Location"]
    town.site.run()
    again = alice.open(f"{capture}?again={begun.rsplit('/', 1)[-1]}").form(capture)["fields"]
    assert again["is_vtpm_kept"] == "yes"
    assert "in it, for a server of your account" in alice.open(f"/templates/{fresh}@2").text
    alice.act(f"{fresh}@2", "share", account="globex")
    assert "in it, for servers of its own account alone" in gina.open(f"/templates/acme/{fresh}@2").text
    wish = alice.open(deploy).form(deploy)["fields"]
    assert "vtpm" in _named(alice.open(deploy))
    several = alice.post(f"{deploy}/plan", data=wish | {"vtpm": "keep", "count": "2"}, headers=HTMX)
    (marked,) = re.findall(r'id="problem-vtpm"[^>]*>([^<]+)<', several.text)
    assert "one machine" in marked
    begun = alice.post(deploy, data=wish | {"vtpm": "keep"}).headers["Location"]
    town.site.run()
    assert town.site.host.read_tpm_state(town.site.host.find_domain(wish["name"]).uuid, "2.0") == b"keys"
    assert alice.open(f"{deploy}?again={begun.rsplit('/', 1)[-1]}").form(deploy)["fields"]["vtpm"] == "keep"
    assert "vtpm" not in _named(alice.open(DEPLOY))
    assert "Keys of its TPM" not in alice.open(f"/templates/{fresh}@1").text


def test_a_template_with_the_firmwares_variables_says_so(town, alice, fresh) -> None:
    found = town.site.host.get_domain(town.site.host.find_domain(f"{fresh}-01").uuid)
    firmware = '<loader readonly="yes" type="pflash">/code.fd</loader><nvram>/vars.fd</nvram></os>'
    town.site.host.define(found.configuration.domain_xml.replace("</os>", firmware))
    town.site.host.write_nvram("/vars.fd", b"variables")
    assert "UEFI" not in alice.open(f"/templates/{fresh}@1").text
    town.capture(town.acme, fresh, server=f"{fresh}-01")
    assert "UEFI, with its variables" in alice.open(f"/templates/{fresh}@2").text


def test_new_uuids_are_asked_for(alice, wish) -> None:
    answer = alice.post(f"{DEPLOY}/plan", data=wish | {"is_renewed": "yes"}, headers=HTMX)
    assert "UUIDs" in answer.text
    assert "UUIDs" not in alice.post(f"{DEPLOY}/plan", data=wish, headers=HTMX).text


def test_users_and_passwords_are_asked_for_and_never_in_a_page(town, alice, wish) -> None:
    secret = "$6$saltsalt$" + "a" * 86
    typed = wish | {
        "password_hash": secret, "users.0.name": "ana", "users.0.groups": "docker, adm", "users.0.is_administrator": "yes",
        "users.0.password_hash": secret, "users.0.shell": "/bin/bash", "commands": "touch /a\ntouch /b",
    }  # fmt: skip
    answer = alice.post(f"{DEPLOY}/plan", data=typed)
    page = reader.Page(answer.text)
    assert answer.status_code == 200, page.text
    for told in ("ana (seed)", "password", "first-boot commands: 2"):
        assert told in page.text, told
    assert secret not in answer.text
    insisting = [told["name"] for tag, told in page.tags if told.get("type") == "password" and "required" in told]
    assert insisting == ["password_hash", "users.0.password_hash"]  # else it would be deployed without them
    assert page.form(DEPLOY)["fields"]["users.0.name"] == "ana"


@pytest.mark.parametrize(
    ("typed", "field", "said"),
    [
        ({"interfaces.0.routes": "198.51.100.0/24"}, "interfaces.0.routes", "is not a network and a gateway"),
        ({"interfaces.0.routes": "nonsense 192.0.2.1"}, "interfaces.0.routes", "must be"),
        ({"interfaces.0.mac": "x"}, "interfaces.0.mac", "must be"),
        ({"new_volumes.0.size_bytes": "4 GiB"}, "new_volumes.0.name", "must"),
        ({"new_volumes.1.name": "data"}, "new_volumes.1.size_bytes", "required"),
        ({"new_volumes.0.name": "data", "new_volumes.0.size_bytes": "big"}, "new_volumes.0.size_bytes", "is not a size"),
        ({"users.1.name": "a", "users.1.shell": "bash"}, "users.1.shell", "must"),
        ({"users.0.name": "x:y"}, "users", "is not the name of a new user"),
        ({"timezone": "Mars/Base"}, "timezone", "is not a time zone"),
        ({"password_hash": "hunter2"}, "password_hash", ""),
        ({"fqdn": "a"}, "fqdn", "with a domain behind it"),
        ({"left_out": "vda"}, "left_out", "root"),
        ({"grown": "vda9", "is_grown": "yes", "volume_sizes.vda": "8 MiB"}, "grown", "There is no volume vda9"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_advanced_wishes_is_told_at_its_field(alice, wish, typed, field, said) -> None:
    answer = alice.post(f"{DEPLOY}/plan", data=wish | typed, headers=HTMX)
    assert answer.status_code == 200
    marked = re.findall(rf'id="problem-{field.replace(".", "-")}"[^>]*>([^<]+)<', answer.text)
    assert len(marked) == 1, reader.Page(answer.text).text
    assert said in marked[0]
    assert "hunter2" not in answer.text


def test_what_may_not_be_deployed_is_not_offered(town, alice, gina, fresh) -> None:
    alice.act(f"{fresh}@1", "disable")
    assert f"/templates/{fresh}@1/-/deploy" not in alice.open(f"/templates/{fresh}@1").links
    assert alice.get(f"/templates/{fresh}@1/-/deploy").status_code == 409
    assert alice.get("/templates/nothing/-/deploy").status_code == 404
    assert gina.get("/templates/acme/web@3/-/deploy").status_code == 200  # shared with globex
    with reader.Reader(town) as victor:
        victor.sign_in("victor", account=None)
        assert DEPLOY not in victor.open("/templates/web@3").links
        assert victor.fill(f"{DEPLOY}/plan", name="x").status_code == 403


@pytest.mark.parametrize("again", ["nonsense", "2e571a15-a384-4ed5-a85a-900e7e5748d9", "%3Cscript%3E"])
def test_an_operation_that_is_not_there_fills_nothing(alice, again) -> None:
    assert alice.open(f"{DEPLOY}?again={again}").form(DEPLOY)["fields"]["name"] == "web-new"


# --- capturing --------------------------------------------------------------------------------------------------------------


def test_a_capture_is_planned_and_begun(town, alice, fresh) -> None:
    address = f"/servers/{fresh}-01/-/capture"
    fields = alice.open(address).form(address)["fields"]
    assert fields["volumes"] == "vda"
    answer = alice.post(f"{address}/plan", data=fields | {"name": fresh}, headers=HTMX)
    text = _plain(reader.Page(answer.text).text)
    assert f"Template {fresh}@2" in text
    assert "Capture the server" in text
    fields.pop("is_sealed")
    assert "clones share" in alice.post(f"{address}/plan", data=fields, headers=HTMX).text
    begun = alice.post(address, data=fields | {"name": fresh, "note": "line one\r\nline two", "tags": "a b"})
    assert begun.status_code == 303, begun.text
    busy = alice.open(f"/servers/{fresh}-01")
    assert "An operation holds the server" in busy.text
    assert begun.headers["Location"] in busy.links
    assert {form["action"] for form in busy.forms} == {"/sign-out"}
    town.site.run()
    assert f"{fresh}@2" in alice.open(begun.headers["Location"]).text
    detail = alice.get(f"/v1/templates/{fresh}@2").json()["template"]
    assert (detail["note"], detail["tags"]) == ("line one\nline two", ["a", "b"])
    repeated = alice.open(f"{address}?again={begun.headers['Location'].rsplit('/', 1)[-1]}").form(address)["fields"]
    assert (repeated["name"], repeated["tags"]) == (fresh, "a b")


def test_what_sealing_is_to_do_otherwise_is_asked_for(alice, fresh) -> None:
    address = f"/servers/{fresh}-01/-/capture"
    fields = alice.open(address).form(address)["fields"] | {"keep": "/var/log/audit\n/etc/x", "remove": "/srv/*.token"}
    unsealed = {name: value for name, value in fields.items() if name != "is_sealed"}
    assert "without sealing nothing is kept" in alice.post(f"{address}/plan", data=unsealed, headers=HTMX).text
    begun = alice.post(address, data=fields).headers["Location"]
    asked = alice.get(f"/v1{begun}").json()["request"]["capture"]
    assert (asked["keep"], asked["remove"]) == (["/var/log/audit", "/etc/x"], ["/srv/*.token"])
    assert alice.fill(f"{begun}/cancel").status_code == 303
    again = alice.open(f"{address}?again={begun.rsplit('/', 1)[-1]}")
    assert again.form(address)["fields"]["is_sealed"] == "yes"
    assert "/srv/*.token" in again.text


@pytest.mark.parametrize(
    ("typed", "field", "said"),
    [
        ({"volumes": None}, "volumes", "at least one must be chosen"),
        ({"name": "a b"}, "name", "cannot be a name here"),
        ({"keep": "relative"}, "keep", "must be"),
        ({"tags": "no$tag"}, "tags", "must be 1 to 64"),
        ({"stop_timeout_seconds": "soon"}, "stop_timeout_seconds", "must be a whole number"),
    ],
)
def test_a_capture_that_cannot_be_is_told_at_its_field(alice, typed, field, said) -> None:
    fields = alice.open(CAPTURE).form(CAPTURE)["fields"] | typed
    answer = alice.post(
        f"{CAPTURE}/plan", data={name: value for name, value in fields.items() if value is not None}, headers=HTMX
    )
    (marked,) = re.findall(rf'id="problem-{field}"[^>]*>([^<]+)<', answer.text)
    assert said in marked


def test_a_server_of_others_is_not_captured(gina) -> None:
    for path in (CAPTURE, f"{CAPTURE}/plan"):
        assert gina.fill(path).status_code == 404
    assert gina.get(CAPTURE).status_code == 404


# --- what is typed ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "size"),
    [("", None), ("40GiB", 40 * 1024**3), ("1.5 GiB", 1536 * MIB), ("1,5 Gio", 1536 * MIB), ("500 Mo", 500 * 10**6), ("512 o", 512)],
)  # fmt: skip
def test_sizes_are_read_as_people_write_them(text, size) -> None:
    assert forms.filled(size=text).size("size") == size


@pytest.mark.parametrize("text", ["foo", "1 Gb o", "-1", "1.0001"])
def test_what_is_no_size_is_refused(text) -> None:
    with pytest.raises(errors.InvalidRequest, match="is not a size"):
        forms.filled(size=text).size("size")


@pytest.mark.parametrize("size", [1, 1023, 1024, 1536 * MIB, 40 * 1024**3, 3 * 1024**4])
def test_sizes_that_are_filled_in_are_read_back_the_same(size) -> None:
    assert forms.filled(size=forms.exact_size(size)).size("size") == size


def test_a_filled_form_leaves_out_what_is_not_said() -> None:
    made = forms.filled(a=None, b=False, c=True, d=[1, 2], e="x")
    assert (made.flag("a"), made.flag("b"), made.flag("c"), made.values("d"), made.text("e")) == (
        False, False, True, ["1", "2"], "x",
    )  # fmt: skip
    with pytest.raises(errors.InvalidRequest, match="whole number"):
        forms.filled(n="9" * 13).number("n")


def test_an_operation_of_another_kind_fills_nothing(town, alice) -> None:
    captures = [each for each in _operations(alice) if each["kind"] == operation.Kind.CAPTURE.value]
    assert alice.open(f"{DEPLOY}?again={captures[0]['id']}").form(DEPLOY)["fields"]["name"] == "web-new"

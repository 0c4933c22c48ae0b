"""The catalogue, a template's page, and what is done from there."""

from __future__ import annotations

import re
import uuid

import pytest
from tests.unit.web import reader

from estampe.deploy import request as deploy
from estampe.schemas import template
from estampe.web import layout

MIB = 1024**2


@pytest.fixture
def fresh(town) -> str:
    """A template of acme's that no other test looks at."""
    made = town.capture(town.acme, f"t-{uuid.uuid4().hex[:8]}", server="spare-01", note="as captured", tags=("one",))
    return made.reference


# --- the catalogue --------------------------------------------------------------------------------------------------------


def test_the_tabs_tell_own_from_shared_from_public(alice, gina) -> None:
    mine = alice.open("/catalogue")
    assert "web @3" in mine.text
    assert "Debian GNU/Linux 12 (bookworm)" in mine.text
    assert "Tuned for web pages" in mine.text
    assert "Earlier versions: @2 @1" in mine.text
    assert re.search(r"active shared .* Size \S+ MiB Data \d+ KiB Publisher acme Captured \w+ \d+, \d+", mine.text), (
        mine.text
    )
    assert "old" not in mine.text.split()
    shared = gina.open("/catalogue?tab=shared")
    assert "/templates/acme/web@3" in shared.links
    assert "for your lab" in shared.text
    assert "production" not in shared.text  # tags are the publisher's own
    assert "/templates/acme/db@1" in gina.open("/catalogue?tab=public").links
    assert "Nobody shares a template with your account." in alice.open("/catalogue?tab=shared").text


@pytest.mark.parametrize(
    ("query", "is_found"),
    [
        ("name=we", True), ("name=WE", True), ("name=nothing", False), ("guest=debian", True), ("guest=rocky", False),
        ("tag=shop", True), ("tag=sho", False), ("state=active", True), ("state=disabled", False), ("sealed=true", True),
        ("sealed=false", False), ("sort=-created", True), ("sort=-size&name=web", True), ("state=nonsense", True),
    ],
)  # fmt: skip
def test_the_list_is_narrowed_and_sorted(alice, query, is_found) -> None:
    page = alice.open(f"/catalogue?{query}")
    assert ("/templates/web@3" in page.links) == is_found
    if not is_found:
        assert "/templates/web@1" not in page.links


def test_a_list_of_many_comes_in_pages(town) -> None:
    for _ in range(26):
        town.capture(town.globex, "many", server="lab-02")
    with reader.Reader(town) as gina:
        gina.sign_in("gina", account=None)
        first = gina.open("/catalogue?name=many")
        (link,) = [each for each in first.links if "after=" in each]
        second = gina.open(link)
        seen = [set(re.findall(r"/templates/many@\d+", " ".join(page.links))) for page in (first, second)]
        assert (len(seen[0] | seen[1]) + len(seen[0] & seen[1])) >= 9
        assert "/templates/many@1" in second.links
        assert "First page" in second.text
    assert "/templates/many@26" in first.links


def test_a_cursor_of_nowhere_is_told_and_not_followed(alice) -> None:
    answer = alice.get("/catalogue?after=nonsense")
    assert (answer.status_code, "invalid-request" in answer.text) == (400, True)


# --- a template's page ------------------------------------------------------------------------------------------------------


def test_a_template_tells_what_it_is(alice) -> None:
    text = alice.open("/templates/web@3").text
    for told in (
        "Packages 421", "Boot loader grub-efi", "Network is configured by systemd-networkd", "Init system systemd",
        "yes, cloud-init (nocloud, config-drive)", "virtio-blk, virtio-scsi", "GPT", "Needs at least 2 CPUs 1 GiB of memory", "vda3 ext4 / ", "@2 active", "From server web-01",
        "globex may deploy", "emptied /etc/machine-id", "256 KiB of data in 4 chunks", "production",
    ):  # fmt: skip
        assert told in text, told
    logical = alice.open("/templates/db@1").text
    assert "Volume group rl" in logical
    assert "on vda3" in logical
    assert "rl/root xfs /" in logical
    assert "part of a volume group (LVM)" in logical


def test_a_template_its_server_and_the_template_of_that_lead_to_each_other(town, alice) -> None:
    stem = town.capture(town.acme, "stem")
    town.services.deployments.start(town.acme.id, deploy.DeployRequest(template="stem@1", name="sprout-01"))
    town.site.run()
    server = alice.open("/servers/sprout-01")
    assert "Deployed from stem@1" in server.text
    assert f"/templates/{stem.reference}" in server.links
    page = alice.open("/templates/stem@1")
    (link,) = [each for each in page.links if each.startswith("/servers/")]
    assert "sprout-01" in page.text.partition("Servers that were deployed from it")[2]
    assert "sprout-01" in alice.open(link).text
    town.capture(town.acme, "sprout", server="sprout-01")
    page = alice.open("/templates/sprout@1")
    assert "Whose template was stem@1" in page.text
    assert "/templates/stem@1" in page.links
    town.services.life.delete(town.acme.id, "stem@1", by="alice")
    town.services.life.purge(town.acme.id, str(stem.id))
    page = alice.open("/templates/sprout@1")
    assert "Whose template was stem@1 (deleted)" in page.text
    server = alice.open("/servers/sprout-01")
    assert "Deployed from stem@1 (deleted)" in server.text
    for gone in (page, server, alice.open("/servers")):
        assert not [each for each in gone.links if each.startswith("/templates/stem")]


def test_what_it_takes_of_the_store_is_counted_on_demand(alice) -> None:
    page = alice.open("/templates/web@3")
    assert "/templates/web@3/-/usage" in page.links
    text = alice.open("/templates/web@3/-/usage").text
    assert re.search(r"Data in its volumes \d+ KiB Stored, compressed \d+ KiB Needed by it alone \d+ B", text), text


def test_a_viewer_is_offered_nothing_that_would_be_refused(town) -> None:
    with reader.Reader(town) as victor:
        victor.sign_in("victor", account=None)
        for path in ("/templates/web@3", "/templates/old@1", "/trash"):
            assert {form["action"] for form in victor.open(path).forms} == {"/sign-out"}
        assert "Who did what" not in victor.open("/templates/web@3").text
        refused = victor.fill("/templates/web@3/-/protect")
        assert (refused.status_code, "This takes the role operator" in refused.text) == (403, True)


# --- what is done with it ---------------------------------------------------------------------------------------------------


def _goes_to(answer, path: str) -> None:
    assert (answer.status_code, answer.headers.get("Location")) == (303, path), reader.Page(answer.text).text


def test_note_and_tags_are_changed(alice, fresh) -> None:
    _goes_to(alice.act(fresh, "edit", note="line one\r\nline two", tags="one, two  three"), f"/templates/{fresh}")
    page = alice.open(f"/templates/{fresh}")
    assert "Note and tags are changed." in page.text
    assert alice.get(f"/v1/templates/{fresh}").json()["template"]["note"] == "line one\nline two"
    assert "one two three" in page.text


def test_a_template_is_shared_and_no_longer(alice, gina, fresh) -> None:
    _goes_to(
        alice.act(fresh, "share", account="globex", right="deploy-and-export", until="2030-01-31"),
        f"/templates/{fresh}",
    )
    assert "globex may deploy and export, until Jan 31, 2030" in alice.open(f"/templates/{fresh}").text
    assert gina.get(f"/templates/acme/{fresh}").status_code == 200
    form = alice.open(f"/templates/{fresh}").form(f"/templates/{fresh}/-/unshare")
    _goes_to(alice.post(form["action"], data=form["fields"]), f"/templates/{fresh}")
    assert gina.get(f"/templates/acme/{fresh}").status_code == 404
    log = alice.open(f"/templates/{fresh}").text.partition("Who did what")[2]
    assert "alice · End of the sharing" in log
    assert "alice · Sharing" in log


def test_what_the_api_refuses_is_shown_with_what_was_typed(alice, fresh) -> None:
    answer = alice.act(fresh, "share", account="nobody-so", note="for <you>", until="2030-01-31")
    page = reader.Page(answer.text)
    assert (answer.status_code, "There is no account nobody-so." in page.text) == (404, True)
    assert page.form(f"/templates/{fresh}/-/share")["fields"]["account"] == "nobody-so"
    assert "for <you>" in page.text
    assert ("details", {"class": "action", "open": None}) in page.tags
    assert alice.act(fresh, "share", account="globex", until="soon").status_code == 400
    assert alice.act(fresh, "edit", tags="no$tag").status_code == 400


def test_a_template_is_published_only_as_it_is_accepted(alice, gina, fresh) -> None:
    refused = alice.fill(f"/templates/{fresh}/-/publish")
    assert (refused.status_code, "template-not-sealed" in refused.text) == (409, True)
    _goes_to(alice.act(fresh, "publish", note="for all", is_unsealed_accepted="yes"), f"/templates/{fresh}")
    assert "for all" in gina.open(f"/templates/acme/{fresh}").text
    _goes_to(alice.act(fresh, "unpublish"), f"/templates/{fresh}")
    assert gina.get(f"/templates/acme/{fresh}").status_code == 404


def test_a_template_is_deprecated_disabled_and_enabled(alice, fresh) -> None:
    _goes_to(alice.act(fresh, "deprecate", successor="web@3"), f"/templates/{fresh}")
    assert "Deprecated. Use instead: web@3" in alice.open(f"/templates/{fresh}").text
    _goes_to(alice.act(fresh, "disable"), f"/templates/{fresh}")
    _goes_to(alice.act(fresh, "enable"), f"/templates/{fresh}")
    assert alice.get(f"/v1/templates/{fresh}").json()["template"]["state"] == "active"
    assert alice.act(fresh, "deprecate", successor="nothing-so@1").status_code == 404


def test_a_protected_template_is_kept_and_then_deleted_restored_and_purged(alice, fresh) -> None:
    _goes_to(alice.act(fresh, "protect"), f"/templates/{fresh}")
    refused = alice.fill(f"/templates/{fresh}/-/delete")
    assert (refused.status_code, "template-protected" in refused.text) == (409, True)
    _goes_to(alice.act(fresh, "unprotect"), f"/templates/{fresh}")
    _goes_to(alice.act(fresh, "delete"), "/trash")
    assert fresh in alice.open("/trash").text
    _goes_to(alice.act(fresh, "restore"), f"/templates/{fresh}")
    _goes_to(alice.act(fresh, "delete"), "/trash")
    _goes_to(alice.act(fresh, "purge"), "/trash")
    assert alice.get(f"/templates/{fresh}").status_code == 404


def test_what_somebody_else_changed_meanwhile_is_not_overwritten(alice, fresh) -> None:
    form = alice.open(f"/templates/{fresh}").form(f"/templates/{fresh}/-/edit")
    alice.act(fresh, "edit", note="theirs")
    answer = alice.post(form["action"], data=form["fields"] | {"note": "mine"})
    assert (answer.status_code, "template-changed" in answer.text) == (412, True)
    assert alice.get(f"/v1/templates/{fresh}").json()["template"]["note"] == "theirs"


def test_anothers_template_is_hidden_and_shown_again(gina) -> None:
    _goes_to(gina.act("acme/web@3", "hide"), "/templates/acme/web@3")
    assert "/templates/acme/web@3" not in gina.open("/catalogue?tab=shared").links
    assert "/templates/acme/web@3" in gina.open("/catalogue?tab=shared&hidden=true").links
    _goes_to(gina.act("acme/web@3", "unhide"), "/templates/acme/web@3")


def test_there_is_no_other_action(alice) -> None:
    assert alice.fill("/templates/web@3/-/explode").status_code == 404


# --- the picture of the volumes -------------------------------------------------------------------------------------------


def _manifest(size_bytes: int, *systems: tuple[str, int, int | None]) -> template.Manifest:
    volume = template.TemplateVolume(target="sda", size_bytes=size_bytes, data_bytes=size_bytes // 2, chunk_count=1)
    found = [
        template.FileSystem(
            device=device, kind="ext4", size_bytes=size, used_bytes=used, mount_point=None, uuid=None, label=None
        )
        for device, size, used in systems
    ]
    guest = template.Guest.model_construct(file_systems=found)
    return template.Manifest.model_construct(volumes=[volume], guest=guest)


def test_file_systems_are_drawn_to_scale_in_the_order_of_their_devices() -> None:
    drawn = layout.draw(_manifest(1000 * MIB, ("sda10", 100 * MIB, None), ("sda2", 500 * MIB, 250 * MIB)))
    assert [(part.device, part.x, part.width, part.used_width) for part in drawn[0].parts] == [
        ("sda2", 0, 500, 250), ("sda10", 500, 100, 0),
    ]  # fmt: skip
    assert drawn[0].data_width == 500


def test_nothing_is_drawn_over_the_edge() -> None:
    drawn = layout.draw(_manifest(MIB, ("sda1", 10 * MIB, 20 * MIB), ("sda2", MIB, 0)))
    assert [(part.x, part.width, part.used_width) for part in drawn[0].parts] == [(0, 1000, 1000), (1000, 0, 0)]


def test_what_lies_on_no_volume_directly_is_told_apart() -> None:
    manifest = _manifest(MIB, ("/dev/sda1", 10, 1), ("/dev/vg/root", 10, 1), ("sdab1", 10, 1))
    assert [each.device for each in layout.elsewhere(manifest)] == ["/dev/vg/root", "sdab1"]


def _partition(number: int, start: int, size: int, content: str) -> template.Partition:
    return template.Partition(
        number=number, start_bytes=start * MIB, size_bytes=size * MIB, type="x", name=None, is_bootable=False,
        is_logical=False, content=content, uuid=None,
    )  # fmt: skip


def _laid_out(*systems: tuple[str, int, int | None]) -> template.Manifest:
    """An MBR volume with a partition, an extended one with a physical volume in it, and a gap; and the group on it."""
    partitions = [
        _partition(1, 100, 200, "ext4"),
        _partition(2, 400, 600, "extended"),
        _partition(5, 401, 599, "LVM2_member"),
    ]
    volume = template.VolumeLayout(
        target="sda", size_bytes=1000 * MIB, sector_size_bytes=512, table="mbr", partitions=partitions, content=None
    )
    group = template.VolumeGroup(
        name="vg0", extent_size_bytes=4 * MIB, free_bytes=100 * MIB, physical_volumes=["sda5"],
        logical_volumes=[
            template.LogicalVolume(name="data", size_bytes=300 * MIB, kind="linear", content="xfs"),
            template.LogicalVolume(name="pool", size_bytes=100 * MIB, kind="thin-pool", content="unknown"),
            template.LogicalVolume(name="thin", size_bytes=900 * MIB, kind="thin", content="ext4"),
        ],
    )  # fmt: skip
    layouts = template.Layout(volumes=[volume], groups=[group])
    return _manifest(1000 * MIB, *systems).model_copy(update={"layout": layouts})


def test_partitions_are_drawn_where_they_lie_and_groups_below() -> None:
    manifest = _laid_out(("sda1", 150 * MIB, 100 * MIB), ("/dev/vg0/data", 300 * MIB, 150 * MIB), ("md0", MIB, 0))
    volume, group = layout.draw(manifest)
    assert [(part.device, part.content, part.x, part.width, part.used_width) for part in volume.parts] == [
        ("sda1", "ext4", 100, 200, 100), ("sda5", "LVM2_member", 401, 599, 0),
    ]  # fmt: skip
    assert (volume.table, group.name, group.lies_on, group.size_bytes) == ("mbr", "vg0", ["sda5"], 500 * MIB)
    assert [(part.device, part.x, part.width, part.used_width) for part in group.parts] == [
        ("vg0/data", 0, 600, 300), ("vg0/pool", 600, 200, 0), ("vg0/thin", 800, 0, 0),
    ]  # fmt: skip
    assert [each.device for each in layout.elsewhere(manifest)] == ["md0"]
    assert list(layout.growable([volume, group])) == ["sda1", "lv:vg0/data", "lv:vg0/thin"]


def test_a_volume_without_a_table_is_one_part_and_tells_all_that_is_mounted() -> None:
    whole = template.VolumeLayout(
        target="sda", size_bytes=1000, sector_size_bytes=512, table="none", partitions=[], content="btrfs"
    )
    manifest = _manifest(1000, ("sda", 1000, 10)).model_copy(
        update={"layout": template.Layout(volumes=[whole], groups=[])}
    )
    assert manifest.guest is not None
    manifest.guest.file_systems[0] = manifest.guest.file_systems[0].model_copy(
        update={"mount_point": "/", "subvolumes": [template.Subvolume(path="@home", mount_point="/home")]}
    )
    (drawn,) = layout.draw(manifest)
    (part,) = drawn.parts
    assert (part.width, part.mount_points, drawn.table) == (1000, ["/", "/home"], None)

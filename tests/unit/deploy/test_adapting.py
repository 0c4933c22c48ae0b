"""A deploy that changes what is in its volumes before the first boot: with the appliance in memory, cut off, failing, cancelled."""

import dataclasses
from pathlib import Path

import pytest
from site_under_test import CLEAN, OWNER, SIZE

from estampe import errors
from estampe.deploy import adapting
from estampe.deploy import request as requests
from estampe.model import adjustment, extent, final, manifest, operation
from estampe.model import guest as guests
from estampe.model import layout as layouts
from estampe.store import manifests

LARGER = SIZE + (1 << 20)
STEPS = [
    "resolve", "adapt", "create volumes", "hydrate vda", "apply new", "configure", "define", "start", "confirm", "clean up"
]  # fmt: skip
USED = 8 * 65536


def with_layout(site, *, content="ext4", **facts):
    """The template's manifest as if an inspection had found one file system over the whole volume."""
    (template_id,) = site.store.list_manifests()
    system = guests.FileSystem(
        device="vda", kind=content, size_bytes=SIZE, used_bytes=USED, mount_point="/", uuid="u-1", label=None
    )
    guest = guests.Guest(**{
        "kind": "linux", "distribution": "debian", "version": "12.5", "product": "Debian", "hostname": "web",
        "root_device": "vda", "file_systems": (system,), "has_cloud_init": True, "has_guest_agent": False,
        "can_grow_root": False, "package_count": 1, **facts,
    })  # fmt: skip
    volume = layouts.VolumeLayout(
        target="vda",
        size_bytes=SIZE,
        sector_size_bytes=512,
        table=layouts.TableKind.NONE,
        partitions=(),
        content=content,
    )
    found = manifests.get(site.store, template_id)
    changed = dataclasses.replace(found, guest=guest, layout=layouts.Layout(volumes=(volume,), groups=()))
    site.store.delete_manifest(template_id)
    site.store.put_manifest(template_id, manifest.encode(changed))


@pytest.fixture
def stocked(site):
    """A site with the template web@1, whose one volume is an ext4 with the root of a system that grows nothing by itself."""
    site.add_server()
    site.succeed(site.capture())
    with_layout(site)
    site.steps.clear()
    return site


def deploy(site, **wishes):
    return site.deploy(**{"volume_sizes": {"vda": LARGER}, **wishes})


def volume(site, name, nth=0):
    return Path(site.host.get_domain(name).volumes[nth].chain[0].path).read_bytes()


def plan(site, **wishes):
    asked = requests.DeployRequest(**{"template": "web", "name": "new", "volume_sizes": {"vda": LARGER}, **wishes})
    return site.services.deployments.plan(OWNER, asked)


def nothing_new(site):
    return [found.name for found in site.host.list_domains()] == ["web"] and site.volumes() == {"web.raw"}


def test_what_was_adapted_is_in_the_volume_and_in_the_report(stocked):
    ended = stocked.succeed(deploy(stocked))
    (adaptation,) = stocked.adapter.adaptations
    assert adaptation.actions == (adjustment.GrowFileSystem(device="vda", kind="ext4"),)
    assert volume(stocked, "new") == stocked.volume_bytes("web.raw") + bytes(
        LARGER - SIZE - 16
    ) + b"made for vda" + bytes(4)
    report = stocked.services.servers.get(OWNER, "new").report
    assert [change.means for change in report if change.what == "vda"] == [final.Means.APPLIANCE]
    assert [change["what"] for change in ended.result["servers"][0]["report"]] == [change.what for change in report]
    assert stocked.steps == STEPS
    assert stocked.leftovers() == CLEAN


def test_one_launch_serves_all_servers_that_want_the_same(stocked):
    stocked.succeed(deploy(stocked, name="ci", count=3))
    assert len(stocked.adapter.adaptations) == 1
    assert [step for step in stocked.steps if step.startswith(("adapt", "apply"))] == [
        "adapt", "apply ci-1", "apply ci-2", "apply ci-3"
    ]  # fmt: skip
    assert len({volume(stocked, f"ci-{nth}") for nth in (1, 2, 3)}) == 1


def test_no_launch_where_a_first_boot_does_all(stocked):
    with_layout(stocked, can_grow_root=True)
    stocked.succeed(deploy(stocked))
    assert stocked.adapter.adaptations == []
    (change,) = [each for each in stocked.services.servers.get(OWNER, "new").report if each.what == "vda"]
    assert change.means is final.Means.FIRST_BOOT


def configured(adaptation):
    return [(each.server, each.wish.hostname) for each in adaptation.configurations]


def test_servers_that_read_no_seed_take_turns_in_one_launch(stocked):
    with_layout(stocked, has_cloud_init=False)
    stocked.succeed(deploy(stocked, name="ci", count=2))
    (adaptation,) = stocked.adapter.adaptations
    assert configured(adaptation) == [("ci-1", "ci-1"), ("ci-2", "ci-2")]
    assert [step for step in stocked.steps if step.startswith(("adapt", "apply"))] == [
        "adapt", "apply ci-1", "apply ci-2"
    ]  # fmt: skip
    for name, other in (("ci-1", "ci-2"), ("ci-2", "ci-1")):
        held = volume(stocked, name)
        assert b"own of " + name.encode() in held
        assert b"made for vda" in held
        assert b"own of " + other.encode() not in held
    report = stocked.services.servers.get(OWNER, "ci-2").report
    assert [(change.what, change.detail) for change in report if change.what == "host name"] == [("host name", "ci-2")]


@pytest.mark.parametrize("content", ["linux_raid_member", "isw_raid_member"])
def test_servers_with_an_array_have_a_launch_each(stocked, content):
    with_layout(stocked, content=content, has_cloud_init=False)
    stocked.succeed(stocked.deploy(name="ci", count=2))
    assert [configured(each) for each in stocked.adapter.adaptations] == [[("ci-1", "ci-1")], [("ci-2", "ci-2")]]
    assert [step for step in stocked.steps if step.startswith(("adapt", "apply"))] == [
        "adapt ci-1", "adapt ci-2", "apply ci-1", "apply ci-2"
    ]  # fmt: skip


def test_servers_that_get_uuids_of_their_own_have_a_launch_each_though_they_read_a_seed(stocked):
    stocked.succeed(deploy(stocked, name="ci", count=2, is_renewed=True, volume_sizes=None))
    assert stocked.adapter.adaptations == [adjustment.Adaptation(renewed="ci-1"), adjustment.Adaptation(renewed="ci-2")]
    assert [step for step in stocked.steps if step.startswith(("adapt", "apply"))] == [
        "adapt ci-1", "adapt ci-2", "apply ci-1", "apply ci-2"
    ]  # fmt: skip


def test_a_plan_tells_of_new_uuids_and_they_are_refused_where_nothing_is_known_of_who_names_them(stocked):
    told = plan(stocked, is_renewed=True).final_configuration
    assert [line for line in told if line.startswith("UUIDs: of file systems")] != []
    assert not any(line.startswith("UUIDs") for line in plan(stocked).final_configuration)
    with_layout(stocked, kind="freebsd", seed_reader="nuageinit")
    with pytest.raises(errors.GuestLacks, match=r"--renew-uuids.*freebsd"):
        plan(stocked, is_renewed=True, volume_sizes=None)


@pytest.mark.parametrize("event", ["begin", "inside", "end"])
@pytest.mark.parametrize("step", ["adapt", "apply new", "define"])
def test_a_kill_at_any_new_step_loses_nothing(stocked, step, event):
    started = deploy(stocked)
    stocked.kill_at(step, event)
    assert stocked.run() == 1
    assert stocked.outcome(started).state is operation.State.SUCCEEDED
    assert volume(stocked, "new").rstrip(b"\0").endswith(b"made for vda")
    report = stocked.services.servers.get(OWNER, "new").report
    assert len([change for change in report if change.what == "vda"]) == 1
    assert stocked.leftovers() == CLEAN


@pytest.mark.parametrize("step", ["adapt", "apply new"])
def test_a_cancel_before_any_new_step_undoes_everything(stocked, step):
    started = deploy(stocked)
    stocked.kill_at(step, "begin")
    assert stocked.engine.run_pending() is False
    stocked.engine = stocked.engine.relaunch()
    stocked._start_daemon()
    stocked.services.operations.cancel(OWNER, str(started.id))
    stocked.run()
    assert stocked.outcome(started).state is operation.State.CANCELLED
    assert nothing_new(stocked)
    assert stocked.leftovers() == CLEAN


@pytest.mark.parametrize("step", ["adapt", "apply new"])
def test_another_generation_undoes_what_was_adapted(stocked, step):
    started = deploy(stocked)
    stocked.kill_at(step, "end")
    assert stocked.engine.run_pending() is False
    for workflow in stocked.engine.records.values():
        workflow.generation = 0
    stocked.restart()
    stocked.run()
    assert stocked.outcome(started).error["code"] == "operation-outdated"
    assert nothing_new(stocked)
    assert stocked.leftovers() == CLEAN


def test_an_appliance_that_fails_fails_the_deploy_before_anything_is_made(stocked):
    stocked.adapter.failure = errors.ApplianceFailed(detail="the file system vda has errors")
    started = deploy(stocked, count=2)
    stocked.run()
    assert stocked.outcome(started).error["code"] == "appliance-failed"
    assert "create volumes" not in stocked.steps
    assert nothing_new(stocked)
    assert stocked.leftovers() == CLEAN


# --- the plan -----------------------------------------------------------------------------------------------------------


def test_a_plan_says_what_will_grow_and_by_which_means(stocked):
    assert "vda: ext4 grown from 1.25 MiB to 2.25 MiB (appliance)" in plan(stocked).final_configuration
    with_layout(stocked, can_grow_root=True)
    (told,) = [line for line in plan(stocked).final_configuration if line.startswith("vda")]
    assert told.endswith("(guest's first boot)")
    assert stocked.adapter.adaptations == []


def test_a_plan_warns_of_what_is_left_and_why(stocked):
    with_layout(stocked, content="zfs_member")
    (told,) = [line for line in plan(stocked).warnings if line.startswith("vda")]
    assert told == "vda: the added space is not used: nothing on it is known to be able to grow"
    (told,) = [line for line in plan(stocked, is_grown=False).warnings if line.startswith("vda")]
    assert told.endswith("nothing was to be grown")
    with pytest.raises(errors.CannotGrow, match="zfs_member"):
        plan(stocked, grown=("vda",))


def test_a_template_that_nobody_looked_into_grows_by_its_first_boot_or_not_at_all(site):
    site.add_server()
    site.succeed(site.capture())
    (told,) = [line for line in plan(site).warnings if line.startswith("vda")]
    assert "capture with sealing" in told
    with pytest.raises(errors.CannotGrow, match="capture with sealing"):
        plan(site, grown=("vda1",))
    with pytest.raises(errors.InvalidRequest, match="capture with sealing"):
        plan(site, left_out=("vda",), volume_sizes=None)


# --- volumes that are new, and such that are left out ---------------------------------------------------------------------


def test_a_new_volume_gets_the_next_target_and_its_name_as_serial_number(stocked):
    wish = requests.NewVolumeRequest(name="data", size_bytes=1 << 20, kind="ext4", mount_point="/srv")
    blank = requests.NewVolumeRequest(name="blank", size_bytes=1 << 20)
    stocked.succeed(stocked.deploy(new_volumes=(wish, blank)))
    (adaptation,) = stocked.adapter.adaptations
    assert adaptation.actions == (adjustment.MakeFileSystem(target="vdb", kind="ext4", mount_point="/srv"),)
    recorded = stocked.host.get_domain("new").configuration.volumes
    assert [(each.target, each.serial) for each in recorded if each.target in {"vda", "vdb", "vdc"}] == [
        ("vda", None), ("vdb", "data"), ("vdc", "blank")
    ]  # fmt: skip
    assert "hydrate vdb" not in stocked.steps


@pytest.mark.parametrize("wish", [{"kind": "ext4", "mount_point": "/srv"}, {"kind": "swap"}])
def test_a_volume_that_is_to_be_mounted_needs_a_guest_that_is_known_to_do_so(stocked, wish):
    with_layout(stocked, kind="windows")
    new = requests.NewVolumeRequest(name="data", size_bytes=1 << 20, **wish)
    with pytest.raises(errors.GuestLacks, match="windows"):
        plan(stocked, new_volumes=(new,))


def test_two_new_volumes_of_one_name_are_refused(stocked):
    new = requests.NewVolumeRequest(name="data", size_bytes=1 << 20)
    with pytest.raises(errors.InvalidRequest, match="same name"):
        plan(stocked, new_volumes=(new, new))


@pytest.mark.parametrize(
    ("target", "error", "said"),
    [("vda", errors.InvalidRequest, "root of the system"), ("vdz", errors.VolumeNotFound, "vda")],
)
def test_root_is_not_left_out_nor_what_is_not_there(stocked, target, error, said):
    with pytest.raises(error, match=said):
        plan(stocked, left_out=(target,), volume_sizes=None)


# --- smaller --------------------------------------------------------------------------------------------------------------


def test_a_smaller_volume_is_refused_with_the_least_size_and_how_it_could_be(stocked):
    with pytest.raises(errors.VolumeTooSmall, match=f"--shrink.*{SIZE} bytes"):
        plan(stocked, volume_sizes={"vda": SIZE - 4096})
    with pytest.raises(errors.VolumeTooSmall, match="uses 512 KiB"):
        plan(stocked, volume_sizes={"vda": SIZE - 4096}, is_shrunk=True)


def test_what_an_overlay_holds_beyond_the_volumes_end_is_not_applied():
    data, zero = extent.Kind.DATA, extent.Kind.ZERO
    changed = [extent.Extent(0, 5 << 20, data), extent.Extent(6 << 20, 4 << 20, zero), extent.Extent(12 << 20, 9, data)]
    assert list(adapting._pieces(iter(changed), end=7 << 20)) == [
        extent.Extent(0, 4 << 20, data), extent.Extent(4 << 20, 1 << 20, data), extent.Extent(6 << 20, 1 << 20, zero)
    ]  # fmt: skip


def test_a_guest_with_much_to_move_has_more_time():
    move = adjustment.Move(number=2, from_bytes=1, to_bytes=2, size_bytes=10 << 30, content="ext4")
    moving = adjustment.Repartition(target="vda", places=(), moves=(move,))
    quick, slow = (adapting.deadline_seconds((), adjustment.Adaptation(actions=each)) for each in ((), (moving,)))
    assert slow - quick == 2048

"""File systems that fill up: under the store, under all that the daemon keeps, and under a storage pool."""

from __future__ import annotations

import contextlib

import pytest
from tests.faults import bench as benches
from tests.faults import left, small
from tests.faults import site as sites

from estampe import errors

pytestmark = [pytest.mark.requires_libvirt, pytest.mark.requires_qemu, pytest.mark.requires_root]

ROOM_MIB = 60
DATA = {"size_mib": 160, "data_mib": 120}  # some 90 MiB stored


@contextlib.contextmanager
def working(daemons, **places):
    made = sites.Site(**places)
    try:
        yield benches.Bench(daemons, made)
    finally:
        daemons.end_all()
        made.close()


def no_space(bench, operation):
    ended = bench.life.wait(operation)
    assert (ended["state"], ended["error"]["code"]) == ("failed", "no-space"), ended
    assert "not_undone" not in ended["error"]["facts"], ended
    return ended


# "state": databases, working files and store on one file system.
@pytest.mark.parametrize(("kind", "what"), [("tmpfs", "store"), ("ext4", "state")])
def test_a_store_that_fills_ends_the_capture_and_with_room_made_the_same_capture_works(daemons, kind, what):
    with small.file_system(kind, 256) as mounted, working(daemons, **{what: mounted / what}) as bench:
        server = bench.here.add_server("full", sites.raw("full", **DATA), is_running=True)
        definition, bench.before = bench.here.definition(server), left.files(bench.here)
        ballast = small.Ballast(mounted)
        ballast.fill(but_mib=ROOM_MIB)
        capture = {"server": server.name, "is_sealed": False, "is_forced": True, "stop_timeout_seconds": 0.05}
        ended = no_space(bench, bench.life.ask("capture", **capture))
        assert str(bench.here.store) in ended["error"]["facts"]["where"]
        left.server_is_as_before(bench.here, server, definition=definition, power_state="running")
        bench.before["state"] = left.files(bench.here)["state"]  # the databases may have given up their reserve
        bench.nothing_is_left()
        left.store_is_sound(bench.here)
        ballast.remove()
        template = bench.template_is_whole(bench.run("capture", **capture), server)
        left.server_is_as_before(bench.here, server, definition=definition, power_state="running")
        bench.nothing_is_left()
        bench.forget_template(template)


@pytest.mark.parametrize("step", ["reserve", "copy", "store manifest", "publish"])
def test_a_disk_that_somebody_fills_before_a_step_leaves_a_whole_template_or_none(daemons, step):
    """To the last byte, with databases, working files and store on it."""
    with small.file_system("ext4", 192) as mounted, working(daemons, state=mounted / "state") as bench:
        server = bench.here.add_server("full", sites.raw("full"))
        definition, bench.before = bench.here.definition(server), left.files(bench.here)
        ballast = small.Ballast(mounted)
        bench.life.arm(step, "begin", "hold")
        operation = bench.life.ask("capture", server=server.name, is_sealed=False)
        assert sites.eventually(lambda: [operation, step, "begin"] in bench.life.ask("trace"), timeout_seconds=60)
        ballast.fill()
        bench.life.ask("release")
        ended = bench.life.wait(operation)
        ballast.remove()
        bench.life.quit()
        bench.restart()  # which takes the databases' reserve again
        left.server_is_as_before(bench.here, server, definition=definition, power_state="shut off")
        if ended["state"] == "succeeded":
            bench.forget_template(bench.template_is_whole(ended, server))
        else:
            assert ended["error"]["code"] in {"no-space", "database-unavailable"}, ended
            bench.store_sweeps_clean()
        bench.nothing_is_left()


def test_a_pool_that_is_too_small_is_told_before_anything_is_made(daemons):
    with small.file_system("tmpfs", 64) as mounted, working(daemons, pool=mounted) as bench:
        template = captured(bench)
        with pytest.raises(errors.NoSpace, match=bench.here.token):
            bench.life.ask("deploy", template=template, name=f"{bench.here.token}-print")
        bench.nothing_is_left()


@pytest.mark.parametrize(("step", "volume_format"), [("create volumes", "raw"), ("hydrate vda", "qcow2")])
def test_a_pool_that_somebody_fills_meanwhile_ends_the_deploy_and_with_room_made_it_works(daemons, volume_format, step):
    with small.file_system("tmpfs", 192) as mounted, working(daemons, pool=mounted) as bench:
        template = captured(bench)
        ballast, name = small.Ballast(mounted), f"{bench.here.token}-print"
        deploy = {"template": template, "name": name, "volume_format": volume_format, "is_started": False}
        bench.life.arm(step, "begin", "hold")
        operation = bench.life.ask("deploy", **deploy)
        assert sites.eventually(lambda: [operation, step, "begin"] in bench.life.ask("trace"), timeout_seconds=60)
        ballast.fill(but_mib=40)
        bench.life.ask("release")
        no_space(bench, operation)
        ballast.remove()
        bench.nothing_is_left()
        assert bench.run("deploy", **deploy)["state"] == "succeeded"
        bench.delete_server(name)
        bench.nothing_is_left()


def captured(bench):
    server = bench.here.add_server("full", sites.raw("full", **DATA))
    bench.before = left.files(bench.here)
    return bench.template_is_whole(bench.run("capture", server=server.name, is_sealed=False), server)

"""kill -9 of the daemon at every named step of capture and deploy, of their undoing, and at random times during copies.

Which steps there are is what an undisturbed run is seen to do, so that a new step cannot escape.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import shutil
import subprocess
import time

import pytest
from tests.faults import bench as benches
from tests.faults import left, lives
from tests.faults import site as sites

pytestmark = [pytest.mark.requires_libvirt, pytest.mark.requires_qemu, pytest.mark.requires_root]

EVENTS = ("begin", "end")
# What the tests below sum up to, at the least: 22 + 22 + 8 + 8.
LEAST_CASES = 22  # of each kind of operation
RANDOM_KILLS = 8  # of each kind of operation
KILLS_OF_ONE = 4  # of one operation, at most
SEED = 20240229


class Captures:
    """Captures of a server that runs, so that stopping it and giving its power back is real, and of one that is off."""

    def __init__(self, bench):
        self.bench, here = bench, bench.here
        self.off = here.add_server("off", sites.raw("off-a"), sites.qcow2("off-b"), is_uefi=True)
        self.on = here.add_server("on", sites.qcow2("on-a"), sites.device("on-b"), is_running=True)
        self.definitions = {server.name: here.definition(server) for server in (self.off, self.on)}
        bench.before = left.files(here)
        ended = bench.run("capture", **self.request(self.on))
        self.steps = bench.steps(ended["id"])
        self.judge(ended, self.on)
        self.undo_steps = dict(self._find_undo_steps())

    def request(self, server):
        # It has no operating system that would shut down: its power is cut.
        return {"server": server.name, "is_forced": True, "stop_timeout_seconds": 0.05, "is_sealed": False}

    def server_for(self, step):
        """The running one wherever its power is at stake: under emulation its stop and start take seconds."""
        first, last = self.steps.index("stop"), self.steps.index("restore power")
        return self.on if first <= self.steps.index(step) <= last else self.off

    def _find_undo_steps(self):
        """(undo step, the last step whose cancel leads to it)."""
        for step in self.steps:
            server = self.server_for(step)
            self.bench.life.arm(step, "begin", "cancel")
            ended = self.bench.run("capture", **self.request(server))
            if ended["state"] == "succeeded":  # past its point of no return
                self.judge(ended, server)
                continue
            for undo_step in self.bench.steps(ended["id"]):
                if undo_step.startswith("undo "):
                    yield undo_step, step
            self.judge_undone(ended, server)

    def judge(self, ended, server):
        template = self.bench.template_is_whole(ended, server)
        self._judge_server(server)
        self.bench.nothing_is_left()
        self.bench.forget_template(template)

    def judge_undone(self, ended, server):
        assert ended["state"] == "cancelled", ended
        assert "not_undone" not in ended["error"]["facts"], ended
        self._judge_server(server)
        self.bench.nothing_is_left()
        self.bench.store_sweeps_clean()

    def _judge_server(self, server):
        power_state = "running" if server is self.on else "shut off"
        definition = self.definitions[server.name]
        left.server_is_as_before(self.bench.here, server, definition=definition, power_state=power_state)


class Deploys:
    """Deploys of a template of two volumes and NVRAM."""

    def __init__(self, bench):
        self.bench, here = bench, bench.here
        self._numbers = itertools.count()
        self.source = here.add_server("engraved", sites.raw("a"), sites.qcow2("b"), is_uefi=True)
        bench.before = left.files(here)
        captured = bench.run("capture", server=self.source.name, is_sealed=False)
        self.template = bench.template_is_whole(captured, self.source)
        name = self.new_name()
        ended = bench.run("deploy", **self.request(name))
        self.steps = bench.steps(ended["id"])
        self.judge(ended, name)
        self.undo_steps = dict(self._find_undo_steps())

    def new_name(self):
        return f"{self.bench.here.token}-print-{next(self._numbers)}"

    def request(self, name, *, step=None):
        """Started where the steps from `step` on may have to do with a domain: under emulation a start takes a second."""
        is_started = step is None or self.steps.index(step) >= self.steps.index("start")
        return {"template": self.template, "name": name, "is_started": is_started}

    def _find_undo_steps(self):
        for step in self.steps:
            self.bench.life.arm(step, "begin", "cancel")
            name = self.new_name()
            ended = self.bench.run("deploy", **self.request(name, step=step))
            if ended["state"] == "succeeded":  # past its point of no return
                self.judge(ended, name)
                continue
            for undo_step in self.bench.steps(ended["id"]):
                if undo_step.startswith("undo "):
                    yield undo_step, step
            self.judge_undone(ended, name)

    def judge(self, ended, name):
        self.bench.server_is_deployed(ended, name, self.source)
        self.bench.delete_server(name)
        self.bench.nothing_is_left()
        self._template_stays()

    def judge_undone(self, ended, name):
        assert ended["state"] == "cancelled", ended
        assert "not_undone" not in ended["error"]["facts"], ended
        assert name not in self.bench.life.ask("servers")
        self.bench.nothing_is_left()
        self._template_stays()

    def _template_stays(self):
        assert self.bench.life.ask("templates") == {self.template: "active"}
        left.store_is_sound(self.bench.here)


@pytest.fixture
def captures(daemons, site):
    return Captures(benches.Bench(daemons, site))


@pytest.fixture
def deploys(daemons, site):
    return Deploys(benches.Bench(daemons, site))


@pytest.fixture
def site(daemons, appliance_cache):
    made = sites.Site(appliance=appliance_cache)
    yield made
    daemons.end_all()
    made.close()


def test_a_capture_killed_at_each_of_its_steps_and_undo_steps(captures, kills):
    bench = captures.bench
    steps = list(itertools.product(captures.steps, EVENTS))
    undo_steps = list(itertools.product(captures.undo_steps.items(), EVENTS))
    assert len(steps) + len(undo_steps) >= LEAST_CASES
    for step, event in steps:
        server = captures.server_for(step)
        with bench.case(kills, "capture", f"{step}, {event}"):
            ended = bench.run_killed([(step, event, "kill")], "capture", **captures.request(server))
            captures.judge(ended, server)
    for (step, cancelled_at), event in undo_steps:
        server = captures.server_for(cancelled_at)
        with bench.case(kills, "capture, cancelled", f"{step}, {event}"):
            arms = [(cancelled_at, "begin", "cancel"), (step, event, "kill")]
            ended = bench.run_killed(arms, "capture", **captures.request(server))
            captures.judge_undone(ended, server)


def test_a_deploy_killed_at_each_of_its_steps_and_undo_steps(deploys, kills):
    bench = deploys.bench
    steps = list(itertools.product(deploys.steps, EVENTS))
    undo_steps = list(itertools.product(deploys.undo_steps.items(), EVENTS))
    assert len(steps) + len(undo_steps) >= LEAST_CASES
    for step, event in steps:
        name = deploys.new_name()
        with bench.case(kills, "deploy", f"{step}, {event}"):
            ended = bench.run_killed([(step, event, "kill")], "deploy", **deploys.request(name, step=step))
            deploys.judge(ended, name)
    for (step, cancelled_at), event in undo_steps:
        name = deploys.new_name()
        with bench.case(kills, "deploy, cancelled", f"{step}, {event}"):
            arms = [(cancelled_at, "begin", "cancel"), (step, event, "kill")]
            ended = bench.run_killed(arms, "deploy", **deploys.request(name, step=cancelled_at))
            deploys.judge_undone(ended, name)


# --- random times -------------------------------------------------------------------------------------------------------


class Copying:
    """Operations that copy for half a second or more, killed from outside whenever the dice say."""

    def __init__(self, bench, kills, seed):
        self.bench, self._kills, self._random = bench, kills, random.Random(seed)
        self._copy_seconds = 0.0

    def run_undisturbed(self, do, phase, **request):
        """The operation; how long it copies is how late the others are killed. A kill may come behind a copy's end, too."""
        operation = self.bench.life.ask(do, **request)
        self.bench.life.wait_for_phase(operation, phase)
        copies_since = time.monotonic()
        ended = self.bench.life.wait(operation)
        self._copy_seconds = time.monotonic() - copies_since
        return ended

    def run(self, do, phase, **request):
        """The operation, killed again and again, and at last let go on to its end."""
        operation = self.bench.life.ask(do, **request)
        self.bench.life.wait_for_phase(operation, phase)
        times = []
        for _ in range(KILLS_OF_ONE):
            times.append(self._random.uniform(0, self._copy_seconds))
            time.sleep(times[-1])
            if self.bench.life.ask("wait", id=operation, timeout_seconds=0)["has_ended"]:
                times.pop()
                break
            self.bench.life.kill()
            left.nothing_runs(self.bench.here)
            self.bench.restart()
        ended = self.bench.see_end()
        for after in times:
            where = f"{after:.2f} s after it began to copy, or went on"
            self._kills.add(do, where, ended["state"], self.bench.recovery_seconds)
        return ended, len(times)


def test_captures_killed_at_random_times_while_they_copy(daemons, site, kills):
    bench = benches.Bench(daemons, site)
    server = site.add_server(
        "large", sites.raw("large", size_mib=600, data_mib=192), sites.device("device", size_mib=96, data_mib=48),
        sites.qcow2("compressed", is_compressed=True, size_mib=64, data_mib=24),
    )  # fmt: skip
    definition = site.definition(server)
    bench.before = left.files(site)
    copying, killed = Copying(bench, kills, SEED), 0
    request = {"server": server.name, "is_sealed": False}

    def judge(ended):
        template = bench.template_is_whole(ended, server)
        left.server_is_as_before(site, server, definition=definition, power_state="shut off")
        bench.nothing_is_left()
        bench.forget_template(template)

    judge(copying.run_undisturbed("capture", "copying", **request))
    while killed < RANDOM_KILLS:
        ended, times = copying.run("capture", "copying", **request)
        killed += times
        judge(ended)


def test_deploys_killed_at_random_times_while_they_hydrate(daemons, site, kills):
    bench = benches.Bench(daemons, site)
    server = site.add_server("large", sites.raw("large", size_mib=600, data_mib=256))
    bench.before = left.files(site)
    template = bench.template_is_whole(bench.run("capture", server=server.name, is_sealed=False), server)
    copying, killed = Copying(bench, kills, SEED + 1), 0
    names = (f"{site.token}-print-{nth}" for nth in itertools.count())
    formats = itertools.cycle(("raw", "qcow2"))

    def request():
        return {"template": template, "name": next(names), "is_started": False, "volume_format": next(formats)}

    def judge(ended, name):
        bench.server_is_deployed(ended, name, server)
        bench.delete_server(name)
        bench.nothing_is_left()

    asked = request()
    judge(copying.run_undisturbed("deploy", "restoring", **asked), asked["name"])
    while killed < RANDOM_KILLS:
        asked = request()
        ended, times = copying.run("deploy", "restoring", **asked)
        killed += times
        judge(ended, asked["name"])


# --- guests --------------------------------------------------------------------------------------------------------------


@pytest.mark.requires_guest
def test_a_capture_killed_while_its_guest_shuts_down_and_when_it_starts_again(daemons, site, kills):
    bench = benches.Bench(daemons, site)
    server = site.add_server("guest", sites.mini, is_running=True, memory_mib=192)
    definition = site.definition(server)
    bench.before = left.files(site)
    assert sites.eventually(lambda: site.agent_answers(server), timeout_seconds=240)
    with bench.case(kills, "capture of a guest", "while it shuts down", "restore power, begin"):
        operation = bench.life.ask("capture", server=server.name, is_sealed=False, stop_timeout_seconds=120)
        bench.life.wait_for_phase(operation, "shutting down")
        bench.life.kill()
        bench.restart(("restore power", "begin", "kill"))
        bench.life.await_death()
        assert site.power_state(server) == "shut off"
        bench.restart()
        bench.template_is_whole(bench.see_end(), server)
        left.server_is_as_before(site, server, definition=definition, power_state="running")
        bench.nothing_is_left()


@pytest.mark.requires_appliance
def test_a_capture_killed_before_while_and_after_its_copy_is_sealed(daemons, site, kills):
    bench = benches.Bench(daemons, site)
    server = site.add_server("debian", sites.debian)
    definition = site.definition(server)
    bench.before = left.files(site)
    places = ("finish, begin, and /run emptied as by a power cut", "while the appliance runs", "finish, end")
    with bench.case(kills, "capture, sealed", *places):
        bench.life.arm("finish", "begin", "kill")
        bench.life.ask("capture", server=server.name)
        bench.life.await_death()
        shutil.rmtree(site.run_directory)
        bench.restart()
        assert sites.eventually(lambda: left.appliance_sockets(site), timeout_seconds=240)
        sockets = left.appliance_sockets(site)
        time.sleep(random.Random(SEED).uniform(0, 3))
        bench.life.kill()
        left.nothing_runs(site)
        bench.restart(("finish", "end", "kill"))
        bench.life.await_death()
        bench.restart()
        ended = bench.see_end()
        _is_sealed_template(site, ended)
        left.store_is_sound(site)
        left.server_is_as_before(site, server, definition=definition, power_state="shut off")
        bench.nothing_is_left()
    for directory in sockets:  # where libguestfs puts its sockets: what nobody but a clean end of the appliance removes
        shutil.rmtree(directory, ignore_errors=True)


@pytest.mark.every_guest
@pytest.mark.requires_appliance
@pytest.mark.timeout(1800)  # the capture's launch, one that is killed, and one to the end
def test_a_deploy_killed_before_while_and_after_its_volumes_are_adapted(daemons, site, kills):
    bench = benches.Bench(daemons, site)
    server = site.add_server("debian", sites.debian)
    bench.before = left.files(site)
    template = bench.run("capture", server=server.name)["result"]["template_id"]
    name = f"{site.token}-print"
    adapt, apply = "adapt", f"apply {name}"
    size_bytes = 96 * sites.MIB
    places = ("adapt, begin, and /run emptied as by a power cut", "while the appliance runs", "adapt, end")
    with bench.case(kills, "deploy, adapted", *places, "apply, begin", "apply, end"):
        bench.life.arm(adapt, "begin", "kill")
        request = {"template": template, "name": name, "is_started": False, "volume_sizes": {"vda": size_bytes}}
        with contextlib.suppress(lives.Killed):
            bench.life.ask("deploy", **request)
        bench.life.await_death()
        shutil.rmtree(site.run_directory)
        bench.restart()
        assert sites.eventually(lambda: left.appliance_sockets(site), timeout_seconds=240)
        sockets = left.appliance_sockets(site)
        time.sleep(random.Random(SEED + 2).uniform(0, 3))
        bench.life.kill()
        left.nothing_runs(site)
        for step, event in ((adapt, "end"), (apply, "begin"), (apply, "end")):
            with contextlib.suppress(lives.Killed):
                bench.restart((step, event, "kill"))
            bench.life.await_death()
        bench.restart()
        ended = bench.see_end()
        assert ended["state"] == "succeeded", ended
        (path,) = [path for path in site.pool.iterdir() if path.name.startswith(name)]
        _is_grown(path, size_bytes)
        assert sites.guest_file(path, "/etc/hostname").strip() == name
        bench.delete_server(name)
        bench.nothing_is_left()
    for directory in sockets:
        shutil.rmtree(directory, ignore_errors=True)


def _is_grown(path, size_bytes):
    """The file system on the volume is whole, and as large as the volume."""
    subprocess.run(["e2fsck", "-fn", path], check=True, capture_output=True, timeout=60)
    told = subprocess.run(["dumpe2fs", "-h", path], check=True, capture_output=True, text=True, timeout=60).stdout
    facts = dict(line.split(":", 1) for line in told.splitlines() if ":" in line)
    assert int(facts["Block count"]) * int(facts["Block size"]) == size_bytes


def _is_sealed_template(site, ended):
    """Its guest is the source's, without what would identify it."""
    assert ended["state"] == "succeeded", ended
    assert ended["result"]["is_sealed"], ended
    restored = site.directory / "restored.raw"
    restored.write_bytes(b"".join(left.volume_pieces(site, ended["result"]["template_id"], 0)))
    assert sites.guest_file(restored, "/etc/hostname") == "engraved\n"
    assert sites.guest_file(restored, "/etc/machine-id") != sites.guest_file(
        site.sources / "debian-0.raw", "/etc/machine-id"
    )

import pytest

from estampe import errors
from estampe.model import power as power_states
from estampe.virt import base, fake, power


class Clock:
    """Time that passes only where somebody waits."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.at: dict[float, object] = {}

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


@pytest.fixture
def host(tmp_path):
    made = fake.FakeHost(tmp_path)
    yield made
    made.close()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def server(host):
    uuid = host.add_server("web")
    host.start(uuid)
    return uuid


def shut_down(
    host: base.Host, uuid: str, clock: Clock, *, timeout=60.0, is_forced=False, check_cancelled=lambda: None
) -> power.Ending:
    return power.shut_down(
        host, uuid, timeout_seconds=timeout, is_forced=is_forced, clock=clock, wait=clock.wait,
        check_cancelled=check_cancelled,
    )  # fmt: skip


def test_a_server_with_an_agent_is_asked_through_it_once(host, server, clock):
    host.guest(server).polls_until_off = 10
    assert shut_down(host, server, clock) is power.Ending.CLEAN
    assert host.power_state(server) is power_states.PowerState.SHUT_OFF
    assert host.guest(server).requests == ["agent"]
    assert clock.now - 1000 == pytest.approx(10 * power.POLL_SECONDS, abs=1)


def test_a_server_without_an_agent_is_asked_by_acpi_at_once(host, server, clock):
    host.guest(server).has_agent = False
    assert shut_down(host, server, clock) is power.Ending.CLEAN
    assert host.guest(server).requests == ["acpi"]
    assert clock.now - 1000 <= 2 * power.POLL_SECONDS


def test_acpi_follows_an_agent_that_did_nothing(host, server, clock):
    host.guest(server).obeys = frozenset({"acpi"})
    assert shut_down(host, server, clock) is power.Ending.CLEAN
    assert host.guest(server).requests == ["agent", "acpi"]
    assert 10 <= clock.now - 1000 < 12


def test_the_button_is_pressed_again_for_a_guest_in_early_boot(host, server, clock):
    guest = host.guest(server)
    guest.has_agent, guest.missed_requests = False, 2
    assert shut_down(host, server, clock) is power.Ending.CLEAN
    assert guest.requests == ["acpi"] * 3
    assert 30 <= clock.now - 1000 < 32


def test_a_server_that_does_not_obey_is_left_running_and_told(host, server, clock):
    host.guest(server).obeys = frozenset()
    with pytest.raises(errors.ShutdownTimeout, match="60 s"):
        shut_down(host, server, clock)
    assert host.power_state(server) is power_states.PowerState.RUNNING
    assert clock.now - 1000 == pytest.approx(60)
    assert ("power_off", server) not in host.calls


def test_force_cuts_the_power_after_the_deadline(host, server, clock):
    host.guest(server).obeys = frozenset()
    assert shut_down(host, server, clock, is_forced=True) is power.Ending.FORCED
    assert host.power_state(server) is power_states.PowerState.SHUT_OFF
    assert clock.now - 1000 == pytest.approx(60)


def test_force_does_not_cut_a_server_that_obeys(host, server, clock):
    assert shut_down(host, server, clock, is_forced=True) is power.Ending.CLEAN
    assert ("power_off", server) not in host.calls


def test_a_server_that_is_off_stays_so(host, clock):
    assert shut_down(host, host.add_server("off"), clock) is power.Ending.WAS_OFF
    assert clock.now == 1000


def test_a_paused_server_cannot_obey(host, server, clock):
    host.pause(server)
    with pytest.raises(errors.ServerStateForbids, match="virsh resume web"):
        shut_down(host, server, clock)
    assert host.power_state(server) is power_states.PowerState.PAUSED
    assert shut_down(host, server, clock, is_forced=True) is power.Ending.FORCED
    assert clock.now == 1000


def test_a_saved_state_is_refused_without_force(host, clock):
    uuid = host.add_server("saved")
    host.set_state(uuid, has_saved_state=True)
    with pytest.raises(errors.ServerStateForbids, match="managedsave-remove saved"):
        shut_down(host, uuid, clock)
    assert shut_down(host, uuid, clock, is_forced=True) is power.Ending.WAS_OFF


def test_cancelling_ends_the_waiting_at_the_next_poll(host, server, clock):
    host.guest(server).obeys = frozenset()

    def check_cancelled() -> None:
        if clock.now >= 1005:
            raise errors.Cancelled

    with pytest.raises(errors.Cancelled):
        shut_down(host, server, clock, check_cancelled=check_cancelled)
    assert clock.now == pytest.approx(1005)
    assert host.power_state(server) is power_states.PowerState.RUNNING


def test_an_unknown_server_is_told(host, clock):
    with pytest.raises(errors.ServerNotFound):
        shut_down(host, "11111111-2222-4333-8444-555555555555", clock)

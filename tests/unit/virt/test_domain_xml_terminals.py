import pytest

from estampe import errors
from estampe.model import terminal
from estampe.virt import domain_xml

SCREEN, SERIAL = terminal.Kind


def domain(devices: str) -> str:
    return f"<domain><name>web</name><devices>{devices}</devices></domain>"


def test_the_vnc_display_is_found_among_others():
    vnc, spice = "<graphics type='vnc'/>", "<graphics type='spice'/>"
    assert domain_xml.screen_index(domain(spice + vnc)) == 1
    assert domain_xml.screen_index(domain(vnc + spice)) == 0


@pytest.mark.parametrize(
    ("devices", "has"),
    [("", "no graphics device at all"), ("<graphics type='spice'/><graphics type='egl-headless'/>", "only spice, egl-headless")],
)  # fmt: skip
def test_a_server_whose_screen_is_not_vnc_says_what_it_has_and_what_to_do(devices, has):
    with pytest.raises(errors.NoScreen, match=f"'web'.*{has}.*listen type='none'"):
        domain_xml.check_terminal(domain(devices), SCREEN)


@pytest.mark.parametrize(
    "devices",
    ["<serial type='pty'/>", "<serial type='tcp'/><console type='pty'/>", "<console/>", "<console type='pty'/><console type='tcp'/>"],
)  # fmt: skip
def test_a_pseudo_terminal_can_be_opened(devices):
    domain_xml.check_terminal(domain(devices), SERIAL)


@pytest.mark.parametrize(
    ("devices", "has"), [("", "no serial port"), ("<serial type='tcp'/><serial type='pty'/>", r"elsewhere \(tcp\)")]
)
def test_a_serial_port_that_goes_elsewhere_cannot(devices, has):
    with pytest.raises(errors.NoSerialConsole, match=has):
        domain_xml.check_terminal(domain(devices), SERIAL)

"""The answer file of a generalised Windows image."""

# ruff: noqa: S106, S314 - no secrets of anybody; XML of our own

import base64
import xml.etree.ElementTree as ET

from tests.unit.guest.configuring.wishes import BY_DHCP, MAC1, STATIC, outcomes, wish

from estampe.guest import configuring, memory
from estampe.guest.configuring import unattend, windows_zones
from estampe.model import final

HIVE = "/Windows/System32/config/SOFTWARE"
STATE = r"Microsoft\Windows\CurrentVersion\Setup\State\ImageState"
FILES = {HIVE: "regf", "/Windows/System32/ntoskrnl.exe": "MZ", "/Windows/panther/UNATTEND/unattend.xml": "<old/>"}


def windows(state="IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE"):
    return memory.MemoryAppliance(FILES, registry={HIVE: {STATE: state}})


NAMESPACE = {"u": "urn:schemas-microsoft-com:unattend"}


def component(root, name, phase):
    found = root.find(f"u:settings[@pass='{phase}']/u:component[@name='Microsoft-Windows-{name}']", NAMESPACE)
    assert found is not None, name
    return found


def text(element, path):
    return [each.text for each in element.iterfind("/".join(f"u:{part}" for part in path.split("/")), NAMESPACE)]


def test_the_answer_file_takes_the_place_of_the_old_one_whatever_its_case():
    appliance = windows()
    changes = configuring.configure(appliance, wish(interfaces=(BY_DHCP,)))
    assert appliance.files("/Windows/panther") == ["/Windows/panther/UNATTEND/Unattend.xml"]
    assert set(outcomes(changes).values()) == {final.Outcome.DONE}


def test_the_answer_file_says_all_that_was_asked():
    asked = wish(
        interfaces=(STATIC,), timezone="Europe/Paris", commands=("cmd /c ver", "net start w32time"),
        admin_password="Pa$$w0rd <&>", search=("example.org",),
    )  # fmt: skip
    root = ET.fromstring(unattend.build(asked).encode())
    shell = component(root, "Shell-Setup", "specialize")
    assert text(shell, "ComputerName") == ["web-02"]
    assert text(shell, "TimeZone") == ["Romance Standard Time"]
    network = component(root, "TCPIP", "specialize")
    assert text(network, "Interfaces/Interface/Identifier") == [MAC1.upper().replace(":", "-")]
    assert text(network, "Interfaces/Interface/Ipv4Settings/DhcpEnabled") == ["false"]
    assert text(network, "Interfaces/Interface/UnicastIpAddresses/IpAddress") == [
        "192.0.2.10/24", "192.0.2.11/24", "2001:db8::10/64",
    ]  # fmt: skip
    assert text(network, "Interfaces/Interface/Routes/Route/Prefix") == [
        "0.0.0.0/0", "198.51.100.0/24", "::/0", "2001:db8:5::/48",
    ]  # fmt: skip
    dns = component(root, "DNS-Client", "specialize")
    assert text(dns, "Interfaces/Interface/DNSServerSearchOrder/IpAddress") == ["192.0.2.53", "2001:db8::53"]
    assert text(dns, "DNSSuffixSearchOrder/DomainName") == ["example.org"]
    oobe = component(root, "Shell-Setup", "oobeSystem")
    assert text(oobe, "FirstLogonCommands/SynchronousCommand/CommandLine") == ["cmd /c ver", "net start w32time"]
    (value,) = text(oobe, "UserAccounts/AdministratorPassword/Value")
    assert base64.b64decode(value).decode("utf-16-le") == "Pa$$w0rd <&>AdministratorPassword"


def test_dhcp_alone_needs_no_word_on_addresses():
    root = ET.fromstring(unattend.build(wish(interfaces=(BY_DHCP,))).encode())
    assert root.find(".//u:component[@name='Microsoft-Windows-TCPIP']", NAMESPACE) is None


def test_what_an_answer_file_cannot_say_is_told():
    asked = wish(
        hostname="a-very-long-server-name", timezone="Europe/Atlantis", users=(final.User(name="bob"),),
        ssh_keys=("ssh-ed25519 AAAA",), password_hash="$6$x$y", user_data="#ps1",
    )  # fmt: skip
    appliance = windows()
    changes = configuring.configure(appliance, asked)
    left = {change.what for change in changes if change.outcome is final.Outcome.LEFT}
    assert left == {"whole host name", "time zone", "SSH keys", "users", "password hash", "user data"}
    assert unattend.computer_name(asked) == "a-very-long-ser"


def test_windows_that_is_not_generalised_is_left_and_told():
    appliance = windows("IMAGE_STATE_COMPLETE")
    changes = configuring.configure(appliance, wish(interfaces=(BY_DHCP,), admin_password="x"))
    assert outcomes(changes) == dict.fromkeys(
        ["host name", f"network of {MAC1}", "administrator's password"], final.Outcome.LEFT
    )
    assert "sysprep" in (changes[0].why or "")
    assert appliance.read("/Windows/panther/UNATTEND/unattend.xml") == "<old/>"


def test_zones_have_windows_names():
    assert windows_zones.find("Asia/Tokyo") == "Tokyo Standard Time"
    assert windows_zones.find("America/New_York") == "Eastern Standard Time"
    assert windows_zones.find("Mars/Olympus") is None

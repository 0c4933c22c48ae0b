"""Each way to configure a network, judged by the guest's own tools where this host has them."""

import configparser
import json
import re
import subprocess

import pytest
import yaml
from tests.unit.guest.configuring.wishes import BOTH_DHCP, BY_DHCP, MAC1, MAC2, ONLY_IPV6, STATIC, UDEV, guest, wish

from estampe.guest.configuring import ifcfg, ifupdown, netplan, network, network_manager, networkd, wicked
from estampe.model import final

SEARCH = ("example.org", "example.net")
DEBIAN = {
    **UDEV,
    "/sbin/ifup": "elf",
    "/etc/network/interfaces": "source /etc/network/interfaces.d/*\nauto lo\niface lo inet loopback\n",
    "/etc/network/interfaces.d/ens3": "auto ens3\niface ens3 inet static\n address 192.0.2.5/24\n",
    "/etc/resolv.conf": "nameserver 192.0.2.2\n",
}
INTERFACES = "/etc/network/interfaces"
RULES = "/etc/udev/rules.d/70-estampe-net.rules"


# --- ifupdown ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def ifquery(tmp_path):
    def ask(appliance, *arguments):
        file = tmp_path / "interfaces"
        file.write_text(appliance.read(INTERFACES))
        argv = ["ifquery", "--interfaces", file, *arguments]
        return subprocess.run(argv, check=True, capture_output=True, text=True, timeout=30).stdout

    return ask


def test_ifupdown_is_written_as_its_own_parser_reads_it(ifquery):
    appliance = guest(DEBIAN)
    replaced = ifupdown.replace(appliance, [STATIC, BOTH_DHCP], SEARCH)
    assert replaced.removed == (INTERFACES, "/etc/network/interfaces.d/ens3")
    assert ifquery(appliance, "--list").split() == ["lo", "net0", "net1"]
    told = ifquery(appliance, "net0")
    for line in (
        "address: 192.0.2.10", "netmask: 255.255.255.0", "gateway: 192.0.2.1", "up: ip addr add 192.0.2.11/24 dev net0",
        "up: ip route add 198.51.100.0/24 via 192.0.2.254 dev net0", "address: 2001:db8::10", "gateway: 2001:db8::1",
        "up: ip -6 route add 2001:db8:5::/48 via 2001:db8::fe dev net0", "dns-nameservers: 192.0.2.53 2001:db8::53",
        "dns-search: example.org example.net",
    ):  # fmt: skip
        assert line in told
    assert "iface net1 inet dhcp" in appliance.read(INTERFACES)
    assert "iface net1 inet6 dhcp" in appliance.read(INTERFACES)


def test_ifupdown_names_interfaces_by_their_mac_address():
    appliance = guest(DEBIAN)
    ifupdown.replace(appliance, [BY_DHCP, ONLY_IPV6], ())
    rules = re.findall(r'ATTR\{address\}=="([^"]+)".* NAME="([^"]+)"', appliance.read(RULES))
    assert rules == [(MAC1, "net0"), (MAC2, "net1")]
    assert "ens3" not in appliance.read(INTERFACES)


def test_without_udev_the_kernels_names_are_used_in_order():
    appliance = guest({"/etc/network/interfaces": "", "/sbin/ifup": "busybox"})
    ifupdown.replace(appliance, [BY_DHCP, ONLY_IPV6], ())
    assert "iface eth0 inet dhcp\n" in appliance.read(INTERFACES)
    assert "iface eth1 inet6 static\n" in appliance.read(INTERFACES)
    assert not appliance.exists(RULES)


def test_resolv_conf_is_written_where_nothing_else_writes_it():
    appliance = guest(DEBIAN)
    ifupdown.replace(appliance, [STATIC], SEARCH)
    assert "search example.org example.net\nnameserver 192.0.2.53\n" in appliance.read("/etc/resolv.conf")
    linked = guest({**DEBIAN, "/run/resolv.conf": "stub"}, links={"/etc/resolv.conf": "/run/resolv.conf"})
    ifupdown.replace(linked, [STATIC], SEARCH)
    assert linked.read("/run/resolv.conf") == "stub"


@pytest.mark.parametrize(
    "stanza",
    [
        "iface br0 inet dhcp\n bridge_ports ens3\n",
        "iface bond0 inet dhcp\n bond-slaves ens3 ens4\n",
        "iface ens3.7 inet dhcp\n",
        "iface v inet dhcp\n vlan-raw-device ens3\n",
    ],
)
def test_ifupdown_knows_devices_made_of_others(stanza):
    assert ifupdown.virtual_device(guest({INTERFACES: stanza})) == INTERFACES
    assert ifupdown.virtual_device(guest(DEBIAN)) is None


# --- systemd-networkd ----------------------------------------------------------------------------------------------------


def test_networkd_gets_a_file_for_each_mac_address():
    appliance = guest({"/etc/systemd/network/10-ens3.network": "[Match]\nName=ens3\n[Network]\nAddress=192.0.2.5/24\n"})
    replaced = networkd.replace(appliance, [STATIC, ONLY_IPV6], SEARCH)
    assert replaced.removed == ("/etc/systemd/network/10-ens3.network",)
    text = appliance.read("/etc/systemd/network/05-estampe-0.network")
    sections = text.split("\n\n")
    assert sections[0].endswith(f"[Match]\nMACAddress={MAC1}\nType=ether")
    assert sections[1].splitlines() == [
        "[Network]", "DHCP=no", "Address=192.0.2.10/24", "Address=192.0.2.11/24", "Gateway=192.0.2.1",
        "Address=2001:db8::10/64", "Gateway=2001:db8::1", "DNS=192.0.2.53", "DNS=2001:db8::53",
        "Domains=example.org example.net",
    ]  # fmt: skip
    assert sections[2] == "[Route]\nDestination=198.51.100.0/24\nGateway=192.0.2.254"


@pytest.mark.parametrize(
    ("interface", "dhcp"),
    [
        (BY_DHCP, "ipv4"),
        (BOTH_DHCP, "yes"),
        (ONLY_IPV6, "no"),
        (final.Interface(mac=MAC1, is_dhcp6=True), "ipv6"),
        (final.Interface(mac=MAC1, is_dhcp4=True, addresses=("2001:db8::1/64",)), "ipv4"),
    ],
)
def test_networkd_asks_by_dhcp_what_is_wished(interface, dhcp):
    assert f"\nDHCP={dhcp}\n" in networkd.network(interface, ())


def test_networkd_knows_devices_of_its_own():
    assert networkd.virtual_device(guest({"/etc/systemd/network/br0.netdev": "[NetDev]"})) is not None


# --- netplan -------------------------------------------------------------------------------------------------------------


def test_netplan_generates_from_it_what_was_wished(tmp_path):
    appliance = guest({"/etc/netplan/00-installer.yaml": "network: {version: 2, ethernets: {ens3: {dhcp4: true}}}"})
    replaced = netplan.replace(appliance, [STATIC, BOTH_DHCP], SEARCH)
    assert replaced.removed == ("/etc/netplan/00-installer.yaml",)
    assert appliance.given("/etc/netplan/90-estampe.yaml") == (0o600, (0, 0))
    directory = tmp_path / "etc/netplan"
    directory.mkdir(parents=True)
    file = directory / "90-estampe.yaml"
    file.write_text(appliance.read("/etc/netplan/90-estampe.yaml"))
    file.chmod(0o600)
    done = subprocess.run(
        ["netplan", "generate", "--root-dir", tmp_path], check=True, capture_output=True, text=True, timeout=60
    )
    assert "deprecated" not in done.stderr
    first, second = ((tmp_path / f"run/systemd/network/10-netplan-net{nth}.network").read_text() for nth in range(2))
    assert f"PermanentMACAddress={MAC1}" in first
    for line in (
        "Address=192.0.2.10/24", "Address=2001:db8::10/64", "DNS=192.0.2.53", "Domains=example.org example.net",
        "Destination=198.51.100.0/24\nGateway=192.0.2.254", "Gateway=2001:db8::1",
    ):  # fmt: skip
        assert line in first
    assert "DHCP=yes" in second


def test_netplan_keeps_the_renderer_that_the_source_named():
    source = "network:\n  version: 2\n  renderer: NetworkManager\n"
    appliance = guest({"/etc/netplan/01-network-manager-all.yaml": source})
    netplan.replace(appliance, [BY_DHCP], ())
    assert yaml.safe_load(appliance.read("/etc/netplan/90-estampe.yaml"))["network"]["renderer"] == "NetworkManager"


@pytest.mark.parametrize("text", ["network: {bridges: {br0: {}}}", "network: {vlans: {v7: {id: 7}}}"])
def test_netplan_knows_devices_made_of_others(text):
    assert netplan.virtual_device(guest({"/etc/netplan/a.yaml": text})) == "/etc/netplan/a.yaml"


@pytest.mark.parametrize("text", ["network: {", "[]", "network: 1", "network: {ethernets: {}}"])
def test_netplan_files_that_say_nothing_are_in_nobodys_way(text):
    assert netplan.virtual_device(guest({"/etc/netplan/a.yaml": text})) is None


# --- NetworkManager ------------------------------------------------------------------------------------------------------


def keyfile(text):
    parser = configparser.ConfigParser()
    parser.read_string(text)
    return parser


def test_network_manager_gets_connections_that_only_root_may_read():
    vpn = "/etc/NetworkManager/system-connections/work.nmconnection"
    wired = "/etc/NetworkManager/system-connections/Wired 1.nmconnection"
    appliance = guest({vpn: "[connection]\ntype=vpn\n", wired: "[connection]\ntype=ethernet\n"})
    replaced = network_manager.replace(appliance, [STATIC, ONLY_IPV6], SEARCH)
    assert replaced.removed == (wired,)
    assert appliance.exists(vpn)
    path = "/etc/NetworkManager/system-connections/estampe-0.nmconnection"
    assert appliance.given(path) == (0o600, (0, 0))
    first = keyfile(appliance.read(path))
    assert first["ethernet"]["mac-address"] == MAC1.upper()
    assert dict(first["ipv4"]) == {
        "method": "manual", "address1": "192.0.2.10/24", "address2": "192.0.2.11/24", "gateway": "192.0.2.1",
        "dns": "192.0.2.53;", "dns-search": "example.org;example.net;", "route1": "198.51.100.0/24,192.0.2.254",
    }  # fmt: skip
    assert first["ipv6"]["method"] == "manual"
    second = keyfile(appliance.read(path.replace("-0", "-1")))
    assert second["ipv4"]["method"] == "disabled"
    assert second["connection"]["uuid"] != first["connection"]["uuid"]


def test_network_manager_asks_by_itself_where_nothing_is_said():
    text = keyfile(network_manager.connection(BY_DHCP, (), name="x"))
    assert (text["ipv4"]["method"], text["ipv6"]["method"]) == ("auto", "auto")


def test_network_manager_knows_devices_made_of_others():
    path = "/etc/NetworkManager/system-connections/bond0.nmconnection"
    assert network_manager.virtual_device(guest({path: "[connection]\ntype=bond\n"})) == path


# --- ifcfg, of Red Hat and of SUSE -----------------------------------------------------------------------------------------


def shell(text, tmp_path):
    """The variables as sh itself reads them: that is how both read these files."""
    file = tmp_path / "ifcfg"
    file.write_text(text)
    script = f"set -a; . {file}; env"
    done = subprocess.run(["sh", "-c", script], env={}, check=True, capture_output=True, text=True, timeout=30)
    told = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    return {key: value for key, value in told.items() if key not in {"PWD", "_", "SHLVL", "OLDPWD"}}


def test_ifcfg_binds_the_mac_address(tmp_path):
    source = "/etc/sysconfig/network-scripts/ifcfg-ens3"
    loopback = "/etc/sysconfig/network-scripts/ifcfg-lo"
    appliance = guest(UDEV, {source: "DEVICE=ens3\nIPADDR=192.0.2.5\n", loopback: "DEVICE=lo\n"})
    replaced = ifcfg.replace(appliance, [STATIC], SEARCH)
    assert replaced.removed == (source,)
    assert appliance.exists(loopback)
    told = shell(appliance.read("/etc/sysconfig/network-scripts/ifcfg-net0"), tmp_path)
    assert told == {
        "TYPE": "Ethernet", "NAME": "net0", "DEVICE": "net0", "HWADDR": MAC1.upper(), "ONBOOT": "yes", "BOOTPROTO": "none",
        "IPADDR": "192.0.2.10", "PREFIX": "24", "IPADDR1": "192.0.2.11", "PREFIX1": "24", "GATEWAY": "192.0.2.1",
        "IPV6INIT": "yes", "IPV6_AUTOCONF": "no", "IPV6ADDR": "2001:db8::10/64", "IPV6_DEFAULTGW": "2001:db8::1",
        "DNS1": "192.0.2.53", "DNS2": "2001:db8::53", "DOMAIN": "example.org example.net",
    }  # fmt: skip
    assert "198.51.100.0/24 via 192.0.2.254 dev net0\n" in appliance.read("/etc/sysconfig/network-scripts/route-net0")
    assert "2001:db8:5::/48" in appliance.read("/etc/sysconfig/network-scripts/route6-net0")


def test_ifcfg_asks_by_dhcp(tmp_path):
    told = shell(ifcfg.config(BOTH_DHCP, (), name="net0"), tmp_path)
    assert (told["BOOTPROTO"], told["DHCPV6C"], told["IPV6_AUTOCONF"]) == ("dhcp", "yes", "yes")


def test_ifcfg_keeps_further_ipv6_addresses(tmp_path):
    interface = final.Interface(mac=MAC1, addresses=("2001:db8::1/64", "2001:db8::2/64", "2001:db8::3/64"))
    told = shell(ifcfg.config(interface, (), name="net0"), tmp_path)
    assert told["IPV6ADDR_SECONDARIES"] == "2001:db8::2/64 2001:db8::3/64"


@pytest.mark.parametrize("line", ["TYPE=Bridge", "TYPE='Bond'", "VLAN=yes", "BRIDGE=br0"])
def test_ifcfg_knows_devices_made_of_others(line):
    path = "/etc/sysconfig/network-scripts/ifcfg-x"
    assert ifcfg.virtual_device(guest({path: f"DEVICE=x\n{line}\n"})) == path


def test_wicked_gets_files_by_name_and_the_name_by_mac_address(tmp_path):
    config = "/etc/sysconfig/network/config"
    appliance = guest(
        UDEV,
        {
            "/etc/sysconfig/network/ifcfg-eth0": "IPADDR='192.0.2.5/24'\n",
            "/etc/sysconfig/network/ifcfg-lo": "IPADDR=127.0.0.1/8\n",
            "/etc/sysconfig/network/routes": "default 192.0.2.9 - -\n",
            config: 'NETCONFIG_MODULES_ORDER="dns-resolver"\nNETCONFIG_DNS_STATIC_SERVERS=""\n',
        },
    )
    replaced = wicked.replace(appliance, [STATIC, BY_DHCP], SEARCH)
    assert replaced.removed == ("/etc/sysconfig/network/ifcfg-eth0", "/etc/sysconfig/network/routes")
    told = shell(appliance.read("/etc/sysconfig/network/ifcfg-net0"), tmp_path)
    assert told == {
        "STARTMODE": "auto", "BOOTPROTO": "static", "IPADDR": "192.0.2.10/24", "IPADDR_1": "192.0.2.11/24",
        "IPADDR_2": "2001:db8::10/64",
    }  # fmt: skip
    assert appliance.read("/etc/sysconfig/network/ifroute-net0").splitlines()[1:] == [
        "0.0.0.0/0 192.0.2.1 - net0", "198.51.100.0/24 192.0.2.254 - net0", "::/0 2001:db8::1 - net0",
        "2001:db8:5::/48 2001:db8::fe - net0",
    ]  # fmt: skip
    dns = shell(appliance.read(config), tmp_path)
    assert dns["NETCONFIG_DNS_STATIC_SERVERS"] == "192.0.2.53 2001:db8::53"
    assert dns["NETCONFIG_DNS_STATIC_SEARCHLIST"] == "example.org example.net"
    assert dns["NETCONFIG_MODULES_ORDER"] == "dns-resolver"
    assert shell(appliance.read("/etc/sysconfig/network/ifcfg-net1"), tmp_path)["BOOTPROTO"] == "dhcp4"


@pytest.mark.parametrize("line", ["BRIDGE='yes'", "BONDING_MASTER=yes", "ETHERDEVICE=eth0"])
def test_wicked_knows_devices_made_of_others(line):
    path = "/etc/sysconfig/network/ifcfg-x"
    assert wicked.virtual_device(guest({path: f"{line}\n"})) == path


# --- all together ---------------------------------------------------------------------------------------------------------


def test_names_that_belong_to_the_sources_addresses_go():
    rules = "/etc/udev/rules.d/70-persistent-net.rules"
    appliance = guest(DEBIAN, {rules: 'ATTR{address}=="52:54:00:00:00:01", NAME="eth0"\n'})
    changes = network.configure(appliance, wish(interfaces=(BY_DHCP,)), system="ifupdown")
    assert not appliance.exists(rules)
    assert [change.what for change in changes] == [f"network of {MAC1}", "network of the source"]
    assert rules in changes[1].detail


def test_a_bridge_of_the_source_stays_unless_addresses_are_given():
    bridge = {INTERFACES: "auto br0\niface br0 inet static\n bridge_ports ens3\n address 192.0.2.5/24\n"}
    appliance = guest(UDEV, bridge)
    changes = network.configure(appliance, wish(interfaces=(BY_DHCP,)), system="ifupdown")
    assert changes[0].outcome is final.Outcome.LEFT
    assert INTERFACES in (changes[0].why or "")
    assert appliance.read(INTERFACES) == bridge[INTERFACES]
    changes = network.configure(appliance, wish(interfaces=(STATIC,)), system="ifupdown")
    assert changes[0].outcome is final.Outcome.DONE
    assert "br0" not in appliance.read(INTERFACES)


def test_an_unknown_way_leaves_the_network_and_says_so():
    changes = network.configure(guest({"/etc/passwd": ""}), wish(interfaces=(BY_DHCP, BOTH_DHCP)), system="unknown")
    assert [change.outcome for change in changes] == [final.Outcome.LEFT] * 2


def test_a_server_without_interfaces_has_no_network():
    assert network.configure(guest({"/etc/passwd": ""}), wish(), system="unknown") == []


@pytest.mark.parametrize("system", sorted(network.KNOWN))
def test_every_way_says_the_same_again_when_it_runs_again(system):
    appliance = guest(DEBIAN)
    asked = wish(interfaces=(STATIC, ONLY_IPV6), search=SEARCH)

    def files():
        return {path: appliance.read(path) for path in appliance.files("/etc")}

    network.configure(appliance, asked, system=system)
    once = files()
    network.configure(appliance, asked, system=system)
    assert json.dumps(files(), sort_keys=True) == json.dumps(once, sort_keys=True)

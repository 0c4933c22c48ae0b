"""Wishes and guests that several tests of configuring share."""

from estampe.guest import memory
from estampe.model import final

MAC1, MAC2 = "52:54:00:aa:bb:01", "52:54:00:aa:bb:02"
BY_DHCP = final.Interface(mac=MAC1)
STATIC = final.Interface(
    mac=MAC1,
    addresses=("192.0.2.10/24", "192.0.2.11/24", "2001:db8::10/64"),
    gateways=("192.0.2.1", "2001:db8::1"),
    dns=("192.0.2.53", "2001:db8::53"),
    routes=(
        final.Route(destination="198.51.100.0/24", gateway="192.0.2.254"),
        final.Route(destination="2001:db8:5::/48", gateway="2001:db8::fe"),
    ),
)
ONLY_IPV6 = final.Interface(mac=MAC2, addresses=("2001:db8:2::7/64",))
BOTH_DHCP = final.Interface(mac=MAC2, is_dhcp4=True, is_dhcp6=True)
UDEV = {"/usr/lib/systemd/systemd-udevd": "elf"}
ANY = final.FinalConfiguration(instance_id="i-1", hostname="web-02")


def wish(**fields):
    return final.FinalConfiguration(**({"instance_id": "i-1", "hostname": "web-02"} | fields))


def guest(*parts, links=None):
    return memory.MemoryAppliance({path: text for part in parts for path, text in part.items()}, links=links)


def outcomes(changes):
    return {change.what: change.outcome for change in changes}

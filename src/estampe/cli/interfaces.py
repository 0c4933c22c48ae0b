"""The interfaces that the network options of `estampe deploy` ask for, put together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from estampe import errors
from estampe.cli import values

if TYPE_CHECKING:
    from estampe.schemas import deploy

_DHCP: Final = frozenset({"dhcp", "dhcp6"})  # words that may stand among the addresses


def combine(
    *,
    networks: Sequence[str],
    addresses: Sequence[str],
    gateways: Sequence[str],
    dns: Sequence[str],
    routes: Sequence[str] = (),
) -> list[deploy.InterfaceRequest]:
    """One for each network, in order, and for each higher number that is mentioned; none where nothing is said.

    An interface without a network is on the default one; the daemon adds those of the template that nothing was said of,
    where no network was named. Raises: errors.InvalidRequest.
    """
    from estampe.client import client
    from estampe.schemas import deploy

    addresses_of = values.by_interface(addresses, option="--address")
    gateways_of = values.by_interface(gateways, option="--gateway")
    dns_of = values.by_interface(dns, option="--dns")
    routes_of = values.by_interface(routes, option="--route")
    count = max(len(networks), *addresses_of, *gateways_of, *dns_of, *routes_of, 0)
    return [
        client.make(
            deploy.InterfaceRequest,
            network=networks[number - 1] if number <= len(networks) else None,
            addresses=[each for each in addresses_of.get(number, []) if each not in _DHCP],
            is_dhcp4="dhcp" in addresses_of.get(number, []),
            is_dhcp6="dhcp6" in addresses_of.get(number, []),
            gateways=gateways_of.get(number, []),
            dns=dns_of.get(number, []),
            routes=[_route(each) for each in routes_of.get(number, [])],
        )
        for number in range(1, count + 1)
    ]


def _route(text: str) -> deploy.RouteRequest:
    """`198.51.100.0/24,192.0.2.254`: the network and by which gateway. Raises: errors.InvalidRequest."""
    from estampe.client import client
    from estampe.schemas import deploy

    destination, comma, gateway = text.partition(",")
    if not comma:
        problem = f"{text!r} is not a network and its gateway, as 198.51.100.0/24,192.0.2.254"
        raise errors.InvalidRequest(field="--route", problem=problem)
    return client.make(deploy.RouteRequest, destination=destination, gateway=gateway)

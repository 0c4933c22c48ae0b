"""The interfaces that the network options of `estampe deploy` ask for, put together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from estampe.cli import values

if TYPE_CHECKING:
    from estampe.schemas import deploy


def combine(
    *, networks: Sequence[str], addresses: Sequence[str], gateways: Sequence[str], dns: Sequence[str]
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
    count = max(len(networks), *addresses_of, *gateways_of, *dns_of, 0)
    return [
        client.make(
            deploy.InterfaceRequest,
            network=networks[number - 1] if number <= len(networks) else None,
            addresses=addresses_of.get(number, []),
            gateways=gateways_of.get(number, []),
            dns=dns_of.get(number, []),
        )
        for number in range(1, count + 1)
    ]

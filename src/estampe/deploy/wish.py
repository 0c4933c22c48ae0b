"""What a request wishes for one server, as the final configuration that a seed or the appliance makes of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from estampe.deploy import request as requests
from estampe.model import final
from estampe.virt import base as virt


def make(
    request: requests.DeployRequest, *, identity: str, hostname: str, interfaces: Sequence[virt.NewInterface]
) -> final.FinalConfiguration:
    """The wish for the server with this UUID, name and these interfaces."""
    asked = request.wished_interfaces(len(interfaces))
    return final.FinalConfiguration(
        instance_id=identity,
        hostname=hostname,
        fqdn=_fqdn(request, hostname),
        interfaces=tuple(
            final.Interface(
                mac=made.mac,
                addresses=wish.addresses,
                gateways=wish.gateways,
                dns=wish.dns,
                routes=wish.routes,
                is_dhcp4=wish.is_dhcp4,
                is_dhcp6=wish.is_dhcp6,
            )
            for made, wish in zip(interfaces, asked, strict=True)
        ),
        search=request.search,
        ssh_keys=request.ssh_keys,
        password_hash=request.password_hash,
        admin_password=request.admin_password,
        users=request.users,
        timezone=request.timezone,
        commands=request.commands,
        user_data=request.user_data,
    )


def without_secrets(wish: final.FinalConfiguration) -> final.FinalConfiguration:
    """The wish as it may be recorded: what people put passwords into is in the request alone, and goes with the operation's end."""
    return dataclasses.replace(wish, password_hash=None, admin_password=None, users=(), commands=(), user_data=None)


def with_secrets(wish: final.FinalConfiguration, request: requests.DeployRequest) -> final.FinalConfiguration:
    """The recorded wish whole again."""
    return dataclasses.replace(
        wish, password_hash=request.password_hash, admin_password=request.admin_password, users=request.users,
        commands=request.commands, user_data=request.user_data,
    )  # fmt: skip


def _fqdn(request: requests.DeployRequest, hostname: str) -> str | None:
    """The full name asked for; of several servers, each has its own host name before the domain."""
    if request.fqdn is None:
        return None
    return request.fqdn if request.count == 1 else f"{hostname.partition('.')[0]}.{request.fqdn.partition('.')[2]}"


def asked_of_the_guest(request: requests.DeployRequest) -> list[str]:
    """The options of a request that only the guest itself can carry out."""
    asked = {
        "--hostname": request.hostname,
        "--fqdn": request.fqdn,
        "--ssh-key": request.ssh_keys,
        "--password-hash": request.password_hash,
        "--admin-password": request.admin_password,
        "--user": request.users,
        "--timezone": request.timezone,
        "--run": request.commands,
        "--user-data": request.user_data,
    }
    return [option for option, value in asked.items() if value] + network_asked(request)


def network_asked(request: requests.DeployRequest) -> list[str]:
    """Those of them that are of the network."""
    asked = {
        "--address": any(each.addresses or each.is_dhcp4 or each.is_dhcp6 for each in request.interfaces),
        "--gateway": any(each.gateways for each in request.interfaces),
        "--dns": any(each.dns for each in request.interfaces),
        "--route": any(each.routes for each in request.interfaces),
        "--search": request.search,
    }
    return [option for option, value in asked.items() if value]

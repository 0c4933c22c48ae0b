"""The seed: first-boot data for a guest with cloud-init, as an ISO 9660 image that its NoCloud data source reads.

    volume label "cidata"
    ├── meta-data       identity: instance id, host name, public keys
    ├── vendor-data     Estampe's defaults, as cloud-config; user data overrides them
    ├── user-data       what the user gave, byte for byte
    └── network-config  version 2, interfaces matched by MAC address

https://docs.cloud-init.io/en/22.4/topics/datasources/nocloud.html
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, Final

import pycdlib
import yaml

from estampe.guest import seed_check, seed_network

Interface = seed_network.Interface

_LABEL: Final = "cidata"
_HEADER: Final = "#cloud-config\n"

# Given as vendor data, so that they hold beside any user data, and give way to it.
_DEFAULTS: Final = {
    "preserve_hostname": False,  # a guest that was told to keep its name would keep the source's
    "manage_etc_hosts": "localhost",  # 127.0.1.1 names the new host, not the source
    "ssh_deletekeys": True,  # new host keys for a new instance id, also where the guest's own configuration says no
    "growpart": {"mode": "auto", "devices": ["/"], "ignore_growroot_disabled": False},
    "resize_rootfs": True,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """What one new server is told. Without interfaces the guest does what it does by itself: DHCP on its first one."""

    instance_id: str  # a new one makes the guest run its first boot
    hostname: str
    ssh_keys: tuple[str, ...] = ()  # as in authorized_keys, for the guest's default user
    user_data: str | None = None
    interfaces: tuple[Interface, ...] = ()


def check(seed: Seed) -> None:
    """Whether the seed makes sense. Raises: errors.InvalidRequest, which names the field."""
    seed_check.check_hostname(seed.hostname)
    for key in seed.ssh_keys:
        seed_check.check_ssh_key(key)
    if seed.user_data is not None:
        seed_check.check_user_data(seed.user_data)
    seed_network.check(seed.interfaces)


def build(seed: Seed) -> bytes:
    """The ISO image. Raises: errors.InvalidRequest, which names the field."""
    check(seed)
    files = {
        "meta-data": _meta_data(seed),
        "vendor-data": _HEADER + _yaml(_DEFAULTS),
        "user-data": seed.user_data or _HEADER,  # the data source wants the file, empty or not
    }
    if seed.interfaces:
        files["network-config"] = _yaml(seed_network.config(seed.interfaces))
    return _image(files)


def _meta_data(seed: Seed) -> str:
    """Keys go here, not into user data: so they come beside any user data, a script as well as cloud-config."""
    meta: dict[str, Any] = {"instance-id": seed.instance_id, "local-hostname": seed.hostname}
    if seed.ssh_keys:
        meta["public-keys"] = [key.strip() for key in seed.ssh_keys]
    return _yaml(meta)


def _yaml(value: dict[str, Any]) -> str:
    return yaml.safe_dump(value, sort_keys=False, default_flow_style=False)


def _image(files: dict[str, str]) -> bytes:
    """With Rock Ridge (Linux) and Joliet (Windows) names; plain ISO 9660 knows no hyphen."""
    image = pycdlib.PyCdlib()
    image.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=_LABEL)
    try:
        for name, text in files.items():
            data = text.encode()
            plain = "/" + name.upper().replace("-", "_") + ".;1"
            image.add_fp(io.BytesIO(data), len(data), plain, rr_name=name, joliet_path=f"/{name}")
        out = io.BytesIO()
        image.write_fp(out)
    finally:
        image.close()
    return out.getvalue()

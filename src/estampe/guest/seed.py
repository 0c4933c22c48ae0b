"""The seed: first-boot data for a guest, as an ISO 9660 image that its seed reader finds by the label.

NoCloud           volume label "cidata"
├── meta-data       identity: instance id, host name, public keys
├── vendor-data     Estampe's defaults, as cloud-config; user data overrides them
├── user-data       what the user gave, byte for byte, where nothing else was asked for that only goes there
└── network-config  version 2, interfaces matched by MAC address
https://docs.cloud-init.io/en/22.4/topics/datasources/nocloud.html

Config Drive v2   volume label "config-2"
└── openstack/latest/
    ├── meta_data.json, vendor_data.json, user_data       as above
    └── network_data.json
https://docs.openstack.org/nova/latest/user/metadata.html
"""

from __future__ import annotations

import io
import json
from typing import Any, Final

import pycdlib
import yaml

from estampe.guest import seed_network, seed_readers, seed_user_data
from estampe.model import final

_LABELS: Final = {final.SeedFormat.NOCLOUD: "cidata", final.SeedFormat.CONFIG_DRIVE: "config-2"}
_DIRECTORY: Final = "openstack/latest"

# Given as vendor data, so that they hold beside any user data, and give way to it.
_DEFAULTS: Final = {
    "preserve_hostname": False,  # a guest that was told to keep its name would keep the source's
    "manage_etc_hosts": "localhost",  # 127.0.1.1 names the new host, not the source
    "ssh_deletekeys": True,  # new host keys for a new instance id, also where the guest's own configuration says no
    "growpart": {"mode": "auto", "devices": ["/"], "ignore_growroot_disabled": False},
    "resize_rootfs": True,
}


def build(wish: final.FinalConfiguration, *, seed_format: final.SeedFormat, reader: seed_readers.Reader) -> bytes:
    """The ISO image of a wish that was checked (wish_check). Without interfaces the guest uses DHCP on its first one."""
    files = _no_cloud(wish, reader) if seed_format is final.SeedFormat.NOCLOUD else _config_drive(wish, reader)
    return _image(files, _LABELS[seed_format])


def _no_cloud(wish: final.FinalConfiguration, reader: seed_readers.Reader) -> dict[str, str]:
    # Keys go to the metadata, not into user data: so they come beside any user data, a script as well as cloud-config.
    meta: dict[str, Any] = {"instance-id": wish.instance_id, "local-hostname": wish.full_name or wish.hostname}
    if wish.ssh_keys:
        meta["public-keys"] = [key.strip() for key in wish.ssh_keys]
    files = {
        "meta-data": _yaml(meta),
        "vendor-data": seed_user_data.HEADER + _yaml(_DEFAULTS),
        # the data source wants the file, empty or not
        "user-data": seed_user_data.document(wish, reader) or seed_user_data.HEADER,
    }
    if wish.interfaces:
        files["network-config"] = _yaml(seed_network.version_2(wish.interfaces, wish.search))
    return files


def _config_drive(wish: final.FinalConfiguration, reader: seed_readers.Reader) -> dict[str, str]:
    meta: dict[str, Any] = {
        "uuid": wish.instance_id,
        "hostname": wish.full_name or wish.hostname,
        "name": wish.short_name,
        "public_keys": {f"key-{nth}": key.strip() for nth, key in enumerate(wish.ssh_keys)},
    }
    if wish.admin_password and not reader.takes_hashes:
        meta["admin_pass"] = wish.admin_password
    files = {"meta_data.json": json.dumps(meta)}
    if reader.is_vendor_data_read:
        files["vendor_data.json"] = json.dumps({"cloud-init": seed_user_data.HEADER + _yaml(_DEFAULTS)})
    user_data = seed_user_data.document(wish, reader)
    if user_data is not None:
        files["user_data"] = user_data
    if wish.interfaces:
        network = seed_network.network_data(
            wish.interfaces, wish.search, is_for_nuageinit=reader.addresses_per_family is not None
        )
        files["network_data.json"] = json.dumps(network)
    return {f"{_DIRECTORY}/{name}": text for name, text in files.items()}


def _yaml(value: dict[str, Any]) -> str:
    return yaml.safe_dump(value, sort_keys=False, default_flow_style=False)


def _image(files: dict[str, str], label: str) -> bytes:
    """With Rock Ridge (Linux, BSD) and Joliet (Windows) names; plain ISO 9660 knows no hyphen."""
    image = pycdlib.PyCdlib()
    image.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=label)
    try:
        for directory in sorted({above for name in files for above in _above(name)}):
            image.add_directory(_plain(directory), rr_name=_own(directory), joliet_path=f"/{directory}")
        for name, text in files.items():
            data = text.encode()
            plain = _plain(name) if "." in name else f"{_plain(name)}."
            image.add_fp(io.BytesIO(data), len(data), f"{plain};1", rr_name=_own(name), joliet_path=f"/{name}")
        out = io.BytesIO()
        image.write_fp(out)
    finally:
        image.close()
    return out.getvalue()


def _above(name: str) -> list[str]:
    parts = name.split("/")[:-1]
    return ["/".join(parts[: nth + 1]) for nth in range(len(parts))]


def _own(name: str) -> str:
    return name.rpartition("/")[2]


def _plain(name: str) -> str:
    """As ISO 9660 itself has it."""
    return "/" + name.upper().replace("-", "_")

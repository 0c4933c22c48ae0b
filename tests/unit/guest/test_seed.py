"""The seed as cloud-init would read it."""

import base64
import io
import shutil
import subprocess

import pycdlib
import pytest
import yaml

from estampe import errors
from estampe.guest import seed

KEY = "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519" + b"\0\0\0 " + bytes(32)).decode()
MAC = "52:54:00:12:34:56"


def make(**changed):
    return seed.Seed(**{"instance_id": "6f9c-1", "hostname": "web-02", **changed})


def interface(**changed):
    return seed.Interface(**{"mac": MAC, **changed})


def files_of(data):
    """The image's files by Rock Ridge name."""
    image = pycdlib.PyCdlib()
    image.open_fp(io.BytesIO(data))
    try:
        found = {}
        for name in ("meta-data", "user-data", "vendor-data", "network-config"):
            out = io.BytesIO()
            try:
                image.get_file_from_iso_fp(out, rr_path=f"/{name}")
            except pycdlib.pycdlibexception.PyCdlibInvalidInput:
                continue
            found[name] = out.getvalue().decode()
        return found
    finally:
        image.close()


def network_of(*interfaces):
    return yaml.safe_load(files_of(seed.build(make(interfaces=interfaces)))["network-config"])


def test_meta_data_names_the_server_and_its_keys():
    meta = yaml.safe_load(files_of(seed.build(make(ssh_keys=(KEY + " me@here\n",))))["meta-data"])
    assert meta == {"instance-id": "6f9c-1", "local-hostname": "web-02", "public-keys": [KEY + " me@here"]}


def test_user_data_is_given_byte_for_byte():
    script = "#!/bin/sh\necho 'été: \"x\"'\n"
    assert files_of(seed.build(make(user_data=script)))["user-data"] == script


def test_without_user_data_there_is_an_empty_one_since_the_data_source_wants_the_file():
    assert files_of(seed.build(make()))["user-data"] == "#cloud-config\n"


def test_defaults_come_as_vendor_data_which_user_data_overrides():
    text = files_of(seed.build(make(user_data="#!/bin/sh\n")))["vendor-data"]
    assert text.startswith("#cloud-config\n")
    assert yaml.safe_load(text)["ssh_deletekeys"] is True
    assert yaml.safe_load(text)["preserve_hostname"] is False


def test_without_interfaces_the_guest_is_left_to_itself():
    assert "network-config" not in files_of(seed.build(make()))


def test_an_interface_without_addresses_uses_dhcp():
    assert network_of(interface()) == {
        "version": 2,
        "ethernets": {"eth0": {"match": {"macaddress": MAC}, "dhcp4": True}},
    }


def test_static_addresses_of_both_families():
    config = network_of(
        interface(
            mac=MAC.upper(),
            addresses=("192.0.2.10/24", "2001:DB8::10/64"),
            gateways=("192.0.2.1", "fe80::1"),
            dns=("192.0.2.53", "2001:db8::53"),
        ),
        interface(mac="52:54:00:00:00:02", dns=("192.0.2.53",)),
    )
    assert config["ethernets"]["eth0"] == {
        "match": {"macaddress": MAC},
        "addresses": ["192.0.2.10/24", "2001:db8::10/64"],
        "gateway4": "192.0.2.1",
        "gateway6": "fe80::1",
        "nameservers": {"addresses": ["192.0.2.53", "2001:db8::53"]},
    }
    assert config["ethernets"]["eth1"]["dhcp4"] is True


def test_text_that_yaml_could_take_for_something_else_stays_text():
    meta = yaml.safe_load(files_of(seed.build(make(instance_id="1e3", hostname="no")))["meta-data"])
    assert meta == {"instance-id": "1e3", "local-hostname": "no"}


@pytest.mark.skipif(shutil.which("isoinfo") is None, reason="isoinfo (package genisoimage) is not installed")
def test_another_reader_finds_the_label_and_the_names(tmp_path):
    path = tmp_path / "seed.iso"
    path.write_bytes(seed.build(make(interfaces=(interface(),))))
    about = subprocess.run(["isoinfo", "-d", "-i", path], capture_output=True, text=True, check=True).stdout
    assert "Volume id: cidata" in about
    for names in ("-R", "-J"):
        listing = subprocess.run(
            ["isoinfo", names, "-f", "-i", path], capture_output=True, text=True, check=True
        ).stdout
        assert sorted(listing.split()) == ["/meta-data", "/network-config", "/user-data", "/vendor-data"]


@pytest.mark.parametrize(
    ("field", "changed"),
    [
        ("hostname", {"hostname": "web_02"}),
        ("hostname", {"hostname": "-web"}),
        ("hostname", {"hostname": "web..example"}),
        ("hostname", {"hostname": ""}),
        ("ssh-key", {"ssh_keys": ("-----BEGIN OPENSSH PRIVATE KEY-----",)}),
        ("ssh-key", {"ssh_keys": ("ssh-ed25519 bm90IGEga2V5",)}),
        ("ssh-key", {"ssh_keys": (f"{KEY}\nssh_pwauth: true",)}),
        ("user-data", {"user_data": "packages: [nginx]"}),
        ("user-data", {"user_data": "#cloud-config\npackages: [nginx"}),
        ("user-data", {"user_data": "#cloud-config\n- a list"}),
        ("user-data", {"user_data": "#cloud-config\nwhen: 2024-02-30\n"}),
        ("user-data", {"user_data": "#cloud-config\na: " + "[" * 3000}),
        ("mac", {"interfaces": (interface(mac="52-54-00-12-34-56"),)}),
        ("mac", {"interfaces": (interface(mac="53:54:00:12:34:56"),)}),
        ("address", {"interfaces": (interface(addresses=("192.0.2.10",)),)}),
        ("address", {"interfaces": (interface(addresses=("192.0.2.300/24",)),)}),
        ("address", {"interfaces": (interface(addresses=("192.0.2.0/24",)),)}),
        ("address", {"interfaces": (interface(addresses=("192.0.2.255/24",)),)}),
        ("address", {"interfaces": (interface(addresses=("224.0.0.5/24",)),)}),
        ("address", {"interfaces": (interface(addresses=("192.0.2.10/24", "192.0.2.10/25")),)}),
        ("address of interface 2", {"interfaces": (interface(), interface(addresses=("::1/64",)))}),
        ("gateway", {"interfaces": (interface(gateways=("192.0.2.1",)),)}),
        ("gateway", {"interfaces": (interface(addresses=("192.0.2.10/24",), gateways=("198.51.100.1",)),)}),
        ("gateway", {"interfaces": (interface(addresses=("192.0.2.10/24",), gateways=("192.0.2.10",)),)}),
        ("gateway", {"interfaces": (interface(addresses=("192.0.2.10/24",), gateways=("192.0.2.1", "192.0.2.2")),)}),
        ("gateway", {"interfaces": (interface(addresses=("192.0.2.10/24",), gateways=("2001:db8::1",)),)}),
        ("dns", {"interfaces": (interface(dns=("resolver.example",)),)}),
    ],
)
def test_what_cannot_work_is_refused_with_the_field(field, changed):
    with pytest.raises(errors.InvalidRequest) as caught:
        seed.build(make(**changed))
    assert caught.value.facts["field"] == field


def test_a_refused_key_does_not_get_into_the_message():
    with pytest.raises(errors.InvalidRequest) as caught:
        seed.build(make(ssh_keys=("-----BEGIN OPENSSH PRIVATE KEY----- c2VjcmV0",)))
    assert "c2VjcmV0" not in str(caught.value)


def test_keys_with_options_and_hardware_keys_are_taken():
    blob = base64.b64encode(b"\0\0\0\x1ask-ssh-ed25519@openssh.com" + bytes(40)).decode()
    seed.check(make(ssh_keys=(f'no-pty,command="ls" {KEY}', f"sk-ssh-ed25519@openssh.com {blob} token")))


@pytest.mark.parametrize(
    "user_data", ["#cloud-config\n", "#!/bin/sh\n", "## template: jinja\n#cloud-config\n{{ x }}\n"]
)
def test_user_data_that_cloud_init_knows_is_taken(user_data):
    seed.check(make(user_data=user_data))

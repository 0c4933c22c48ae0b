"""Seeds as their readers would read them, and what may be asked of them."""

# ruff: noqa: S104, S105, S106 - no secrets of anybody, no sockets

import base64
import email
import io
import json
import shutil
import subprocess

import pycdlib
import pytest
import yaml

from estampe import errors
from estampe.guest import seed, seed_readers, wish_check
from estampe.model import final

KEY = "ssh-ed25519 " + base64.b64encode(b"\0\0\0\x0bssh-ed25519" + b"\0\0\0 " + bytes(32)).decode()
MAC = "52:54:00:12:34:56"


CLOUD_INIT, CLOUDBASE, NUAGEINIT = (seed_readers.get(name) for name in ("cloud-init", "cloudbase-init", "nuageinit"))
DRIVE = "openstack/latest"
HASH = "$6$salt$hash"


def make(**changed):
    return final.FinalConfiguration(**{"instance_id": "6f9c-1", "hostname": "web-02", **changed})


def interface(**changed):
    return final.Interface(**{"mac": MAC, **changed})


def build(wish, seed_format=final.SeedFormat.NOCLOUD, reader=CLOUD_INIT):
    return seed.build(wish, seed_format=seed_format, reader=reader)


def drive(wish, reader=CLOUD_INIT):
    return files_of(build(wish, final.SeedFormat.CONFIG_DRIVE, reader))


def check(wish, reader=CLOUD_INIT):
    wish_check.check(wish, reader=reader)


def files_of(data):
    """The image's files by Rock Ridge name."""
    image = pycdlib.PyCdlib()
    image.open_fp(io.BytesIO(data))
    try:
        found = {}
        for directory, _directories, names in image.walk(rr_path="/"):
            for name in names:
                out = io.BytesIO()
                image.get_file_from_iso_fp(out, rr_path=f"{directory.rstrip('/')}/{name}")
                found[f"{directory.strip('/')}/{name}".lstrip("/")] = out.getvalue().decode()
        return found
    finally:
        image.close()


def route(destination, gateway):
    return final.Route(destination=destination, gateway=gateway)


def network_of(*interfaces):
    return yaml.safe_load(files_of(build(make(interfaces=interfaces)))["network-config"])


def test_meta_data_names_the_server_and_its_keys():
    meta = yaml.safe_load(files_of(build(make(ssh_keys=(KEY + " me@here\n",))))["meta-data"])
    assert meta == {"instance-id": "6f9c-1", "local-hostname": "web-02", "public-keys": [KEY + " me@here"]}


def test_user_data_is_given_byte_for_byte():
    script = "#!/bin/sh\necho 'été: \"x\"'\n"
    assert files_of(build(make(user_data=script)))["user-data"] == script


def test_without_user_data_there_is_an_empty_one_since_the_data_source_wants_the_file():
    assert files_of(build(make()))["user-data"] == "#cloud-config\n"


def test_defaults_come_as_vendor_data_which_user_data_overrides():
    text = files_of(build(make(user_data="#!/bin/sh\n")))["vendor-data"]
    assert text.startswith("#cloud-config\n")
    assert yaml.safe_load(text)["ssh_deletekeys"] is True
    assert yaml.safe_load(text)["preserve_hostname"] is False


def test_without_interfaces_the_guest_is_left_to_itself():
    assert "network-config" not in files_of(build(make()))


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
    meta = yaml.safe_load(files_of(build(make(instance_id="1e3", hostname="no")))["meta-data"])
    assert meta == {"instance-id": "1e3", "local-hostname": "no"}


@pytest.mark.skipif(shutil.which("isoinfo") is None, reason="isoinfo (package genisoimage) is not installed")
def test_another_reader_finds_the_label_and_the_names(tmp_path):
    path = tmp_path / "seed.iso"
    path.write_bytes(build(make(interfaces=(interface(),))))
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
        ("route", {"interfaces": (interface(routes=(route("198.51.100.0", "192.0.2.1x"),)),)}),
        ("route", {"interfaces": (interface(routes=(route("198.51.100.1/24", "192.0.2.1"),)),)}),
        ("route", {"interfaces": (interface(routes=(route("0.0.0.0/0", "192.0.2.1"),)),)}),
        ("route", {"interfaces": (interface(routes=(route("198.51.100.0/24", "2001:db8::1"),)),)}),
        (
            "route",
            {"interfaces": (interface(addresses=("192.0.2.10/24",), routes=(route("10.0.0.0/8", "192.0.3.1"),)),)},
        ),
        ("fqdn", {"fqdn": "web-03.example.org"}),
        ("fqdn", {"fqdn": "web-02"}),
        ("search", {"search": ("not a domain",)}),
        ("users", {"users": (final.User(name="Bob"),)}),
        ("users", {"users": (final.User(name="root"),)}),
        ("users", {"users": (final.User(name="bob"), final.User(name="bob"))}),
        ("users", {"users": (final.User(name="bob", password_hash="plain"),)}),
        ("users", {"users": (final.User(name="bob", groups=("a:b",)),)}),
        ("users", {"users": (final.User(name="bob", shell="bash"),)}),  # noqa: S604
        ("ssh-key", {"users": (final.User(name="bob", ssh_keys=("x",)),)}),
        ("password_hash", {"password_hash": "secret"}),
        ("password_hash", {"password_hash": "$6$x$y:0:0\nroot2::0"}),
        ("timezone", {"timezone": "../../etc/passwd"}),
        ("timezone", {"timezone": "Europe/Atlantis"}),
        ("commands", {"commands": ("a\nb",)}),
        ("commands", {"commands": (" ",)}),
    ],
)
def test_what_cannot_work_is_refused_with_the_field(field, changed):
    with pytest.raises(errors.InvalidRequest) as caught:
        check(make(**changed))
    assert caught.value.facts["field"] == field


def test_a_refused_key_does_not_get_into_the_message():
    with pytest.raises(errors.InvalidRequest) as caught:
        check(make(ssh_keys=("-----BEGIN OPENSSH PRIVATE KEY----- c2VjcmV0",)))
    assert "c2VjcmV0" not in str(caught.value)


def test_keys_with_options_and_hardware_keys_are_taken():
    blob = base64.b64encode(b"\0\0\0\x1ask-ssh-ed25519@openssh.com" + bytes(40)).decode()
    check(make(ssh_keys=(f'no-pty,command="ls" {KEY}', f"sk-ssh-ed25519@openssh.com {blob} token")))


@pytest.mark.parametrize(
    "user_data", ["#cloud-config\n", "#!/bin/sh\n", "## template: jinja\n#cloud-config\n{{ x }}\n"]
)
def test_user_data_that_cloud_init_knows_is_taken(user_data):
    check(make(user_data=user_data))


def test_a_hash_that_is_none_is_not_told_back():
    with pytest.raises(errors.InvalidRequest) as caught:
        check(make(password_hash="correct horse"))
    assert "horse" not in str(caught.value)


def test_a_route_by_a_gateway_that_dhcp_makes_reachable_is_taken():
    check(make(interfaces=(interface(routes=(route("198.51.100.0/24", "192.0.2.254"),)),)))


# --- more than metadata has a place for ------------------------------------------------------------------------------------

BOB = final.User(name="bob", password_hash=HASH, ssh_keys=(KEY,), groups=("docker",), is_administrator=True)


def test_users_password_zone_and_commands_come_as_user_data():
    wish = make(users=(BOB,), password_hash=HASH, timezone="Europe/Paris", commands=("touch /a", "touch /b"))
    text = files_of(build(wish))["user-data"]
    assert text.startswith("#cloud-config\n")
    assert yaml.safe_load(text) == {
        "users": [
            "default",
            {
                "name": "bob", "lock_passwd": False, "passwd": HASH, "ssh_authorized_keys": [KEY], "groups": ["docker"],
                "sudo": "ALL=(ALL) ALL",
            },
        ],
        "password": HASH,
        "chpasswd": {"expire": False},
        "timezone": "Europe/Paris",
        "runcmd": ["touch /a", "touch /b"],
    }  # fmt: skip


def test_given_user_data_stands_beside_what_is_added_and_both_count():
    given = "#cloud-config\nruncmd: [touch /mine]\n"
    parts = email.message_from_string(files_of(build(make(user_data=given, commands=("touch /ours",))))["user-data"])
    mine, ours = parts.get_payload()
    assert mine.get_content_type() == ours.get_content_type() == "text/cloud-config"
    assert mine.get_payload(decode=True).decode() == given
    assert yaml.safe_load(ours.get_payload(decode=True)) == {"runcmd": ["touch /ours"]}
    assert ours["X-Merge-Type"].startswith("list(append)")
    script = email.message_from_string(files_of(build(make(user_data="#!/bin/sh\n", timezone="Etc/UTC")))["user-data"])
    assert script.get_payload()[0].get_content_type() == "text/x-shellscript"


def test_equal_wishes_give_equal_user_data():
    wish = make(user_data="#!/bin/sh\n", commands=("true",))
    assert files_of(build(wish))["user-data"] == files_of(build(wish))["user-data"]


def test_the_full_name_comes_as_the_host_name():
    meta = yaml.safe_load(files_of(build(make(fqdn="web-02.example.org")))["meta-data"])
    assert meta["local-hostname"] == "web-02.example.org"


def test_version_2_has_routes_search_domains_and_dhcp_of_both_families():
    wish = make(
        interfaces=(interface(is_dhcp4=True, is_dhcp6=True, routes=(route("198.51.100.0/24", "192.0.2.254"),)),),
        search=("example.org",),
    )
    assert yaml.safe_load(files_of(build(wish))["network-config"])["ethernets"]["eth0"] == {
        "match": {"macaddress": MAC}, "dhcp4": True, "dhcp6": True,
        "routes": [{"to": "198.51.100.0/24", "via": "192.0.2.254"}], "nameservers": {"search": ["example.org"]},
    }  # fmt: skip


# --- Config Drive --------------------------------------------------------------------------------------------------------

STATIC = interface(
    addresses=("192.0.2.10/24", "2001:db8::10/64"), gateways=("192.0.2.1", "2001:db8::1"), dns=("192.0.2.53",),
    routes=(route("198.51.100.0/24", "192.0.2.254"),),
)  # fmt: skip


def test_config_drive_has_the_names_of_its_specification(tmp_path):
    wish = make(interfaces=(interface(),), user_data="#!/bin/sh\n")
    assert sorted(drive(wish)) == [
        f"{DRIVE}/{name}" for name in ("meta_data.json", "network_data.json", "user_data", "vendor_data.json")
    ]
    path = tmp_path / "seed.iso"
    path.write_bytes(build(wish, final.SeedFormat.CONFIG_DRIVE))
    about = subprocess.run(["isoinfo", "-d", "-i", path], capture_output=True, text=True, check=True).stdout
    assert "Volume id: config-2" in about
    for names in ("-R", "-J"):
        listing = subprocess.run(["isoinfo", names, "-f", "-i", path], capture_output=True, text=True, check=True)
        assert f"/{DRIVE}/meta_data.json" in listing.stdout.split()


def test_config_drive_metadata():
    files = drive(make(ssh_keys=(KEY,), fqdn="web-02.example.org", admin_password="plain"))
    assert json.loads(files[f"{DRIVE}/meta_data.json"]) == {
        "uuid": "6f9c-1", "hostname": "web-02.example.org", "name": "web-02", "public_keys": {"key-0": KEY},
    }  # fmt: skip
    assert json.loads(files[f"{DRIVE}/vendor_data.json"])["cloud-init"].startswith("#cloud-config\n")


def test_config_drive_network_as_nova_writes_it():
    network = json.loads(drive(make(interfaces=(STATIC,), search=("example.org",)))[f"{DRIVE}/network_data.json"])
    assert network["links"] == [{"id": "net0", "type": "phy", "ethernet_mac_address": MAC}]
    four, six = network["networks"]
    assert (four["ip_address"], four["netmask"], four["type"]) == ("192.0.2.10", "255.255.255.0", "ipv4")
    assert four["routes"] == [
        {"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "192.0.2.1"},
        {"network": "198.51.100.0", "netmask": "255.255.255.0", "gateway": "192.0.2.254"},
    ]
    assert (six["ip_address"], six["netmask"]) == ("2001:db8::10", "ffff:ffff:ffff:ffff::")
    assert six["routes"] == [{"network": "::", "netmask": "::", "gateway": "2001:db8::1"}]
    assert network["services"] == [{"type": "dns", "address": "192.0.2.53"}]


def test_nuageinit_gets_what_it_understands():
    files = drive(make(interfaces=(STATIC,), users=(BOB,)), NUAGEINIT)
    four, six = json.loads(files[f"{DRIVE}/network_data.json"])["networks"]
    assert four["gateway"] == "192.0.2.1"
    assert six["ip_address"] == "2001:db8::10/64"
    bob = yaml.safe_load(files[f"{DRIVE}/user_data"])["users"][1]
    assert (bob["groups"], bob["passwd"]) == ("docker,wheel", HASH)
    assert f"{DRIVE}/vendor_data.json" not in files


def test_cloudbase_init_gets_a_plain_password_and_accounts_of_windows():
    files = drive(make(admin_password="plain", users=(BOB,)), CLOUDBASE)
    assert json.loads(files[f"{DRIVE}/meta_data.json"])["admin_pass"] == "plain"
    bob = yaml.safe_load(files[f"{DRIVE}/user_data"])["users"][1]
    assert bob == {"name": "bob", "groups": ["docker", "Administrators"], "ssh_authorized_keys": [KEY]}


def test_user_data_must_be_known_to_the_reader_that_gets_it():
    check(make(user_data="#ps1_sysnative\nhostname"), CLOUDBASE)
    for reader in (CLOUD_INIT, NUAGEINIT):
        with pytest.raises(errors.InvalidRequest, match=reader.name):
            check(make(user_data="#ps1_sysnative\nhostname"), reader)


def test_a_reader_of_one_document_gets_no_two():
    with pytest.raises(errors.InvalidRequest, match="one document"):
        check(make(user_data="#!/bin/sh\n", commands=("true",)), NUAGEINIT)

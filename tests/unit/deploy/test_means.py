"""By which means a server gets its final configuration, and what is told of it."""

import types

import pytest

from estampe import errors
from estampe.deploy import means as ways
from estampe.deploy import request as requests
from estampe.deploy import wish as wishes
from estampe.model import final, guest, record
from estampe.virt import base as virt

MAC = "52:54:00:aa:bb:01"
LINUX = {
    "kind": "linux", "distribution": "debian", "version": "12", "product": "Debian 12", "hostname": "web", "root_device": "vda1",
    "file_systems": (), "has_cloud_init": False, "has_guest_agent": False, "can_grow_root": False, "package_count": 1,
    "network": "ifupdown",
}  # fmt: skip
CLOUD = {"has_cloud_init": True, "seed_reader": "cloud-init", "seed_formats": ("nocloud", "config-drive")}
WINDOWS = {"kind": "windows", "distribution": "windows", "product": "Windows Server 2022", "network": "windows"}
BSD = {"kind": "freebsd", "distribution": "freebsd", "product": "FreeBSD 14.1", "network": "rc.conf"}
ADDRESSED = (requests.InterfaceRequest(addresses=("192.0.2.10/24", "192.0.2.11/24")),)


def template(is_sealed=True, is_known=True, left_out=(), **fields):
    """As much of a manifest as means look at."""
    return types.SimpleNamespace(
        guest=guest.Guest(**(LINUX | fields)) if is_known else None,
        sealing=types.SimpleNamespace(is_sealed=is_sealed),
        configuration=types.SimpleNamespace(left_out=left_out),
    )


def request(**fields):
    return requests.DeployRequest(**({"template": "web", "name": "web-02"} | fields))


def decide(found, **fields):
    return ways.decide(request(**fields), found, "web@1")


def wish_of(asked, hostname="web-02"):
    made = virt.NewInterface(mac=MAC, network="lan", bridge=None, model="virtio")
    return wishes.make(asked, identity="i-1", hostname=hostname, interfaces=(made,))


def told(found, **fields):
    asked = request(**fields)
    return ways.told(wish_of(asked), ways.decide(asked, found, "web@1"), found, has_nvram=True)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (CLOUD, ("nocloud", "cloud-init", False)),
        (CLOUD | {"seed_formats": ("config-drive",)}, ("config-drive", "cloud-init", False)),
        (CLOUD | {"seed_formats": ()}, ("nocloud", "cloud-init", False)),
        ({}, (None, None, True)),
        ({"seed_reader": "cloud-init"}, (None, None, True)),  # there, and not seen to take a seed
        (WINDOWS | {"seed_reader": "cloudbase-init"}, ("config-drive", "cloudbase-init", False)),
        (WINDOWS | {"is_generalised": True}, (None, None, True)),
        (WINDOWS | {"is_generalised": False}, (None, None, False)),
        (BSD | {"seed_reader": "nuageinit"}, ("config-drive", "nuageinit", False)),
        (BSD, (None, None, False)),
    ],
)
def test_the_guest_decides(fields, expected):
    found = decide(template(**fields))
    assert (found.seed_format, found.reader, found.is_by_appliance) == expected
    assert (found.why_not is None) is (expected != (None, None, False))


def test_a_guest_that_is_not_known_gets_a_seed_in_case_it_reads_one():
    found = decide(template(is_known=False), ssh_keys=("ssh-ed25519 AAAA",))
    assert (found.seed_format, found.is_by_appliance) == ("nocloud", False)
    (left,) = [change for change in told(template(is_known=False)) if change.outcome is final.Outcome.LEFT]
    assert "not known" in (left.why or "")


def test_a_format_can_be_chosen_among_those_that_the_reader_takes():
    wanted = final.SeedFormat.CONFIG_DRIVE
    assert decide(template(**CLOUD), seed_format=wanted).seed_format is wanted
    assert decide(template(is_known=False), seed_format=wanted).seed_format is wanted
    with pytest.raises(errors.GuestLacks, match="config-drive"):
        decide(template(**CLOUD | {"seed_formats": ("nocloud",)}), seed_format=wanted)
    with pytest.raises(errors.GuestLacks, match="unread"):
        decide(template(), seed_format=wanted)


@pytest.mark.parametrize(
    ("fields", "asked"),
    [
        ({}, {"user_data": "#!/bin/sh"}),
        ({"network": "unknown"}, {"interfaces": ADDRESSED}),
        ({"network": "unknown"}, {"search": ("example.org",)}),
        (WINDOWS, {"hostname": "x"}),
        (WINDOWS, {"interfaces": ADDRESSED}),
        (BSD, {"users": (final.User(name="ana"),)}),
        (BSD, {"timezone": "Europe/Paris"}),
        (CLOUD | {"is_network_left_alone": True}, {"interfaces": (requests.InterfaceRequest(is_dhcp6=True),)}),
    ],
)
def test_what_nothing_would_carry_out_is_refused_where_it_was_asked_for(fields, asked):
    with pytest.raises(errors.GuestLacks):
        decide(template(**fields), **asked)


def test_a_guest_that_cannot_be_written_to_is_told_as_left():
    changes = told(template(**BSD, is_sealed=False))
    assert [(change.what, change.outcome) for change in changes] == [
        ("identity of the machine", final.Outcome.DONE),
        ("host name", final.Outcome.LEFT),
        ("network inside the guest", final.Outcome.LEFT),
    ]
    assert all("FreeBSD 14.1" in (change.why or "") for change in changes[1:])


def test_what_a_seed_says_is_told_and_what_its_reader_cannot_take():
    user = final.User(name="ana")
    changes = told(
        template(**WINDOWS, seed_reader="cloudbase-init"),
        password_hash="$6$x$y", admin_password="x", users=(user,), interfaces=ADDRESSED,
    )  # fmt: skip
    by_seed = {change.what: change.outcome for change in changes if change.means is final.Means.SEED}
    assert by_seed == {
        "host name": final.Outcome.DONE, f"network of {MAC}": final.Outcome.DONE, "password": final.Outcome.LEFT,
        "administrator's password": final.Outcome.DONE, "users": final.Outcome.DONE,
    }  # fmt: skip
    cloud = {change.what: change.outcome for change in told(template(**CLOUD), admin_password="x")}
    assert cloud["administrator's password"] is final.Outcome.LEFT
    bsd = {change.what: change for change in told(template(**BSD, seed_reader="nuageinit"), interfaces=ADDRESSED)}
    assert "first address" in (bsd[f"network of {MAC}"].why or "")


def test_a_sealed_guest_makes_its_identity_anew():
    assert "machine-id and SSH host keys" in {change.what for change in told(template())}
    assert "machine-id and SSH host keys" not in {change.what for change in told(template(is_sealed=False))}


def test_the_full_names_of_several_servers_have_their_own_host_names():
    one = wish_of(request(fqdn="web-02.example.org"))
    many = wish_of(request(fqdn="web.example.org", count=2), hostname="web-1")
    assert (one.full_name, many.full_name) == ("web-02.example.org", "web-1.example.org")


def test_a_wish_is_a_record_and_back():
    user = final.User(name="ana", groups=("a",), is_administrator=True)
    wish = wish_of(request(interfaces=ADDRESSED, users=(user,), commands=("true",)))
    assert record.load(final.FinalConfiguration, record.dump(wish)) == wish
    means = decide(template(**CLOUD))
    assert record.load(ways.Means, record.dump(means)) == means

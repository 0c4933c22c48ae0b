"""Host name, accounts, clock and first-boot commands of a Unix guest; which kind of guest gets what."""

# ruff: noqa: S106 - no secrets of anybody

import re
import subprocess

import pytest
from tests.unit.guest.configuring.wishes import BY_DHCP, MAC1, STATIC, UDEV, guest, outcomes, wish

from estampe import errors
from estampe.guest import configuring, first_boot, memory
from estampe.model import final

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEstampeEstampeEstampeEstampeEstampeEsta me@here"
HASH = "$6$salt$hash"
SYSTEMD = {"/usr/lib/systemd/systemd": "elf"}
DEBIAN = {
    **UDEV,
    **SYSTEMD,
    "/etc/debian_version": "12.5\n",
    "/etc/hostname": "web-01\n",
    "/etc/hosts": "127.0.0.1 localhost\n127.0.1.1 web-01.example.org web-01\n::1 localhost ip6-localhost\n"
    "192.0.2.5 web-01.example.org # as others see it\n",
    "/etc/mailname": "web-01\n",
    "/etc/passwd": "root:x:0:0:root:/root:/bin/bash\nana:x:1000:1000::/home/ana:/bin/bash\n",
    "/etc/shadow": "root:*:19000:0:99999:7:::\nana:$6$old$old:19000:0:99999:7:::\n",
    "/etc/group": "root:x:0:\nsudo:x:27:ana\nana:x:1000:\ndocker:x:998:\n",
    "/etc/gshadow": "root:*::\nsudo:*::ana\nana:!::\ndocker:!::\n",
    "/etc/skel/.profile": "umask 022\n",
    "/etc/sudoers.d/README": "",
    "/usr/bin/sudo": "elf",
    "/bin/bash": "elf",
    "/usr/share/zoneinfo/Europe/Paris": "TZif",
    "/etc/timezone": "Etc/UTC\n",
    "/sbin/ifup": "elf",
    "/etc/network/interfaces": "iface ens3 inet dhcp\n",
}


def lines(appliance, path):
    return appliance.read(path).splitlines()


# --- names ---------------------------------------------------------------------------------------------------------------


def test_the_new_name_takes_the_place_of_the_old_one_everywhere():
    appliance = guest(DEBIAN)
    configuring.configure(appliance, wish(fqdn="web-02.example.net"))
    assert appliance.read("/etc/hostname") == "web-02\n"
    assert appliance.read("/etc/mailname") == "web-02.example.net\n"
    assert lines(appliance, "/etc/hosts") == [
        "127.0.0.1 localhost",
        "127.0.1.1\tweb-02.example.net web-02",
        "::1 localhost ip6-localhost",
        "192.0.2.5 web-01.example.org # as others see it",
    ]


def test_the_sources_name_goes_from_the_loopbacks_line_too():
    hosts = "127.0.0.1 localhost web-01 cache # local\n::1 web-01\n"
    appliance = guest(DEBIAN | {"/etc/hosts": hosts})
    configuring.configure(appliance, wish())
    assert lines(appliance, "/etc/hosts") == ["127.0.0.1\tlocalhost cache # local", "127.0.1.1\tweb-02"]


def test_red_hat_takes_the_full_name_and_its_older_places():
    parts = {
        "/etc/redhat-release": "CentOS release 6.10\n",
        "/etc/passwd": "root:x:0:0::/root:/bin/sh\n",
        "/etc/sysconfig/network": "NETWORKING=yes\nHOSTNAME=web-01.example.org\n",
        "/etc/hosts": "127.0.0.1 web-01.example.org localhost\n",
        "/etc/sysconfig/clock": 'ZONE="UTC"\n',
        "/usr/share/zoneinfo/Europe/Paris": "TZif",
    }
    appliance = guest(parts)
    configuring.configure(appliance, wish(hostname="web-02.example.org", timezone="Europe/Paris"))
    assert appliance.read("/etc/hostname") == "web-02.example.org\n"
    assert appliance.read("/etc/sysconfig/network") == 'NETWORKING=yes\nHOSTNAME="web-02.example.org"\n'
    assert lines(appliance, "/etc/hosts") == ["127.0.0.1\tlocalhost", "127.0.1.1\tweb-02.example.org web-02"]
    assert appliance.read("/etc/sysconfig/clock") == 'ZONE="Europe/Paris"\n'


def test_a_guest_without_a_hosts_file_gets_one():
    appliance = guest({"/etc/passwd": "root:x:0:0::/root:/bin/sh\n"})
    configuring.configure(appliance, wish())
    assert lines(appliance, "/etc/hosts") == ["127.0.0.1\tlocalhost", "127.0.1.1\tweb-02"]


# --- accounts ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def pwck(tmp_path):
    def check(appliance):
        for tool, names in (("pwck", ("passwd", "shadow")), ("grpck", ("group", "gshadow"))):
            for name in names:
                (tmp_path / name).write_text(appliance.read(f"/etc/{name}"))
            done = subprocess.run(
                [tool, "-r", *(str(tmp_path / name) for name in names)],
                check=False,
                capture_output=True,
                text=True,
                timeout=30,
            )
            # Homes, and each other's names, are looked up on this host.
            told = [
                line for line in done.stdout.splitlines() if not re.search("does not exist|no group|no user|No$", line)
            ]
            assert told in ([], [f"{tool}: no changes"]), done.stdout

    return check


def test_a_user_is_made_as_the_guests_own_tools_would(pwck):
    appliance = guest(DEBIAN)
    user = final.User(name="bob", password_hash=HASH, ssh_keys=(KEY,), groups=("docker",), is_administrator=True)
    changes = configuring.configure(appliance, wish(users=(user,)))
    pwck(appliance)
    assert "bob:x:1001:1001::/home/bob:/bin/bash" in lines(appliance, "/etc/passwd")
    assert f"bob:{HASH}::0:99999:7:::" in lines(appliance, "/etc/shadow")
    assert {"sudo:x:27:ana,bob", "docker:x:998:bob", "bob:x:1001:"} <= set(lines(appliance, "/etc/group"))
    assert "docker:!::bob" in lines(appliance, "/etc/gshadow")
    assert appliance.given("/home/bob") == (0o700, (1001, 1001))
    assert appliance.given("/home/bob/.profile") == (0o644, (1001, 1001))
    assert appliance.read("/home/bob/.ssh/authorized_keys") == f"{KEY}\n"
    assert appliance.given("/home/bob/.ssh/authorized_keys") == (0o600, (1001, 1001))
    assert "bob ALL=(ALL) ALL" in appliance.read("/etc/sudoers.d/90-estampe-bob")
    assert appliance.given("/etc/sudoers.d/90-estampe-bob") == (0o440, (0, 0))
    assert set(outcomes(changes).values()) == {final.Outcome.DONE}


def test_a_user_without_a_password_may_use_keys_and_sudo(pwck):
    appliance = guest(DEBIAN)
    configuring.configure(appliance, wish(users=(final.User(name="bob", is_administrator=True),)))
    pwck(appliance)
    assert "bob:*::0:99999:7:::" in lines(appliance, "/etc/shadow")
    assert "NOPASSWD" in appliance.read("/etc/sudoers.d/90-estampe-bob")


def test_a_user_who_is_there_is_changed_and_keeps_the_rest():
    appliance = guest(DEBIAN, {"/home/ana/.ssh/authorized_keys": "ssh-rsa AAAA old\n"})
    user = final.User(name="ana", password_hash=HASH, ssh_keys=(KEY,), shell="/bin/zsh")  # noqa: S604
    configuring.configure(appliance, wish(users=(user,)))
    assert "ana:x:1000:1000::/home/ana:/bin/zsh" in lines(appliance, "/etc/passwd")
    assert f"ana:{HASH}:19000:0:99999:7:::" in lines(appliance, "/etc/shadow")
    assert lines(appliance, "/home/ana/.ssh/authorized_keys") == ["ssh-rsa AAAA old", KEY]


def test_keys_and_password_without_a_user_are_roots():
    appliance = guest(DEBIAN)
    changes = configuring.configure(appliance, wish(ssh_keys=(KEY,), password_hash=HASH))
    assert lines(appliance, "/root/.ssh/authorized_keys") == [KEY]
    assert appliance.given("/root/.ssh") == (0o700, (0, 0))
    assert f"root:{HASH}:19000:0:99999:7:::" in lines(appliance, "/etc/shadow")
    assert {"SSH keys of root", "password"} <= set(outcomes(changes))
    assert HASH not in str(changes)


def test_what_an_account_cannot_get_is_told():
    parts = {path: text for path, text in DEBIAN.items() if "sudo" not in path}
    user = final.User(name="bob", groups=("nowhere",), is_administrator=True)
    changes = configuring.configure(guest(parts), wish(users=(user,), admin_password="plain", user_data="#!/bin/sh"))
    left = {change.what for change in changes if change.outcome is final.Outcome.LEFT}
    assert left == {"groups of bob", "sudo for bob", "administrator's password", "user data"}


def test_a_broken_account_file_is_an_error():
    with pytest.raises(errors.ApplianceFailed, match="root"):
        configuring.configure(guest({"/etc/passwd": "root:x\n"}), wish(ssh_keys=(KEY,)))


# --- clock, commands ------------------------------------------------------------------------------------------------------


def test_the_time_zone_is_a_link_and_debians_name_of_it():
    appliance = guest(DEBIAN)
    configuring.configure(appliance, wish(timezone="Europe/Paris"))
    assert appliance.read("/etc/localtime") == "TZif"
    assert appliance.read("/etc/timezone") == "Europe/Paris\n"


def test_a_zone_that_the_guest_does_not_know_is_left():
    changes = configuring.configure(guest(DEBIAN), wish(timezone="Europe/Atlantis"))
    assert outcomes(changes)["time zone"] is final.Outcome.LEFT


def test_commands_are_run_once_by_a_unit():
    appliance = guest(DEBIAN)
    configuring.configure(appliance, wish(commands=("apt-get update", "touch /srv/ready")))
    assert lines(appliance, "/etc/estampe/estampe-first-boot.sh")[2:] == ["apt-get update", "touch /srv/ready"]
    assert appliance.given("/etc/estampe/estampe-first-boot.sh") == (0o700, (0, 0))
    unit = "/etc/systemd/system/estampe-first-boot.service"
    assert "ConditionPathExists=/etc/estampe/estampe-first-boot.sh" in appliance.read(unit)
    assert appliance.read("/etc/systemd/system/multi-user.target.wants/estampe-first-boot.service") == appliance.read(
        unit
    )


def test_the_unit_is_one_that_systemd_takes(tmp_path):
    appliance = guest(DEBIAN)
    job = first_boot.Job(name="once", description="A job", script="true\n", before=("ssh",), is_network_needed=True)
    unit = tmp_path / "once.service"
    unit.write_text(appliance.read(str(first_boot.install(appliance, job))))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit], check=False, capture_output=True, text=True, timeout=60
    )
    assert "once.service" not in done.stderr, done.stderr


def ran(script, directory, *arguments):
    """Run an init script with /etc/estampe in `directory`."""
    script = script.replace("/etc/estampe", str(directory))
    return subprocess.run(["sh", "-c", script, "init", *arguments], check=True, capture_output=True, timeout=30)


@pytest.mark.parametrize(
    ("parts", "path"),
    [
        ({"/etc/rc2.d/S01ssh": "", "/etc/rc3.d/S01ssh": ""}, "/etc/rc3.d/S99once"),
        ({"/etc/rc.d/rc3.d/S55sshd": ""}, "/etc/rc.d/rc3.d/S99once"),
        ({"/etc/init.d/rcS": ""}, "/etc/init.d/S99once"),
    ],
)
def test_old_init_systems_run_a_job_once(parts, path, tmp_path):
    appliance = guest(parts)
    place = first_boot.install(appliance, first_boot.Job(name="once", description="A job", script="true\n"))
    assert appliance.read(path) == appliance.read(str(place))
    assert appliance.given(path) == (0o755, (0, 0))
    script = appliance.read(path)
    (tmp_path / "once.sh").write_text(f"echo run >> {tmp_path}/log\n")
    for argument in ("stop", "start", "start"):
        ran(script, tmp_path, argument)
    assert (tmp_path / "log").read_text() == "run\n"


def test_openrc_gets_a_service_of_its_default_level():
    appliance = guest({"/etc/runlevels/default/sshd": ""})
    job = first_boot.Job(name="once", description="A job", script="true\n", before=("sshd",), is_network_needed=True)
    assert first_boot.install(appliance, job) == "/etc/init.d/once"
    text = appliance.read("/etc/runlevels/default/once")
    assert text.startswith("#!/sbin/openrc-run\n")
    assert "need net" in text
    assert "before sshd" in text


def test_without_a_known_init_system_commands_are_left():
    appliance = guest({"/etc/passwd": "root:x:0:0::/root:/bin/sh\n"})
    changes = configuring.configure(appliance, wish(commands=("true",)))
    assert outcomes(changes)["first-boot commands"] is final.Outcome.LEFT
    assert not first_boot.can_run(appliance)
    assert not appliance.exists("/etc/estampe")


# --- all of it -----------------------------------------------------------------------------------------------------------


def test_a_guest_that_enforces_labels_gets_new_ones():
    appliance = guest(DEBIAN, {"/etc/selinux/config": "# SELINUX=disabled\nSELINUX=enforcing\nSELINUXTYPE=targeted\n"})
    changes = configuring.configure(appliance, wish())
    assert appliance.exists("/.autorelabel")
    assert changes[-1].means is final.Means.FIRST_BOOT
    disabled = guest(DEBIAN, {"/etc/selinux/config": "SELINUX=disabled\n"})
    configuring.configure(disabled, wish())
    assert not disabled.exists("/.autorelabel")


def test_a_guest_of_no_known_kind_is_left():
    (change,) = configuring.configure(memory.MemoryAppliance({"/boot/kernel": "elf"}), wish(interfaces=(BY_DHCP,)))
    assert change.outcome is final.Outcome.LEFT


def test_doing_it_again_changes_nothing():
    appliance = guest(DEBIAN)
    user = final.User(name="bob", password_hash=HASH, ssh_keys=(KEY,), groups=("docker",), is_administrator=True)
    asked = wish(interfaces=(STATIC,), users=(user,), ssh_keys=(KEY,), commands=("true",), timezone="Europe/Paris")
    configuring.configure(appliance, asked)
    before = {path: appliance.read(path) for path in appliance.files("/")}
    configuring.configure(appliance, asked)
    assert {path: appliance.read(path) for path in appliance.files("/")} == before


# --- BSD -----------------------------------------------------------------------------------------------------------------

FREEBSD = {
    "/etc/rc.subr": "",
    "/etc/passwd": "root:*:0:0::/root:/bin/sh\n",
    "/etc/rc.conf": 'hostname="web-01"\nifconfig_vtnet0="inet 192.0.2.5/24"\ndefaultrouter="192.0.2.1"\nsshd_enable="YES"\n',
}


def test_rc_conf_gets_name_and_addresses():
    appliance = guest(FREEBSD)
    changes = configuring.configure(appliance, wish(fqdn="web-02.example.org", interfaces=(STATIC,), ssh_keys=(KEY,)))
    assert lines(appliance, "/etc/rc.conf") == [
        'hostname="web-02.example.org"', 'sshd_enable="YES"', 'ifconfig_vtnet0="inet 192.0.2.10/24"',
        'ifconfig_vtnet0_ipv6="inet6 2001:db8::10/64"', 'ifconfig_vtnet0_alias0="inet 192.0.2.11/24"',
        'defaultrouter="192.0.2.1"', 'route_estampe0="-net 198.51.100.0/24 192.0.2.254"', 'ipv6_defaultrouter="2001:db8::1"',
        'ipv6_route_estampe0="2001:db8:5::/48 2001:db8::fe"', 'static_routes="estampe0"', 'ipv6_static_routes="estampe0"',
    ]  # fmt: skip
    assert outcomes(changes)["SSH keys"] is final.Outcome.LEFT


def test_rc_conf_leaves_interfaces_that_it_has_no_names_for():
    appliance = guest(FREEBSD)
    second = final.Interface(mac="52:54:00:aa:bb:02")
    changes = configuring.configure(appliance, wish(interfaces=(BY_DHCP, second)))
    assert outcomes(changes)[f"network of {MAC1}"] is final.Outcome.LEFT
    assert 'ifconfig_vtnet0="inet 192.0.2.5/24"' in lines(appliance, "/etc/rc.conf")


class ReadOnly(memory.MemoryAppliance):
    def write(self, path, text):
        if path in self._nodes and getattr(self, "is_sealed", False):
            raise errors.ApplianceFailed(detail="Read-only file system")
        super().write(path, text)


def test_a_file_system_that_can_only_be_read_is_told():
    appliance = ReadOnly(FREEBSD)
    appliance.is_sealed = True
    changes = configuring.configure(appliance, wish(interfaces=(BY_DHCP,)))
    assert set(outcomes(changes).values()) == {final.Outcome.LEFT}
    assert "UFS" in (changes[0].why or "")

"""What a person may ask for the final configuration: names, keys, users, time zone, commands, user data."""

from __future__ import annotations

import base64
import binascii
import itertools
import re
import zoneinfo
from typing import Final

import yaml

from estampe import errors
from estampe.guest import seed_readers, seed_user_data, wish_network
from estampe.model import final

_LABEL: Final = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
_HOSTNAME_LENGTH: Final = 253  # RFC 1123; the kernel takes 64 bytes of the first label
_KEY_TYPE: Final = re.compile(
    r"ssh-(ed25519|rsa|dss)|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com"
)
# useradd(8) of Debian, without the trailing dollar of Samba's machines; Windows takes these too.
_USER: Final = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_GROUP: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_ -]{0,63}")
_SHELL: Final = re.compile(r"(/[A-Za-z0-9._+-]+)+")
# crypt(5): $id$..., of methods that are in use; or DES' thirteen characters are not taken.
_HASH: Final = re.compile(r"\$(1|2[abxy]|5|6|7|y|gy|sha1|md5)\$[\x21-\x39\x3b-\x7e]+")
_ZONE: Final = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+){0,2}")


def check(wish: final.FinalConfiguration, *, reader: seed_readers.Reader | None) -> None:
    """Whether a wish makes sense, and can be told to the seed reader, where one is to read it.

    Raises: errors.InvalidRequest, which names the field.
    """
    check_hostname(wish.hostname)
    if wish.fqdn is not None:
        _check_fqdn(wish)
    for domain in wish.search:
        check_hostname(domain, field="search")
    for key in (*wish.ssh_keys, *(key for user in wish.users for key in user.ssh_keys)):
        check_ssh_key(key)
    _check_users(wish)
    if wish.password_hash is not None:
        _check_hash(wish.password_hash, field="password_hash")
    if wish.timezone is not None:
        _check_timezone(wish.timezone)
    if any("\0" in command or "\n" in command or not command.strip() for command in wish.commands):
        raise errors.InvalidRequest(field="commands", problem="a command is one line of text")
    if wish.user_data is not None:
        _check_user_data(wish, reader or seed_readers.get(seed_readers.DEFAULT))
    wish_network.check(wish.interfaces)


def _check_fqdn(wish: final.FinalConfiguration) -> None:
    fqdn = wish.fqdn or ""
    check_hostname(fqdn, field="fqdn")
    if "." not in fqdn or fqdn.partition(".")[0].lower() != wish.short_name.lower():
        problem = f"{fqdn!r} is not the host name {wish.short_name!r} with a domain behind it"
        raise errors.InvalidRequest(field="fqdn", problem=problem)


def _check_users(wish: final.FinalConfiguration) -> None:
    names = [user.name for user in wish.users]
    for user in wish.users:
        if not _USER.fullmatch(user.name) or user.name == "root":
            problem = f"{user.name!r} is not the name of a new user: small letters, digits, hyphens, and not root"
            raise errors.InvalidRequest(field="users", problem=problem)
        if names.count(user.name) > 1:
            raise errors.InvalidRequest(field="users", problem=f"{user.name!r} is given twice")
        if user.password_hash is not None:
            _check_hash(user.password_hash, field="users")
        bad = [group for group in user.groups if not _GROUP.fullmatch(group)]
        if bad:
            raise errors.InvalidRequest(field="users", problem=f"{bad[0]!r} is not the name of a group")
        if user.shell is not None and not _SHELL.fullmatch(user.shell):
            raise errors.InvalidRequest(field="users", problem=f"{user.shell!r} is not the path of a shell")


def _check_hash(password_hash: str, *, field: str) -> None:
    """Never told back: it may be a password that somebody took for a hash."""
    if not _HASH.fullmatch(password_hash):
        problem = "not a password's hash as in /etc/shadow, $6$...: `openssl passwd -6` or `mkpasswd` makes one"
        raise errors.InvalidRequest(field=field, problem=problem)


def _check_timezone(zone: str) -> None:
    """By this host's own list, where it has one."""
    known = zoneinfo.available_timezones()
    if not _ZONE.fullmatch(zone) or (known and zone not in known):
        raise errors.InvalidRequest(
            field="timezone", problem=f"{zone!r} is not a time zone, as Europe/Paris or Etc/UTC"
        )


def check_hostname(hostname: str, *, field: str = "hostname") -> None:
    """A host name or a fully qualified one. Raises: errors.InvalidRequest."""
    if len(hostname) > _HOSTNAME_LENGTH or not all(_LABEL.fullmatch(label) for label in hostname.split(".")):
        problem = f"{hostname!r} is not a host name: letters, digits and hyphens, in parts of at most 63 between dots"
        raise errors.InvalidRequest(field=field, problem=problem)


def check_ssh_key(key: str) -> None:
    """One line as in authorized_keys, options in front allowed. Raises: errors.InvalidRequest, which never holds the key."""
    fields = key.split()
    if "\n" in key.strip() or not any(_is_key(kind, blob) for kind, blob in itertools.pairwise(fields)):
        problem = "not an OpenSSH public key in one line, as in a .pub file: ssh-ed25519 AAAA... comment"
        raise errors.InvalidRequest(field="ssh-key", problem=problem)


def _is_key(kind: str, blob: str) -> bool:
    """Whether `blob` is base64 of a key that itself says it is of `kind` (RFC 4253 section 6.6)."""
    if not _KEY_TYPE.fullmatch(kind):
        return False
    try:
        content = base64.b64decode(blob, validate=True)
    except (binascii.Error, ValueError):
        return False
    return content.startswith(len(kind).to_bytes(4, "big") + kind.encode())


def _check_user_data(wish: final.FinalConfiguration, reader: seed_readers.Reader) -> None:
    """Something that the reader knows what to do with; it passes over anything else in silence."""
    user_data = wish.user_data or ""
    if not user_data.startswith(reader.heads):
        problem = f"must begin with #cloud-config, #! or another first line that {reader.name} knows"
        raise errors.InvalidRequest(field="user-data", problem=problem)
    if user_data.splitlines()[0].strip() == "#cloud-config":
        _check_cloud_config(user_data)
    if not reader.is_multipart_read and seed_user_data.added(wish, reader):
        problem = f"{reader.name} reads one document only: put users, time zone and commands into it"
        raise errors.InvalidRequest(field="user-data", problem=problem)


def _check_cloud_config(user_data: str) -> None:
    try:
        config = yaml.safe_load(user_data)
    except yaml.MarkedYAMLError as error:
        where = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        raise errors.InvalidRequest(field="user-data", problem=f"not YAML: {error.problem}{where}") from None
    except (yaml.YAMLError, ValueError, RecursionError):  # the 30th of February; a thousand brackets
        raise errors.InvalidRequest(field="user-data", problem="not YAML that can be read") from None
    if config is not None and not isinstance(config, dict):
        raise errors.InvalidRequest(field="user-data", problem="#cloud-config must be followed by `key: value` lines")

"""What a person may ask to be put into a seed: host name, keys, user data."""

from __future__ import annotations

import base64
import binascii
import itertools
import re
from typing import Final

import yaml

from estampe import errors

_LABEL: Final = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
_HOSTNAME_LENGTH: Final = 253  # RFC 1123; the kernel takes 64 bytes of the first label
_KEY_TYPE: Final = re.compile(
    r"ssh-(ed25519|rsa|dss)|ecdsa-sha2-nistp(256|384|521)|sk-(ssh-ed25519|ecdsa-sha2-nistp256)@openssh\.com"
)
# https://docs.cloud-init.io/en/22.4/topics/format.html
_USER_DATA_HEADS: Final = (
    "#cloud-config", "#cloud-config-archive", "#!", "#include", "#include-once", "#cloud-boothook", "#part-handler",
    "## template: jinja", "Content-Type:", "MIME-Version:", "From ",
)  # fmt: skip


def check_hostname(hostname: str) -> None:
    """A host name or a fully qualified one. Raises: errors.InvalidRequest."""
    if len(hostname) > _HOSTNAME_LENGTH or not all(_LABEL.fullmatch(label) for label in hostname.split(".")):
        problem = f"{hostname!r} is not a host name: letters, digits and hyphens, in parts of at most 63 between dots"
        raise errors.InvalidRequest(field="hostname", problem=problem)


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


def check_user_data(user_data: str) -> None:
    """Something that cloud-init knows what to do with; it passes over anything else in silence.

    Raises: errors.InvalidRequest.
    """
    if not user_data.startswith(_USER_DATA_HEADS):
        problem = "must begin with #cloud-config, #! or another first line that cloud-init knows"
        raise errors.InvalidRequest(field="user-data", problem=problem)
    if user_data.splitlines()[0].strip() == "#cloud-config":
        _check_cloud_config(user_data)


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

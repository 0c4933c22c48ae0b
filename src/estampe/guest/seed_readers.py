"""The programs that read seeds inside guests, and what each of them can be told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from estampe.model import final


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """One of them. What a wish asks and the reader cannot be told is left, and told."""

    name: str
    formats: tuple[final.SeedFormat, ...]  # the best first
    heads: tuple[str, ...]  # what user data may begin with; anything else is passed over in silence
    is_multipart_read: bool  # so that user data and what Estampe adds can stand beside each other
    is_vendor_data_read: bool  # cloud-config that user data overrides
    takes_hashes: bool  # of passwords; else plain ones, of the administrator
    addresses_per_family: int | None  # None: any number
    account: Callable[[final.User], dict[str, Any]]


def _linux_account(user: final.User) -> dict[str, Any]:
    """https://docs.cloud-init.io/en/22.4/topics/modules.html#users-and-groups."""
    made: dict[str, Any] = {"name": user.name, "lock_passwd": user.password_hash is None}
    if user.password_hash:
        made["passwd"] = user.password_hash
    if user.ssh_keys:
        made["ssh_authorized_keys"] = [key.strip() for key in user.ssh_keys]
    if user.groups:
        made["groups"] = list(user.groups)
    if user.shell:
        made["shell"] = user.shell
    if user.is_administrator:
        made["sudo"] = "ALL=(ALL) ALL" if user.password_hash else "ALL=(ALL) NOPASSWD:ALL"
    return made


def _windows_account(user: final.User) -> dict[str, Any]:
    """https://cloudbase-init.readthedocs.io/en/latest/userdata.html#users."""
    made: dict[str, Any] = {"name": user.name}
    groups = [*user.groups, *(["Administrators"] if user.is_administrator else [])]
    if groups:
        made["groups"] = groups
    if user.ssh_keys:
        made["ssh_authorized_keys"] = [key.strip() for key in user.ssh_keys]
    return made


def _freebsd_account(user: final.User) -> dict[str, Any]:
    """nuageinit(7): groups as one text, and administrators by membership of wheel besides sudo."""
    made = {key: value for key, value in _linux_account(user).items() if key != "lock_passwd"}
    groups = [*user.groups, *(["wheel"] if user.is_administrator else [])]
    return made | ({"groups": ",".join(groups)} if groups else {})


# https://docs.cloud-init.io/en/22.4/topics/format.html
_CLOUD_INIT: Final = Reader(
    name="cloud-init",
    formats=(final.SeedFormat.NOCLOUD, final.SeedFormat.CONFIG_DRIVE),
    heads=(
        "#cloud-config", "#cloud-config-archive", "#!", "#include", "#include-once", "#cloud-boothook", "#part-handler",
        "## template: jinja", "Content-Type:", "MIME-Version:", "From ",
    ),
    is_multipart_read=True,
    is_vendor_data_read=True,
    takes_hashes=True,
    addresses_per_family=None,
    account=_linux_account,
)  # fmt: skip
_CLOUDBASE_INIT: Final = Reader(
    name="cloudbase-init",
    formats=(final.SeedFormat.CONFIG_DRIVE,),
    heads=(
        "#cloud-config",
        "#!",
        "#ps1",
        "rem cmd",
        "<powershell>",
        "<script>",
        "Content-Type:",
        "MIME-Version:",
        "From ",
    ),
    is_multipart_read=True,
    is_vendor_data_read=False,
    takes_hashes=False,
    addresses_per_family=None,
    account=_windows_account,
)
# With NoCloud it sets the network only where there is cloud-config too; with Config Drive always (nuageinit, FreeBSD 14, 15).
_NUAGEINIT: Final = Reader(
    name="nuageinit",
    formats=(final.SeedFormat.CONFIG_DRIVE, final.SeedFormat.NOCLOUD),
    heads=("#cloud-config", "#!"),
    is_multipart_read=False,
    is_vendor_data_read=False,
    takes_hashes=True,
    addresses_per_family=1,
    account=_freebsd_account,
)
DEFAULT: Final = _CLOUD_INIT.name  # taken for the reader of a guest that is not known
_READERS: Final = {each.name: each for each in (_CLOUD_INIT, _CLOUDBASE_INIT, _NUAGEINIT)}


def get(name: str) -> Reader:
    """The reader of that name, as model.guest.Guest.seed_reader has it."""
    return _READERS[name]

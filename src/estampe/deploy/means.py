"""By which means a server gets its final configuration: a seed that its guest reads, the appliance, or the hypervisor alone.

guest                                          means
not known                                      a seed, in case it is read
with a seed reader                             a seed, in the format that the reader takes
Linux without; Windows that is generalised     the appliance writes into its volumes
anything else                                  the hypervisor alone; what only the guest can do is refused, or told as left
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from estampe import errors
from estampe.deploy import request as requests
from estampe.deploy import wish as wishes
from estampe.guest import seed_readers, wish_check
from estampe.guest.configuring import addressing
from estampe.model import final, manifest
from estampe.model import guest as guests

_NOT_GENERALISED: Final = "Windows that is generalised by sysprep, or cloudbase-init"
_UNKNOWN: Final = final.Change(
    what="host name, network and accounts",
    means=final.Means.SEED,
    detail="a first-boot seed is attached",
    outcome=final.Outcome.LEFT,
    why="the guest is not known, so whether it reads the seed cannot be told",
)
_BY_ITSELF: Final = "made anew at the first boot (removed when the template was sealed)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What the servers of one deploy get their final configuration by."""

    seed_format: final.SeedFormat | None = None
    reader: str | None = None  # of the seed; set exactly with the format
    is_by_appliance: bool = False
    why_not: str | None = None  # set exactly where it is neither


def decide(request: requests.DeployRequest, found: manifest.Manifest, template: str) -> Means:
    """Raises: errors.GuestLacks where something is asked for that nothing in the guest would carry out."""
    guest = found.guest
    if guest is None:
        return Means(seed_format=request.seed_format or final.SeedFormat.NOCLOUD, reader=seed_readers.DEFAULT)
    reader = _reader(guest)
    if reader is not None:
        return _by_seed(request, guest, reader, template)
    if request.seed_format is not None:
        _refuse(template, what="a seed reader", detail=f"--seed {request.seed_format} would go unread")
    if request.user_data is not None:
        _refuse(template, what="a seed reader", detail="--user-data needs cloud-init or another one in the guest")
    if guest.kind == "linux":
        _check_network(request, guest, template)
        return Means(is_by_appliance=True)
    if guest.kind == "windows" and guest.is_generalised:
        return Means(is_by_appliance=True)
    return _by_hypervisor(request, guest, template)


def _refuse(template: str, *, what: str, detail: str) -> None:
    raise errors.GuestLacks(template=template, what=what, detail=detail)


def _reader(guest: guests.Guest) -> seed_readers.Reader | None:
    """cloud-init counts only where it was seen to take a seed."""
    if guest.has_cloud_init:
        return seed_readers.get("cloud-init")
    known = guest.seed_reader in {"cloudbase-init", "nuageinit"}
    return seed_readers.get(guest.seed_reader) if known and guest.seed_reader else None


def _by_seed(request: requests.DeployRequest, guest: guests.Guest, reader: seed_readers.Reader, template: str) -> Means:
    if wishes.network_asked(request) and guest.is_network_left_alone:
        detail = "it is told to leave the network alone there, so addresses, gateways and DNS servers would go unread"
        _refuse(template, what="cloud-init that sets the network", detail=detail)
    taken = [each for each in reader.formats if not guest.seed_formats or each in guest.seed_formats]
    if request.seed_format is not None and request.seed_format not in taken:
        detail = f"its {reader.name} reads {', '.join(taken)}"
        _refuse(template, what=f"a reader of {request.seed_format} seeds", detail=detail)
    return Means(seed_format=request.seed_format or taken[0], reader=reader.name)


def _check_network(request: requests.DeployRequest, guest: guests.Guest, template: str) -> None:
    asked = wishes.network_asked(request)
    if asked and guest.network == guests.UNKNOWN:
        detail = f"{asked[0]} needs a guest of which it is known how it configures its network"
        _refuse(template, what="a known network configuration", detail=detail)


def _by_hypervisor(request: requests.DeployRequest, guest: guests.Guest, template: str) -> Means:
    is_windows = guest.kind == "windows"
    what = _NOT_GENERALISED if is_windows else "a seed reader"
    asked = wishes.asked_of_the_guest(request)
    if asked:
        _refuse(
            template, what=what, detail=f"{asked[0]} can be carried out by nothing in {guest.product or guest.kind}"
        )
    return Means(why_not=f"the guest ({guest.product or guest.kind}) has no {what}, and cannot be written to here")


def check(wish: final.FinalConfiguration, means: Means) -> None:
    """Whether the wish makes sense by these means. Raises: errors.InvalidRequest, which names the field."""
    reader = None if means.reader is None else seed_readers.get(means.reader)
    wish_check.check(wish, reader=reader)


def told(
    wish: final.FinalConfiguration, means: Means, found: manifest.Manifest, *, has_nvram: bool
) -> tuple[final.Change, ...]:
    """What is told of a server besides what the appliance tells: what its seed says, what is the hypervisor's, what is left."""
    made = "new UUID, MAC addresses" + (" and own copy of the NVRAM" if has_nvram else "")
    changes = [final.Change(what="identity of the machine", means=final.Means.HYPERVISOR, detail=made)]
    if found.sealing.is_sealed:
        what = (
            "machine-id and SSH host keys" if found.guest and found.guest.kind == "linux" else "identity of the guest"
        )
        changes.append(final.Change(what=what, means=final.Means.FIRST_BOOT, detail=_BY_ITSELF))
    if found.guest is None:
        changes.append(_UNKNOWN)
    elif means.reader is not None:
        changes += _by_reader(wish, means, found, seed_readers.get(means.reader))
    if means.why_not is not None:
        changes += [
            final.Change(
                what=what,
                means=final.Means.HYPERVISOR,
                detail="stays as it was captured",
                outcome=final.Outcome.LEFT,
                why=means.why_not,
            )
            for what in ("host name", "network inside the guest")
        ]
    return tuple(changes)


def in_words(wish: final.FinalConfiguration) -> list[tuple[str, str]]:
    """(what, detail) of everything that is wished."""
    lines = [("host name", wish.full_name or wish.hostname)]
    lines += [(f"network of {each.mac}", addressing.told(each)) for each in wish.interfaces]
    asked = {
        "search domains": ", ".join(wish.search),
        "SSH keys": f"{len(wish.ssh_keys)}, for the default user" if wish.ssh_keys else "",
        "password": "of the default user" if wish.password_hash else "",
        "administrator's password": "as given" if wish.admin_password else "",
        "users": ", ".join(user.name for user in wish.users),
        "time zone": wish.timezone or "",
        "first-boot commands": f"{len(wish.commands)}" if wish.commands else "",
        "user data": "as given" if wish.user_data is not None else "",
    }
    return [*lines, *((what, detail) for what, detail in asked.items() if detail)]


def _by_reader(
    wish: final.FinalConfiguration, means: Means, found: manifest.Manifest, reader: seed_readers.Reader
) -> list[final.Change]:
    """What the seed says; whether the guest did as it says only the guest itself can tell."""
    left = _left(wish, found, reader)
    where = f"{means.seed_format} for {reader.name}"
    return [
        final.Change(
            what=what,
            means=final.Means.SEED,
            detail=f"{detail} ({where})",
            outcome=final.Outcome.LEFT if what in left else final.Outcome.DONE,
            why=left.get(what),
        )
        for what, detail in in_words(wish)
    ]


def _left(wish: final.FinalConfiguration, found: manifest.Manifest, reader: seed_readers.Reader) -> dict[str, str]:
    """What of a wish the reader cannot be told, and why."""
    left = {}
    if wish.admin_password and reader.takes_hashes:
        left["administrator's password"] = f"{reader.name} takes hashes: give one"
    if wish.password_hash and not reader.is_vendor_data_read:
        left["password"] = f"{reader.name} sets no password of its default user by a hash; give it to a user"
    most = reader.addresses_per_family
    for interface in wish.interfaces:
        if most is not None and any(len(addressing.addresses(interface, version)) > most for version in (4, 6)):
            left[f"network of {interface.mac}"] = f"{reader.name} sets only the first address of each family"
    if found.guest is not None and found.guest.is_network_left_alone:
        why = "the guest's cloud-init is told to leave the network alone: it stays as it was captured"
        left |= {f"network of {each.mac}": why for each in wish.interfaces}
    return left

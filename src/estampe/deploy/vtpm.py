"""The TPM of new servers: a fresh one, or one with the keys of the source's, where its capture took them."""

from __future__ import annotations

from typing import Final

from estampe import errors
from estampe.deploy import request as requests
from estampe.model import configuration, final, manifest
from estampe.virt import base as virt

FRESH, KEEP = "fresh", "keep"
_ANY: Final = "TPM ("  # as captures tell what they left out: emulated, or of any other kind
_LOST: Final = "what only they open (a volume encrypted by TPM) asks for its recovery key"
_NOT_CAPTURED: Final = f"the keys in the source's TPM were not captured (`estampe capture --keep-vtpm`): {_LOST}"
_NOT_ASKED: Final = f"the keys of the source's TPM are in the template, and were not asked for (`--vtpm keep`): {_LOST}"


def check(
    request: requests.DeployRequest,
    found: manifest.Manifest,
    template: str,
    *,
    capabilities: virt.Capabilities,
    is_own: bool,
) -> None:
    """Whether what is asked of the TPM can be given; `is_own` tells whether the template is of who asks.

    Raises: errors.InvalidRequest, errors.HostLacks.
    """
    if request.vtpm is None:
        return
    problem = _problem(request, found, template, is_own=is_own)
    if problem is not None:
        raise errors.InvalidRequest(field="vtpm", problem=problem)
    if is_kept(request) and not capabilities.has_tpm_emulator:
        raise errors.HostLacks(what="TPM emulator", detail="it emulates none; install swtpm and swtpm-tools")


def _problem(request: requests.DeployRequest, found: manifest.Manifest, template: str, *, is_own: bool) -> str | None:
    if not _is_emulated(found):
        is_any = any(each.what.startswith(_ANY) for each in found.configuration.left_out)
        return f"the TPM of {template} was a host's own: a new server gets none" if is_any else f"{template} has no TPM"
    if not is_kept(request):
        return None
    if not is_own:
        # Whoever has them is, to all that trusts them, the server that they were captured from.
        return f"the keys of a TPM are given to servers of the account alone that {template} belongs to; {FRESH} can be given"
    if found.vtpm is None:
        return f"{_NOT_CAPTURED}; {FRESH} is what {template} can be given"
    if request.count > 1:
        return f"{request.count} servers with one TPM would be one machine to whoever trusts its keys; deploy one, or choose {FRESH}"
    return None


def is_kept(request: requests.DeployRequest) -> bool:
    """Whether the new server gets the source's keys."""
    return request.vtpm == KEEP


def told(request: requests.DeployRequest, found: manifest.Manifest, *, is_own: bool) -> tuple[final.Change, ...]:
    """What is told of it: done where it was chosen, left where nobody has said that the keys may go."""
    if not _is_emulated(found):
        return ()
    detail = "that of the source, with its keys" if is_kept(request) else "a fresh, empty one"
    why = None if request.vtpm is not None else _why_left(found, is_own=is_own)
    return (
        final.Change(
            what="TPM",
            means=final.Means.HYPERVISOR,
            detail=detail,
            outcome=final.Outcome.DONE if why is None else final.Outcome.LEFT,
            why=why,
        ),
    )


def _why_left(found: manifest.Manifest, *, is_own: bool) -> str:
    if not is_own:
        return f"the keys of the source's TPM are not for other accounts: {_LOST}"
    return _NOT_CAPTURED if found.vtpm is None else _NOT_ASKED


def _is_emulated(found: manifest.Manifest) -> bool:
    return found.vtpm is not None or any(
        each.what == configuration.EMULATED_TPM for each in found.configuration.left_out
    )

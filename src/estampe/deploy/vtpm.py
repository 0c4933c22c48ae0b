"""The TPM of new servers. It is fresh: a capture does not take the state of the source's, which is keys and nothing else."""

from __future__ import annotations

from typing import Final

from estampe import errors
from estampe.deploy import request as requests
from estampe.model import final, manifest

FRESH, KEEP = "fresh", "keep"
_EMULATED, _ANY = "TPM (emulator)", "TPM ("  # as captures tell what they left out
_NOT_CAPTURED: Final = (
    "the keys in the source's TPM are not captured, so they cannot be kept: what only they open (a volume encrypted by TPM) "
    "asks for its recovery key"
)


def check(request: requests.DeployRequest, found: manifest.Manifest, template: str) -> None:
    """Whether what is asked of the TPM can be given. Raises: errors.InvalidRequest."""
    if request.vtpm is None:
        return
    if not _is_left_out(found, _ANY):
        _refuse(f"{template} has no TPM")
    if not _is_left_out(found, _EMULATED):
        _refuse(f"the TPM of {template} was a host's own: a new server gets none")
    if request.vtpm == KEEP:
        _refuse(f"{_NOT_CAPTURED}; {FRESH} is what {template} can be given")


def told(request: requests.DeployRequest, found: manifest.Manifest) -> tuple[final.Change, ...]:
    """What is told of it: done where it was chosen, left where nobody has said that the keys may go."""
    if not _is_left_out(found, _EMULATED):
        return ()
    is_chosen = request.vtpm == FRESH
    return (
        final.Change(
            what="TPM",
            means=final.Means.HYPERVISOR,
            detail="a fresh, empty one",
            outcome=final.Outcome.DONE if is_chosen else final.Outcome.LEFT,
            why=None if is_chosen else _NOT_CAPTURED,
        ),
    )


def _is_left_out(found: manifest.Manifest, what: str) -> bool:
    return any(each.what.startswith(what) for each in found.configuration.left_out)


def _refuse(problem: str) -> None:
    raise errors.InvalidRequest(field="vtpm", problem=problem)

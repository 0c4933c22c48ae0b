"""What a Windows guest tells of itself by its files."""

from __future__ import annotations

from typing import Final

from estampe.guest import base

_GENERALISED: Final = "IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE"


def find(appliance: base.Appliance, *names: str) -> str | None:
    """The path of these names under each other, in whatever case they are: Windows knows none, NTFS in Linux does."""
    place = ""
    for name in names:
        any_case = "".join(f"[{each.upper()}{each.lower()}]" if each.isalpha() else each for each in name)
        found = appliance.glob(f"{place}/{any_case}")
        if not found:
            return None
        place = found[0]
    return place


def is_generalised(appliance: base.Appliance) -> bool:
    """Whether sysprep has left it so that its next boot goes through setup, by the state that setup keeps beside the registry."""
    path = find(appliance, "Windows", "Setup", "State", "State.ini")
    if path is None or not appliance.is_file(path):
        return False
    # UTF-16 on most versions: without the zeros between them, the letters are the same.
    return _GENERALISED in appliance.read(path).replace("\0", "")

"""Which kind of table a volume has."""

from __future__ import annotations

from typing import Final

from estampe.guest.tables import base, gpt, mbr

_FIRST_KIND_AT: Final = 446 + 4
_PROTECTIVE: Final = 0xEE
_SIGNATURE: Final = b"EFI PART"


def read(device: base.Device) -> base.Table:
    """The table. Raises: errors.ApplianceFailed where there is none, or a damaged one."""
    kinds = device.read(0, device.sector_bytes)[_FIRST_KIND_AT:510:16]
    if _PROTECTIVE in kinds and device.read(device.sector_bytes, len(_SIGNATURE)) == _SIGNATURE:
        return gpt.read(device)
    return mbr.read(device)

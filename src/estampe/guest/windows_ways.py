r"""The ways of a Windows guest.

Names on NTFS are found whatever their case: libguestfs mounts it with case told apart, and Windows writes both
C:\WINDOWS and C:\Windows.
"""

from __future__ import annotations

from typing import Final

from estampe.guest import base

_SOFTWARE: Final = "/Windows/System32/config/SOFTWARE"
_STATE: Final = ("Microsoft", "Windows", "CurrentVersion", "Setup", "State")
_AGENTS: Final = ("/Program Files/Qemu-ga/qemu-ga.exe", "/Program Files/QEMU Guest Agent/qemu-ga.exe")
_SEED_READER: Final = "/Program Files/Cloudbase Solutions/Cloudbase-Init/Python/Scripts/cloudbase-init.exe"
# "Windows Setup States" (learn.microsoft.com): what sysprep /generalize leaves. RESEAL_TO_OOBE without GENERALIZE is a
# machine that keeps its identity.
_GENERALISED: Final = frozenset({"IMAGE_STATE_GENERALIZE_RESEAL_TO_OOBE", "IMAGE_STATE_GENERALIZE_RESEAL_TO_AUDIT"})


def read(appliance: base.Appliance) -> base.Ways:
    """See guest.ways."""
    return base.Ways(
        boot_loader="bootmgr",
        network="windows",
        seed_reader="cloudbase-init" if find(appliance, _SEED_READER) else None,
        init="windows",
        has_guest_agent=any(find(appliance, path) for path in _AGENTS),
        is_generalised=_is_generalised(appliance),
    )


def find(appliance: base.Appliance, path: str) -> str | None:
    """The path as it is spelled in the guest; None where nothing is there."""
    pattern = "".join(f"[{each.lower()}{each.upper()}]" if each.isalpha() else each for each in path)
    return next(iter(appliance.glob(pattern)), None)


def _is_generalised(appliance: base.Appliance) -> bool | None:
    """None where the registry does not say."""
    hive = find(appliance, _SOFTWARE)
    state = appliance.registry_value(hive, _STATE, "ImageState") if hive else None
    return None if state is None else state in _GENERALISED

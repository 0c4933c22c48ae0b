"""QEMU's own description of a backing chain, complete: every driver named, the chain's end too, nothing left to probe.

Source: QEMU's QAPI reference, BlockdevOptions; `json:{...}` stands for a file name wherever QEMU's tools take one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from estampe.model import configuration
from estampe.virt import base


def describe(chain: Sequence[base.Layer], *, is_shared: bool = False) -> dict[str, Any]:
    """BlockdevOptions of the chain, top first. `is_shared`: read-only beside whoever writes, taking and minding no locks."""
    top, below = chain[0], chain[1:]
    driver = "host_device" if top.is_block_device else "file"
    node: dict[str, Any] = {"driver": top.format.value, "file": {"driver": driver, "filename": top.path}}
    if top.format is configuration.VolumeFormat.QCOW2:
        # Without the null QEMU would follow what the header names.
        node["backing"] = describe(below) if below else None
    # The layers below inherit it (QEMU's block.c, bdrv_inherited_options).
    return node | ({"force-share": True} if is_shared else {})


def file_name(chain: Sequence[base.Layer], *, is_shared: bool = False) -> str:
    """The description in place of a file name."""
    return "json:" + json.dumps(describe(chain, is_shared=is_shared), separators=(",", ":"))

"""QEMU's own description of a backing chain, complete: every driver named, the chain's end too, nothing left to probe.

Source: QEMU's QAPI reference, BlockdevOptions; `json:{...}` stands for a file name wherever QEMU's tools take one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from estampe.model import configuration
from estampe.virt import base


def describe(chain: Sequence[base.Layer]) -> dict[str, Any]:
    """BlockdevOptions of the chain, top first."""
    top, below = chain[0], chain[1:]
    driver = "host_device" if top.is_block_device else "file"
    node: dict[str, Any] = {"driver": top.format.value, "file": {"driver": driver, "filename": top.path}}
    if top.format is configuration.VolumeFormat.QCOW2:
        # Without the null QEMU would follow what the header names.
        node["backing"] = describe(below) if below else None
    return node


def file_name(chain: Sequence[base.Layer]) -> str:
    """The description in place of a file name."""
    return "json:" + json.dumps(describe(chain), separators=(",", ":"))

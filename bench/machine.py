"""The machine that figures are of."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any


def facts() -> dict[str, Any]:
    """Its processors, its kernel, and how busy it is now."""
    cpu = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    return {"cpu": cpu.partition(":")[2].strip(), "cpus": os.cpu_count(), "kernel": platform.release(),
            "python": platform.python_version(), "load_before": os.getloadavg()[0]}  # fmt: skip


def told() -> str:
    """The same in a line."""
    found = facts()
    return f"{found['cpus']} CPUs ({found['cpu']}), kernel {found['kernel']}, Python {found['python']}, load before {found['load_before']:.1f}"

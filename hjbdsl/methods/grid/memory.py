"""How much memory a level takes, before it is allocated, and how much there is."""

from __future__ import annotations

import math
import os
from types import ModuleType

VECTORS = 14
"""Vectors of one number a node that live at once: V, its predecessors, H, totals, constants, multigrid's own."""
SHARE = 0.8
"""The share of the free memory that a level may take."""


def needed(module: ModuleType, shape: tuple[int, ...], slices: int) -> int:
    """Bytes of a level with `shape` nodes and discrete states of the program, its answer kept at `slices` times."""
    size = module.MODES * math.prod(shape)
    row = 2 * len(shape) + 2 * module.WIDTH + VECTORS + 3 * max(module.CONTROLS, 1)
    kept = slices * (2 + module.CONTROLS + module.SHOWN)
    return 8 * size * (row + kept)


def free() -> int:
    """Bytes that this process may still take."""
    pages, size = os.sysconf("SC_AVPHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    available = pages * size
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration):
        pass  # not this kind of system: the count of pages stands
    return min(available, _allowance())


def _allowance() -> int:
    """What the control group of this process allows, less what it uses; without bound where there is none."""
    folder = "/sys/fs/cgroup"
    try:
        with open(f"{folder}/memory.max", encoding="ascii") as limit, open(f"{folder}/memory.current", encoding="ascii") as used:
            text = limit.read().strip()
            return int(text) - int(used.read()) if text != "max" else 2**62
    except (OSError, ValueError):
        return 2**62


def shortage(module: ModuleType, shape: tuple[int, ...], slices: int) -> str | None:
    """Why a level does not fit, or None."""
    bytes_needed, there = needed(module, shape, slices), free()
    if bytes_needed <= SHARE * there:
        return None
    nodes = " x ".join(map(str, shape))
    return f"a level of {nodes} nodes needs about {bytes_needed / 2**30:.2g} GB of memory, and {there / 2**30:.2g} GB are free"

"""Kernels compiled in a process of their own are those that the solvers call."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hjbdsl import pipeline
from hjbdsl.methods import grid
from hjbdsl.methods.grid.compilation import KERNELS

PLANE = """problem plane
state x in [-1, 1], y in [-1, 1]
control u in [-1, 1]
noise W, B
dx = u dt + 0.5 dW
dy = x dt + 0.5 dB
minimize E integral(0, inf) exp(-t)*(x^2 + y^2 + u^2) dt
boundary x = -1 : reflect
boundary x = 1 : reflect
boundary y = -1 : reflect
boundary y = 1 : reflect
"""
ALONE = """
from hjbdsl.methods.grid import compilation as c

c.KERNELS[1] = c.KERNELS[1][:1]
kernel, types = c.KERNELS[1][0]
c.compile_beside(1)
c._await(c._beside.pop().process)
assert not kernel.signatures and c._cached(kernel)
c.compile_beside(1)
assert not c._beside
kernel.compile(types)
assert sum(kernel.stats.cache_hits.values()) == 1, kernel.stats
"""
SHARED = """
from hjbdsl.methods.grid import compilation as c

c.compile_beside(1)
c.await_kernels()
assert not c._beside
assert all(c._cached(kernel) for kernel, _ in c.KERNELS[1])
"""


@pytest.mark.slow
def test_solvers_call_them_with_the_types_foreseen() -> None:
    grid.solve(pipeline.derive(pipeline.loads(PLANE)), {})
    for kernel, types in KERNELS[2]:
        assert kernel.signatures == [types], kernel.__name__


@pytest.mark.slow
@pytest.mark.skipif(len(getattr(os, "sched_getaffinity", lambda _: ())(0)) < 2, reason="one processor")
@pytest.mark.parametrize("program", [ALONE, SHARED])
def test_what_another_process_compiled_is_read(tmp_path: Path, program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr

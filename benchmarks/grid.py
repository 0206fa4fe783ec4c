"""The grid beside what others offer, one table:  python -m benchmarks.grid [--only income|stationary|reach|memory] [--quick]

Every row runs in a process of its own with empty caches: `cold` is its first solve (compilation counts), `warm` the better of two
more; processor seconds, since on a machine that others share they are the steadier number (with several threads they are more
than the wall clock). A row of hjbdsl is the whole solve on that mesh from nothing, coarser meshes included; the row of its peer
below solves the same equation on the same nodes, and `apart` is the mean difference of the two answers relative to how V varies.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Array = np.ndarray
PAIR = """problem income
param gamma = 2, rho = 0.05, r = 0.03
mode  z in {low, high}
rate  low -> high = 1.5, high -> low = 1
param y(z) = {low: 0.1, high: 0.2}
state   a >= -0.02
control c >= 0
da = (r*a + y(z) - c) dt
maximize E integral(0, inf) exp(-rho*t)*c^(1 - gamma)/(1 - gamma) dt
region a in [-0.02, 2]
"""
DIFFUSION = """problem income
param gamma = 2, rho = 0.05, r = 0.03
state   a in [0, 30], z in [0.5, 1.5]
control c >= 0
noise W
da = (r*a + z - c) dt
dz = 0.35*(1 - z) dt + 0.1 dW
maximize E integral(0, inf) exp(-rho*t)*c^(1 - gamma)/(1 - gamma) dt
boundary z = 0.5 : reflect
boundary z = 1.5 : reflect
region a in [0, 30], z in [0.5, 1.5]
"""
SQUARE = """problem square
state x in [-1, 1], y in [-1, 1]{third}
control u in [-1, 1], v in [-1, 1]{push}
noise W, B{noise}
dx = (-y + u) dt + {s} dW
dy = (x + v) dt + {s} dB
{motion}minimize E integral(0, inf) exp(-t)*({cost}) dt
{walls}region x in [-1, 1], y in [-1, 1]{box}
"""
AIR3D = """problem air3d
state x in R, y in R, psi in circle
control a in [-1, 1]
adversary b in [-1, 1]
dx = (-5 + 5*cos(psi) + a*y) dt
dy = (5*sin(psi) - a*x) dt
dpsi = (b - a) dt
maximize running_min(0, 2.8) sqrt(x^2 + y^2) - 5
region x in [-6, 20], y in [-10, 10]
"""


def square(d: int, noise: float) -> str:
    walls = "".join(f"boundary {x} = {e} : reflect\n" for x in "xyz"[:d] for e in (-1, 1))
    extra = {"third": "", "push": "", "noise": "", "motion": "", "box": "", "cost": "x^2 + y^2 + 0.1*(u^2 + v^2)"}
    if d == 3:
        extra = {
            "third": ", z in [-1, 1]", "push": ", w in [-1, 1]", "noise": ", C", "motion": f"dz = (-z + w) dt + {noise} dC\n",
            "box": ", z in [-1, 1]", "cost": "x^2 + y^2 + z^2 + 0.1*(u^2 + v^2 + w^2)",
        }  # fmt: skip
    return SQUARE.format(s=noise, walls=walls, **extra)


@dataclass(frozen=True, slots=True)
class Row:
    """`solve()` returns (V on a set of points, points x steps done or 0, words)."""

    section: str
    name: str
    points: int
    solve: Callable[[], tuple[Array, float, str]]
    quick: bool = True


def ours(text: str, cells: tuple[int, ...]) -> Callable[[], tuple[Array, float, str]]:
    """The whole solve on one mesh of `cells` cells an axis, from nothing; coarser meshes are part of it."""

    def solve() -> tuple[Array, float, str]:
        from hjbdsl import pipeline  # noqa: PLC0415  the import is part of a cold start
        from hjbdsl.methods.grid.levels import Runner  # noqa: PLC0415
        from hjbdsl.methods.grid.mesh import build_axes  # noqa: PLC0415

        if text not in _RUNNERS:
            _RUNNERS[text] = Runner(pipeline.derive(pipeline.loads(text)), 0.0, math.inf)
        runner = _RUNNERS[text]
        axes = tuple(_plain(axis, n) for axis, n in zip(build_axes(runner.equation, 0.01, 16), cells, strict=True))
        solved = runner.level(axes, 1, None)
        steps = solved.numbers.get("steps", 0.0)
        words = f"{steps:.0f} steps" if steps else f"{solved.numbers['iterations']:.0f} policies, left {solved.residual:.0e}"
        return solved.level.V[0], steps * solved.level.V[0].size, words

    return solve


_RUNNERS: dict[str, object] = {}


def _plain(axis: object, cells: int) -> object:
    """The axis without padding: the peers' grids have none."""
    from dataclasses import replace  # noqa: PLC0415

    return replace(axis, cells=(0, cells, 0), widening=(0.0, 0.0), padded=(False, False))


def peer(name: str, *arguments: object) -> Callable[[], tuple[Array, float, str]]:
    def solve() -> tuple[Array, float, str]:
        from benchmarks import grid_peers  # noqa: PLC0415

        answer = getattr(grid_peers, name)(*arguments)
        if name.startswith("income"):
            return answer[1], 0.0, "to 1e-9"
        words = f"{answer[1]} policies" if name.startswith("amg") else ""
        return answer[0], 0.0, words

    return solve


def bandwidth() -> tuple[Array, float, str]:
    from benchmarks import grid_peers  # noqa: PLC0415

    return np.zeros(1), 0.0, f"{grid_peers.triad() / 1e9:.1f} GB/s"


ROWS = (
    Row("income", "2 x 501 hjbdsl", 1002, ours(PAIR, (500,))),
    Row("income", "2 x 501 scipy implicit upwind", 1002, peer("income_pair", 501)),
    Row("income", "101 x 41 hjbdsl", 4141, ours(DIFFUSION, (100, 40))),
    Row("income", "101 x 41 scipy implicit upwind", 4141, peer("income_diffusion", 101, 41)),
    Row("income", "401 x 81 hjbdsl", 32481, ours(DIFFUSION, (400, 80))),
    Row("income", "401 x 81 scipy implicit upwind", 32481, peer("income_diffusion", 401, 81)),
    Row("stationary", "129^2 s=0.3 hjbdsl", 129**2, ours(square(2, 0.3), (128, 128))),
    Row("stationary", "129^2 s=0.3 pyamg policy iteration", 129**2, peer("amg_policy_iteration", 129, 2, 0.3)),
    Row("stationary", "513^2 s=0.3 hjbdsl", 513**2, ours(square(2, 0.3), (512, 512)), False),
    Row("stationary", "513^2 s=0.3 pyamg policy iteration", 513**2, peer("amg_policy_iteration", 513, 2, 0.3), False),
    Row("stationary", "513^2 s=1 hjbdsl", 513**2, ours(square(2, 1.0), (512, 512)), False),
    Row("stationary", "1025^2 s=0.3 hjbdsl", 1025**2, ours(square(2, 0.3), (1024, 1024)), False),
    Row("stationary", "33^3 s=0.3 hjbdsl", 33**3, ours(square(3, 0.3), (32, 32, 32))),
    Row("stationary", "33^3 s=0.3 pyamg policy iteration", 33**3, peer("amg_policy_iteration", 33, 3, 0.3)),
    Row("stationary", "97^3 s=0.3 hjbdsl", 97**3, ours(square(3, 0.3), (96, 96, 96)), False),
    Row("stationary", "97^3 s=0.3 pyamg policy iteration", 97**3, peer("amg_policy_iteration", 97, 3, 0.3), False),
    Row("reach", "Air3D 51x41x50 hjbdsl", 51 * 41 * 50, ours(AIR3D, (50, 40, 50))),
    Row("reach", "Air3D 51x41x50 hj-reachability, very_high", 51 * 41 * 50, peer("reach_air3d", (51, 41, 50))),
    Row("memory", "triad a = b + s c", 20_000_000, bandwidth),
)


def run(row: Row) -> dict[str, object]:
    """Measure one row in this process."""
    times = []
    for _ in range(3):
        began = time.process_time()
        V, work, words = row.solve()
        times.append(time.process_time() - began)
    warm = min(times[1:])
    path = os.path.join(os.environ["BENCHMARK_ANSWERS"], f"{row.name}.npy".replace("/", "_"))
    np.save(path, V)
    return {
        "cold": times[0], "warm": warm, "step": 1e9 * warm / work if work else None, "point": 1e6 * warm / row.points,
        "words": words, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }  # fmt: skip


def measured(row: Row, answers: str) -> dict[str, object] | None:
    with tempfile.TemporaryDirectory() as caches:
        environment = {**os.environ, "HJBDSL_CACHE": caches, "NUMBA_CACHE_DIR": caches, "BENCHMARK_ANSWERS": answers}
        command = [sys.executable, "-m", "benchmarks.grid", "--row", row.name]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{row.name}: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else 'failed'}", file=sys.stderr)
        return None
    return dict(json.loads(done.stdout.splitlines()[-1]))


def compared(answers: str, name: str, partner: str) -> str:
    """The mean difference of two answers on the same mesh, relative to how V varies."""
    ways = [os.path.join(answers, f"{n}.npy".replace("/", "_")) for n in (name, partner)]
    if not all(os.path.exists(way) for way in ways):
        return ""
    ours_, theirs = (np.load(way).squeeze() for way in ways)
    if ours_.shape != theirs.shape:
        theirs = np.swapaxes(theirs, 0, 1) if ours_.shape == theirs.shape[::-1] else theirs
    if ours_.shape != theirs.shape:
        return ""
    return f"{float(np.mean(np.abs(ours_ - theirs))) / float(np.ptp(theirs)):.1e}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.grid")
    parser.add_argument("--only", choices=sorted({row.section for row in ROWS}))
    parser.add_argument("--quick", action="store_true", help="small meshes")
    parser.add_argument("--row", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.row:
        print(json.dumps(run(next(row for row in ROWS if row.name == asked.row))))
        return
    print(f"{'':44} {'cold s':>8} {'warm s':>9} {'us/point':>9} {'ns/pt/step':>10} {'MB':>6} {'apart':>8}")
    with tempfile.TemporaryDirectory() as answers:
        last = ""
        for row in ROWS:
            if (asked.only and row.section != asked.only) or (asked.quick and not row.quick):
                continue
            found = measured(row, answers)
            if found is None:
                continue
            step = f"{found['step']:10.1f}" if found["step"] else " " * 10
            apart = "" if "hjbdsl" in row.name else compared(answers, last, row.name)
            print(
                f"{row.name:44} {found['cold']:8.2f} {found['warm']:9.4f} {found['point']:9.2f} {step} {found['memory']:6.0f} "
                f"{apart:>8}  {found['words']}", flush=True,
            )  # fmt: skip
            last = row.name


if __name__ == "__main__":
    main()

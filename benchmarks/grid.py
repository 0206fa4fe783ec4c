"""The grid beside what others offer, one table:

    python -m benchmarks.grid [--only SECTION ...] [--row WORD ...] [--quick] [--list]

Every row runs in a process of its own with empty caches: `cold` is its first solve (imports and compilation count), `warm` the
best of some more, both by the wall clock; `cpu` are processor seconds of all threads and processes, the steadier number on a
machine that others share. A row of hjbdsl is the whole solve on that mesh from nothing, coarser meshes included; the row of its
peer below solves the same equation on as many nodes. `error`: mean |V - exact| over the nodes relative to how V varies, exact by
an ODE or by Richardson's extrapolation of finer meshes. `ns`: nanoseconds a point, and a point and step where time is stepped.
`MB`: the most memory the process held. `times`: warm time of the peer over ours, by the wall clock and by the processor's. Below
the table: how processor time grows with the points.
"""

from __future__ import annotations

import argparse
import functools
import importlib.util
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

import numpy as np

from benchmarks.grid_problems import DIFFUSION, FIRM, PAIR, extrapolated, firm_exactly, ours, square
from benchmarks.row import Array, Reference, Row, Solve

OURS = "hjbdsl"
FEWEST, MOST = 3, 200
"""Solves of a row, the cold one among them."""
LONG = 1.0
"""Seconds of warm solves after which no more are wanted."""
PATIENT = 20.0
"""Seconds of a cold solve after which one warm one has to do."""


def peer(name: str, *arguments: object) -> Solve:
    def solve() -> tuple[Array | None, float, str]:
        from benchmarks import grid_peers  # noqa: PLC0415

        answer = getattr(grid_peers, name)(*arguments)
        if name.startswith("income"):
            return answer[1], 0.0, "to 1e-9"
        return answer[0], 0.0, f"{answer[1]} policies"

    return solve


def transposed(solve: Solve) -> Solve:
    """The economists' arrays are (incomes, assets), ours (assets, incomes)."""

    def turned() -> tuple[Array | None, float, str]:
        V, work, words = solve()
        return None if V is None else V.T, work, words

    return turned


def firm_peer(number: int) -> Solve:
    def solve() -> tuple[Array | None, float, str]:
        from benchmarks.grid_firm import firm_finhjb  # noqa: PLC0415

        w, V = firm_finhjb(number)
        top = firm_exactly()[0]
        # its mesh ends at the payout boundary that it found; V grows by 1 a unit of cash beyond
        return np.interp(np.linspace(0.0, 0.3, number), np.append(w, 0.3), np.append(V, V[-1] + 0.3 - w[-1])), 0.0, (
            f"boundary {w[-1]:.6f}, exactly {top:.6f}"
        )  # fmt: skip

    return solve


def firm_reference(number: int) -> Reference:
    def reference() -> Array:
        top, w, V = firm_exactly()
        return np.interp(np.linspace(0.0, 0.3, number), np.append(w, 0.3), np.append(V, V[-1] + 0.3 - top))

    return reference


def bandwidth() -> tuple[Array | None, float, str]:
    from benchmarks import grid_peers  # noqa: PLC0415

    return None, 0.0, f"{grid_peers.triad() / 1e9:.1f} GB/s"


def stationary_rows() -> list[Row]:
    rows = []
    for n, noise, beside, quick in (
        (129, 0.3, True, True), (513, 0.3, True, False), (513, 1.0, False, False), (1025, 0.3, False, False),
    ):  # fmt: skip
        key = f"square {n} {noise}"
        name = f"{n}^2 noise {noise:g}"
        rows.append(Row("plane", f"{name} {OURS}", n**2, ours(square(2, noise), (n - 1,) * 2), key, quick))
        if beside:
            rows.append(Row("plane", f"{name} pyamg in Howard", n**2, peer("amg_policy_iteration", n, 2, noise), key, quick))
    for n, quick in ((33, True), (97, False)):
        rows.append(Row("space", f"{n}^3 noise 0.3 {OURS}", n**3, ours(square(3, 0.3), (n - 1,) * 3), f"cube {n}", quick))
        amg = peer("amg_policy_iteration", n, 3, 0.3)
        rows.append(Row("space", f"{n}^3 noise 0.3 pyamg in Howard", n**3, amg, f"cube {n}", quick))
    return rows


def income_rows() -> list[Row]:
    rows = [
        Row("income", f"2 x 501 {OURS}", 1002, ours(PAIR, (500,)), "pair"),
        Row("income", "2 x 501 scipy implicit upwind", 1002, peer("income_pair", 501), "pair"),
    ]
    for n, m in ((101, 41), (401, 81)):
        theirs = transposed(peer("income_diffusion", n, m))
        rows.append(Row("income", f"{n} x {m} {OURS}", n * m, ours(DIFFUSION, (n - 1, m - 1)), f"income {n}"))
        rows.append(Row("income", f"{n} x {m} scipy implicit upwind", n * m, theirs, f"income {n}"))
    return rows


def firm_rows() -> list[Row]:
    return [
        Row("firm", f"1000 {OURS}", 1000, ours(FIRM.format(top=0.3), (999,)), "firm 1000"),
        Row("firm", "1000 finhjb", 1000, firm_peer(1000), "firm 1000"),
    ]


def reach_module() -> object | None:
    """Reachability has a file of its own."""
    if importlib.util.find_spec("benchmarks.reach") is None:
        return None
    from benchmarks import reach  # noqa: PLC0415

    return reach if hasattr(reach, "rows") else None


@functools.cache
def rows() -> tuple[Row, ...]:
    reach = reach_module()
    further = list(reach.rows()) if reach is not None else []  # type: ignore[attr-defined]
    triad = Row("memory", "triad a = b + s c", 20_000_000, bandwidth)
    return (*income_rows(), *firm_rows(), *stationary_rows(), *further, triad)


def references() -> dict[str, Reference]:
    found: dict[str, Reference] = {"pair": extrapolated(PAIR, (2000,), 1), "firm 1000": firm_reference(1000)}
    found |= {f"income {n}": extrapolated(DIFFUSION, (400, 80), 1) for n in (101, 401)}
    found |= {f"square {n} {s}": extrapolated(square(2, s), (512, 512), 2) for n in (129, 513, 1025) for s in (0.3, 1.0)}
    found |= {f"cube {n}": extrapolated(square(3, 0.3), (m, m, m), 2) for n, m in ((33, 32), (97, 48))}
    reach = reach_module()
    if reach is not None and hasattr(reach, "references"):
        found |= reach.references()
    return found


def clocks() -> Array:
    """Wall clock, and processor time of this process and of those that it has waited for."""
    of = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return np.array([time.perf_counter(), sum(one.ru_utime + one.ru_stime for one in of)])


def run(row: Row, answers: str) -> dict[str, object]:
    """Measure one row in this process, and leave its V among the answers."""
    times = []
    V, work, words = None, 0.0, ""
    while len(times) < FEWEST or (len(times) < MOST and sum(took[0] for took in times[1:]) < LONG):
        began = clocks()
        V, work, words = row.solve()
        times.append(clocks() - began)
        if len(times) == FEWEST - 1 and times[0][0] > PATIENT:
            break
    warm = np.min(times[1:], axis=0)
    if V is not None:
        np.save(os.path.join(answers, "V.npy"), V)
    memory = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024
    return {
        "cold": times[0].tolist(), "warm": warm.tolist(), "step": 1e9 * warm[0] / work if work else None,
        "point": 1e9 * warm[0] / row.points, "words": words, "memory": memory,
    }  # fmt: skip


def measured(row: Row, answers: str) -> dict[str, object] | None:
    with tempfile.TemporaryDirectory() as caches:
        environment = {**os.environ, "HJBDSL_CACHE": caches, "NUMBA_CACHE_DIR": caches}
        command = [sys.executable, "-m", "benchmarks.grid", "--measure", row.name, answers]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{row.name}: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else 'failed'}", file=sys.stderr)
        return None
    return dict(json.loads(done.stdout.splitlines()[-1]))


@functools.cache
def exact(key: str) -> Array:
    return references()[key]()


def error(row: Row, answers: str) -> float | None:
    """Mean |V - exact| on the nodes that both have, relative to how V varies."""
    place = os.path.join(answers, "V.npy")
    if row.reference is None or not os.path.exists(place):
        return None
    V, V_exact = np.load(place).squeeze(), exact(row.reference)
    strides = [(a - 1) / (b - 1) for a, b in zip(V_exact.shape, V.shape, strict=True)]
    fine = tuple(slice(None, None, max(1, round(s))) for s in strides)
    coarse = tuple(slice(None, None, max(1, round(1.0 / s))) for s in strides)
    V, V_exact = V[coarse], V_exact[fine]
    return float(np.mean(np.abs(V - V_exact)) / np.ptp(V_exact))


def growth(found: Sequence[tuple[Row, float]]) -> list[str]:
    """From each of our meshes to the next finer of its section: how time grows with the points."""
    lines = []
    for k, (row, warm) in enumerate(found):
        for other, before in reversed(found[:k]):
            same = other.section == row.section and other.name.split(" ", 1)[1] == row.name.split(" ", 1)[1]
            if same and other.points < row.points:
                power = math.log(warm / before) / math.log(row.points / other.points)
                lines.append(
                    f"{row.section}: {other.points} to {row.points} points, {row.points / other.points:.1f} times as many: "
                    f"{warm / before:.1f} times the seconds (power {power:.2f})"
                )
                break
    return lines


def table(chosen: Sequence[Row]) -> None:
    print(
        f"{'':38} {'error':>8} {'cold s':>7} {'cpu':>7} {'warm s':>8} {'cpu':>8} {'ns':>9} {'ns/step':>8} {'MB':>6} "
        f"{'times':>6} {'cpu':>6}"
    )
    own: list[tuple[Row, float]] = []
    section, ours_warm = "", np.full(2, math.nan)
    for row in chosen:
        if row.section != section:
            section = row.section
            print(f"-- {section}")
        mine = OURS in row.name
        if mine:
            ours_warm = np.full(2, math.nan)
        with tempfile.TemporaryDirectory() as answers:
            found = measured(row, answers)
            if found is None:
                continue
            off = error(row, answers)
        cold, warm = (np.array(found[name]) for name in ("cold", "warm"))
        if mine:
            ours_warm = warm
            own.append((row, float(warm[1])))
        step = f"{found['step']:8.2f}" if found["step"] else " " * 8
        times = " " * 13 if mine or section == "memory" else "{:6.1f} {:6.1f}".format(*warm / ours_warm)
        accuracy = "" if off is None else f"{off:.1e}"
        print(
            f"{row.name:38} {accuracy:>8} {cold[0]:7.2f} {cold[1]:7.2f} {warm[0]:8.4f} {warm[1]:8.4f} {found['point']:9.1f} "
            f"{step} {found['memory']:6.0f} {times}  {found['words']}", flush=True,
        )  # fmt: skip
    print("\n".join(growth(own)))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.grid", description="the grid beside its peers")
    parser.add_argument("--only", nargs="+", metavar="SECTION", choices=sorted({row.section for row in rows()}))
    parser.add_argument("--row", nargs="+", metavar="WORD", help="rows whose name has one of these words")
    parser.add_argument("--quick", action="store_true", help="small meshes")
    parser.add_argument("--list", action="store_true", help="name the rows and run none")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        print(json.dumps(run(next(row for row in rows() if row.name == asked.measure[0]), asked.measure[1])))
        return
    chosen = [
        row for row in rows()
        if (not asked.only or row.section in asked.only) and (not asked.quick or row.quick)
        and (not asked.row or any(word in row.name for word in asked.row))
    ]  # fmt: skip
    if asked.list:
        print("\n".join(f"{row.section:10} {row.name}" for row in chosen))
        return
    table(chosen)


if __name__ == "__main__":
    main()

"""Do the grid's error bands hold? Problems solved on the grid, whatever else could solve them, and held against what is exact.

    python -m benchmarks.grid_claims [--draws 2] [--seed 0] [--seconds 40] FILE-OR-FOLDER...

One line a solve: at how many oracle points |V - exact| lies within the claimed band, the errors and bands, the status, seconds of
processor time. Oracle points: the file's own `check` statements, and a lattice over region x [0, T] x modes where the closed-form
engine finds and proves an answer. With `--draws` every scalar parameter is also multiplied by factors between 0.6 and 1.6; then a
file without a closed form is solved a second time on half the nodes, and the coarser answer's band is held against the finer
answer. Exit status 1 where an answer that counts as converged holds at fewer than 95 of 100 points.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from hjbdsl import pipeline
from hjbdsl.budget import BudgetExceeded, time_budget
from hjbdsl.errors import HjbError, SolverError
from hjbdsl.methods import closed_form, grid
from hjbdsl.methods.grid.solve import NODES
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.problem import TIME, ControlProblem
from hjbdsl.model.solution import Accepted, Solution
from hjbdsl.numeric.compile import compile_expressions
from hjbdsl.numeric.points import Points
from hjbdsl.numeric.sampling import sample_region
from hjbdsl.numeric.state_space import number

SHARE = 0.95
FACTORS = (0.6, 1.6)
EXACT_SECONDS = 40.0
MOST_POINTS = 1500
Array = np.ndarray
Oracle = tuple[str, Points, Array, Array]
"""A name, points, the exact V there and its error."""


def drawn(problem: ControlProblem, random: np.random.Generator) -> dict[str, str]:
    """Every scalar parameter that is no whole number, times a factor even in its logarithm."""
    found = {}
    for parameter in problem.parameters:
        value = problem.numeric(parameter.entries[0])
        if parameter.symbol is not None and value.is_number and not value.is_Integer:
            found[parameter.name] = f"{float(value) * np.exp(random.uniform(*np.log(FACTORS))):.4g}"
    return found


def lattice(equation: HJBEquation) -> Points:
    """Points of region x [0, T] x modes, thinned with a seed where they are very many."""
    problem = equation.problem
    points = sample_region(problem, equation.stationary, {}, range(len(problem.mode_tuples())), 0)
    if len(points) <= MOST_POINTS:
        return points
    kept = np.sort(np.random.default_rng(0).choice(len(points), MOST_POINTS, replace=False))
    return Points(points.t[kept], points.x[kept], points.mode[kept])


def proved(equation: HJBEquation) -> Solution | None:
    """The closed form, where there is one."""
    try:
        with time_budget(EXACT_SECONDS):
            answer = closed_form.solve(equation)
    except BudgetExceeded:
        return None
    return answer.solution if isinstance(answer, Accepted) else None


def stated(equation: HJBEquation) -> Iterator[Oracle]:
    """The V that the file's checks state."""
    problem = equation.problem
    for check in problem.checks:
        if check.target != "V":
            continue
        names = [chain.name for chain in problem.modes]
        every = enumerate(problem.mode_tuples())
        modes = [k for k, labels in every if all(check.modes.get(*pair) == pair[1] for pair in zip(names, labels, strict=True))]
        fixed = {symbol: number(problem, value) for symbol, value in check.point.items()}
        points = sample_region(problem, equation.stationary, fixed, modes, 0)
        exact = np.full(len(points), np.nan)
        for k in modes:
            here = problem.numeric(problem.at_mode(check.expected[0], problem.mode_tuples()[k]))
            rows = points.mode == k
            columns = compile_expressions((TIME, *problem.state_symbols), [here])(points.t[rows], *points.x[rows].T)
            exact[rows] = columns[0]
        yield "checks", points, exact, np.zeros(len(points))


def oracles(equation: HJBEquation, as_written: bool, coarse: Solution | None, fine: Solution) -> tuple[list[Oracle], Solution]:
    """What is known, and the answer that is held against it."""
    exact = proved(equation)
    found = list(stated(equation)) if as_written else []
    judged, other = (fine, exact) if exact is not None else (coarse, fine)
    if judged is None or other is None:
        return found, fine
    points = lattice(equation)
    values = other.function.evaluate(points.t, points.x, points.mode)
    slack = values.error if exact is not None else np.zeros(len(points))
    return [*found, ("proved" if exact is not None else "finer", points, values.value, slack)], judged


def held(solution: Solution, oracle: Oracle, average: bool) -> tuple[float, str]:
    """The share of points inside the band, and the line's words."""
    name, points, exact, slack = oracle
    got = solution.function.evaluate(points.t, points.x, points.mode)
    if average:
        exact = exact + np.median(got.value - exact)  # V is unique up to a constant
    finite = np.isfinite(exact)
    error = np.maximum(np.abs(got.value - exact) - slack, 0.0)[finite]
    band = got.error[finite]
    inside = error <= band + 1e-9 * (1.0 + np.abs(exact[finite]))
    worst = int(np.argmax(error / band))
    where = "" if inside.all() else f" worst at t={points.t[finite][worst]:.3g} x={np.round(points.x[finite][worst], 3)}"
    share = float(np.mean(inside)) if inside.size else np.nan
    words = f"{name:7s} {share:6.3f} of {inside.size:4d} | error {np.median(error):.1e} to {error.max():.1e}"
    return share, f"{words} | band {np.median(band):.1e} | V varies {np.ptp(exact[finite]):.2g}{where}"


def judge(path: Path, overrides: dict[str, str], seconds: float) -> tuple[bool, Iterator[str]]:
    """Whether every claim holds, and lines that tell of it."""
    began = time.process_time()
    try:
        equation = pipeline.derive(pipeline.load(str(path), overrides))
        hint = equation.problem.hint
        options = dict(hint.options) if hint is not None and hint.method == "grid" else {}
        options["seconds"] = seconds
        answer = grid.solve(equation, options)
        coarse = None
        if isinstance(answer, Accepted) and overrides and proved(equation) is None:
            nodes = float(options.get("nx", NODES[len(equation.problem.continuous_states)]))
            half = grid.solve(equation, {**options, "nx": nodes // 2 + 1})
            coarse = half.solution if isinstance(half, Accepted) else None
    except (HjbError, SolverError) as failure:
        return True, iter([f"no answer: {str(failure)[:150]}"])
    if not isinstance(answer, Accepted):
        return True, iter([f"refused: {answer.reason}"])
    spent, fine = time.process_time() - began, answer.solution
    found, judged = oracles(equation, not overrides, coarse, fine)
    told = [held(judged, oracle, equation.problem.objective.form == "average") for oracle in found]
    true = judged.status != "converged" or all(not share < SHARE for share, _ in told)
    order = judged.evidence.numbers["order"]
    status = f"{judged.status} order {order:.2f} ends {judged.evidence.numbers['domain_sensitivity']:.0e} | {spent:.1f} s"
    if fine.average is not None:
        exact = proved(equation)
        known = "" if exact is None else f", exactly {exact.average:.6g}"
        told.append((1.0, f"average {fine.average:.6g} +- {fine.average_error:.1g}{known}"))
    return true, iter([f"{words} | {status}" for _, words in told] or [f"no oracle | {status}"])


def files(names: Sequence[str]) -> list[Path]:
    return [p for name in map(Path, names) for p in (sorted(name.glob("*.hjb")) if name.is_dir() else [name])]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="FILE-OR-FOLDER")
    parser.add_argument("--draws", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=40.0)
    given = parser.parse_args()
    wrong = 0
    for path in files(given.files):
        random = np.random.default_rng([given.seed, *path.name.encode()])
        for draw in range(given.draws + 1):
            overrides = drawn(pipeline.load(str(path)), random) if draw else {}
            true, lines = judge(path, overrides, given.seconds)
            wrong += not true
            for line in lines:
                print(f"{'     ' if true else 'FALSE'} {path.stem:22s} {line}", flush=True)
            if draw:
                print("      " + " ".join(f"{name}={value}" for name, value in overrides.items()), flush=True)
    print(f"{wrong} false claims")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

"""The neural method against exact answers: `python -m benchmarks.neural [NAME ...]`; without names every row.

First neural policy iteration, one row a problem and seed: relative L2 errors of V, of its gradient and of every control over the
region stated, whether V'' has one sign, the mean band claimed and the share of points within it, the held-out residual, the
processor seconds. The networks are plain: tanh units in scaled inputs (the logarithm of a positive state), without quadratic
terms. Then problems of many states, as `benchmarks.neural_paths` prints them. `--list` names the rows, `--seeds 0,1,2` chooses
the seeds of policy iteration.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from benchmarks import neural_paths
from hjbdsl.methods import closed_form
from hjbdsl.methods.neural.learner import LearningRequest
from hjbdsl.methods.neural.policy_learning import propose
from hjbdsl.model.solution import Accepted
from hjbdsl.pipeline import derive, load

_GRID = 401


@dataclass(frozen=True, slots=True)
class Row:
    """A problem, the interval of its one state over which errors are measured, and the numbers put into it."""

    path: str
    low: float
    high: float
    overrides: Mapping[str, str] = field(default_factory=dict)


ROWS = {
    "lqr": Row("problems/lqr.hjb", -2.0, 2.0),
    "lqr-loud": Row("problems/lqr.hjb", -2.0, 2.0, {"sigma": "0.9"}),
    "merton": Row("problems/merton.hjb", 0.5, 3.0),
    "merton-gamma-4": Row("problems/merton.hjb", 0.5, 3.0, {"gamma": "4"}),
    "log-regimes": Row("problems/log_regimes.hjb", 0.5, 3.0),
}


def measured(name: str, row: Row, seed: int) -> str:
    """The row's line. Raises where the learner declines."""
    equation = derive(load(row.path, dict(row.overrides)))
    exact = closed_form.solve(equation)
    began = time.process_time()
    found = propose(equation, LearningRequest(seed=seed, budget=90.0))
    seconds = time.process_time() - began
    if not isinstance(exact, Accepted) or not isinstance(found, Accepted):
        raise RuntimeError(f"{name}: no answer")
    modes = len(equation.problem.mode_tuples())
    x = np.tile(np.linspace(row.low, row.high, _GRID), modes)
    at = (np.zeros(len(x)), x[:, None], np.repeat(np.arange(modes), _GRID))
    true, learned = exact.solution.function.evaluate(*at), found.solution.function.evaluate(*at)
    controls = " ".join(f"{_distance(learned.control[:, c], true.control[:, c]):8.1e}" for c in range(true.control.shape[1]))
    slopes = np.diff(learned.gradient[:, 0].reshape(modes, _GRID))
    signs = "one sign" if np.all(slopes < 0) or np.all(slopes > 0) else "mixed"
    covered = np.mean(np.abs(learned.value - true.value) <= learned.error)
    band = np.mean(learned.error / np.abs(true.value))
    return (
        f"{name:<16} {seed:4d} {_distance(learned.value, true.value):8.1e} {_distance(learned.gradient, true.gradient):8.1e}"
        f" {controls:<18} {signs:<8} {band:8.1e} {covered:7.0%} {found.solution.evidence.residual:8.1e} {seconds:6.1f}"
    )


def _distance(found: np.ndarray, true: np.ndarray) -> float:
    return float(np.linalg.norm(found - true) / np.linalg.norm(true))


def main() -> None:
    parser = argparse.ArgumentParser(description="The neural method against exact answers.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="rows to run; all where none is named")
    parser.add_argument("--seeds", default="0,1,2", help="of policy iteration, separated by commas")
    parser.add_argument("--list", action="store_true", help="name the rows and stop")
    asked = parser.parse_args()
    known = [*ROWS, *neural_paths.CASES]
    if asked.list:
        print("\n".join(known))
        return
    unknown = [name for name in asked.names if name not in known]
    if unknown:
        parser.error(f"no row is called {', '.join(unknown)}; there are {', '.join(known)}")
    names = asked.names or known
    rows = [name for name in names if name in ROWS]
    if rows:
        heads = f"{'V':>8} {'grad V':>8} {'controls':<18} {'V_xx':<8} {'band':>8} {'within':>7} {'residual':>8}"
        print(f"{'problem':<16} {'seed':>4} {heads}  cpu s")
    for name in rows:
        for seed in asked.seeds.split(","):
            print(measured(name, ROWS[name], int(seed)), flush=True)
    cases = [name for name in names if name in neural_paths.CASES]
    if cases:
        neural_paths.main(cases)


if __name__ == "__main__":
    main()

"""Gymnasium's Pendulum-v1, solved from `problems/pendulum.hjb` on the grid and played in the real environment.

    python -m benchmarks.pendulum [--nodes 321] [--seeds 100]

The environment holds the torque for a step of 0.05, so what is played is the torque that is optimal in the middle of the step.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from hjbdsl import pipeline
from hjbdsl.methods.grid import solve as solve_on_grid
from hjbdsl.methods.model_free import Environment, make
from hjbdsl.model.solution import Array
from hjbdsl.numeric.points import Points
from hjbdsl.simulation import compile_process
from hjbdsl.simulation.compiled import At

FILE = Path(__file__).resolve().parents[1] / "problems" / "pendulum.hjb"
STEP = 0.05
TABLE = -132.9
"""Mean return on seeds 0..99 of a fine dynamic-programming table of the discrete environment."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=321)
    parser.add_argument("--seeds", type=int, default=100)
    asked, _ = parser.parse_known_args()
    equation = pipeline.derive(pipeline.load(str(FILE)))
    began = time.process_time()
    solution = solve_on_grid(equation, {"nx": float(asked.nodes)}).solution
    print(f"Pendulum-v1 from {FILE.name}: {solution.family}, {solution.status}, {time.process_time() - began:.1f} CPU s")
    process, function = compile_process(equation), solution.function
    environment = Environment(make("Pendulum-v1"), equation.problem, STEP)

    def now(places: Points) -> Array:
        return function.evaluate(places.t, places.x, places.mode).control

    def midway(places: Points) -> Array:
        u = now(places)
        for _ in range(2):
            slope = process.coefficients.drift(At(places.t, places.x, places.mode, u)).T
            later = places.x + STEP / 2 * slope
            later[:, 0] = np.remainder(later[:, 0] + np.pi, 2 * np.pi) - np.pi
            later[:, 1] = np.clip(later[:, 1], -8, 8)
            u = (u + now(Points(places.t, later, places.mode))) / 2
        return u

    for name, feedback in (("feedback as it is", now), ("feedback at mid-step", midway)):
        returns = environment.play(feedback, range(asked.seeds))
        spread = returns.std(ddof=1) / np.sqrt(len(returns))
        print(
            f"{name:<22}mean return over reset(seed=0..{asked.seeds - 1}): {returns.mean():.1f} (standard error {spread:.1f});"
            f" fine table of the discrete environment {TABLE}"
        )


if __name__ == "__main__":
    main()

"""What a grid answer tells beside V and the policy: free boundaries and the law of the controlled process, as named arrays.

In: the solved levels. Out: the arrays that `Solution.tables` describes, and a sentence about the law.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hjbdsl.errors import SolverError
from hjbdsl.methods.grid.density import Law, stationary_law, transient_law
from hjbdsl.methods.grid.free_boundary import crossings, free_boundary
from hjbdsl.methods.grid.howard import obstacle_side
from hjbdsl.methods.grid.levels import Runner, Solved
from hjbdsl.methods.grid.program import GridProgram
from hjbdsl.model.solution import Array

Tables = dict[str, NDArray[np.generic]]

STATIONARY_NODES = {1: 20_000, 2: 20_000}
TRANSIENT_NODES = {1: 1_000, 2: 3_000}
"""Most unknowns of a law: finer levels are not asked."""
CONVERGENCE_POINTS = 300
SUBSTEPS = {1: 4, 2: 1}


def tables(runner: Runner, levels: Sequence[Solved], box: Sequence[tuple[float, float]]) -> tuple[Tables, tuple[str, ...]]:
    """The arrays, and sentences about them."""
    result = _convergence(runner, levels, box)
    if runner.marching.steps is not None:
        result["time_steps"] = runner.marching.steps
    if obstacle_side(runner.equation):
        result |= _stopping(runner, levels, box)
    law, level = _law(runner, levels, box)
    if law is None or level is None:
        return result, ()
    result |= {"law": law.density, "law_times": law.times, "law_mass": law.mass}
    result |= {f"law_nodes_{i}": X for i, X in enumerate(law.mesh.X)}
    kind = "stationary law" if runner.equation.stationary else "law from the centre of the region on"
    shape = " x ".join(map(str, law.mesh.shape))
    return result, (f"{kind} under the policy, on {shape} nodes; mass kept to {max(law.defect, 1e-16):.0e}",)


def _convergence(runner: Runner, levels: Sequence[Solved], box: Sequence[tuple[float, float]]) -> Tables:
    """Mean differences of successive levels at seeded points of the region, all discrete states and times."""
    generator = np.random.default_rng(1)
    low, high = np.array(box).T
    x = low + (high - low) * generator.random((CONVERGENCE_POINTS, len(box)))
    end = 0.0 if runner.equation.stationary else runner.end
    t, s = end * generator.random(len(x)) ** 2, generator.integers(0, runner.module.MODES, len(x))
    values = [level.level.at(t, x, s) for level in levels]
    return {
        "level_nodes": np.array([level.level.mesh.shape for level in levels]),
        "level_differences": np.array([np.mean(np.abs(b - a)) for a, b in pairwise(values)]),
    }


def _stopping(runner: Runner, levels: Sequence[Solved], box: Sequence[tuple[float, float]]) -> Tables:
    fine, coarse = levels[-1], levels[-2]
    if runner.equation.obstacle is None or runner.equation.obstacle.kind != "stop" or fine.stopped is None:
        return {}
    if len(box) > 2:
        return {}
    times = fine.level.times
    if len(box) == 2:
        nodes: Tables = {f"stopped_nodes_{i}": X for i, X in enumerate(fine.level.mesh.X)}
        return {"stopped": fine.stopped, "stopped_times": times, **nodes}
    every = [_crossings(runner, level) for level in (fine, coarse)]
    rows = [
        (t, float(s), point, error)
        for k, t in enumerate(times)
        for s in range(runner.module.MODES)
        for point, error in free_boundary(every[0][k][s], every[1][k][s], *box[0])
    ]
    return {"free_boundary": np.array(rows).reshape(-1, 4)}


def _crossings(runner: Runner, level: Solved) -> list[list[list[tuple[float, float]]]]:
    """By time and discrete state."""
    program = _program(runner, level)
    side, shape = obstacle_side(runner.equation), (runner.module.MODES, *level.level.mesh.shape)
    assert level.stopped is not None
    result = []
    for t, V, stopped in zip(level.level.times, level.level.V, level.stopped, strict=True):
        gain = side * (V - program.data(t, 2).reshape(shape))
        result.append([crossings(level.level.mesh.X[0], gain[s], stopped[s]) for s in range(shape[0])])
    return result


def _program(runner: Runner, level: Solved) -> GridProgram:
    return runner.program(level.level.mesh)


def _law(runner: Runner, levels: Sequence[Solved], box: Sequence[tuple[float, float]]) -> tuple[Law | None, Solved | None]:
    """The law on the finest level that is not too large; None where the process is not random, or does not stay."""
    equation, d = runner.equation, len(box)
    problem = equation.problem
    random = bool(equation.covariance or problem.jumps or problem.modes)
    ends = bool(problem.exit is not None or equation.obstacle is not None or runner.module.EXIT)
    if not random or d > 2 or (equation.stationary and ends) or problem.objective.form in ("running_min", "running_max"):
        return None, None
    most = (STATIONARY_NODES if equation.stationary else TRANSIENT_NODES)[d]
    level = next((level for level in reversed(levels) if runner.module.MODES * level.level.mesh.nodes <= most), None)
    if level is None:
        return None, None
    program = _program(runner, level)
    policies = [_flat(runner, policy) for policy in level.policy]
    try:
        if equation.stationary:
            return stationary_law(program, policies[0]), level
        return _transient(program, level, policies, np.array([0.5 * (low + high) for low, high in box]), SUBSTEPS[d]), level
    except (SolverError, RuntimeError):  # splu says RuntimeError of a singular matrix: the answer stands without its law
        return None, None


def _transient(program: GridProgram, level: Solved, policies: Sequence[Array], start: Array, substeps: int) -> Law:
    times = level.level.times
    never = np.zeros(program.size, np.bool_)

    def nearest(t: float) -> int:
        return int(np.argmin(np.abs(times - t)))

    def halted(t: float) -> NDArray[np.bool_]:
        return level.stopped[nearest(t)].ravel() if level.stopped is not None and t < times[-1] else never

    # a point's law changes fastest at first, the policy at the end: even steps
    even = np.linspace(times[0], times[-1], times.size)
    return transient_law(program, lambda t: policies[nearest(t)], halted, start, even, substeps)


def _flat(runner: Runner, policy: Array) -> Array:
    """The policy by node, (size, controls), without the moves of players who are only imagined."""
    moved = np.moveaxis(policy, 1, -1)
    flat = moved.reshape(-1, policy.shape[1]).copy()
    flat[:, list(runner.form.imagined)] = 0.0
    return flat if flat.shape[1] else np.zeros((flat.shape[0], 1))

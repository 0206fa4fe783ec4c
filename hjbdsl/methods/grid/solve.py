"""The method: choose the padded domain, solve on three nested levels, measure the order, and say what the answer is worth.

In: an `HJBEquation`. Out: `Accepted(Solution)` or `Rejected(reason)`. Raises SolverError where it had accepted and failed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType, ModuleType

import numpy as np
import sympy as sp

from hjbdsl.codegen.store import load_generated
from hjbdsl.errors import SolverError
from hjbdsl.methods.grid.emit import DiscreteStates, emit
from hjbdsl.methods.grid.evolution import evolve
from hjbdsl.methods.grid.function import GridFunction, Level
from hjbdsl.methods.grid.mesh import CIRCLE, Axis, Mesh, build_axes, region_box
from hjbdsl.methods.grid.program import GridProgram
from hjbdsl.methods.grid.stationary import policy_iteration
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Accepted, Array, Evidence, Rejected, Solution
from hjbdsl.numeric.marks import mark_quadrature

NODES = {1: 801, 2: 161, 3: 61}
SLICES = {1: 81, 2: 41, 3: 21}
TRUSTED_ORDER = (0.7, 2.3)
MARK_NODES = 16


def rejection(equation: HJBEquation) -> str | None:
    """Why the grid does not apply, or None."""
    problem = equation.problem
    dimension = len(problem.continuous_states)
    if problem.reversal is not None:
        return "a generative problem has no equation to march on a grid"
    if not 1 <= dimension <= 3:
        return f"{dimension} continuous states: the grid takes one to three"
    if problem.objective.form == "risk":
        return "the quadratic gradient term of a risk-sensitive objective is not in the scheme"
    if problem.exploration is not None:
        return "the soft maximum of an exploratory problem is not in the scheme"
    if any(c.kind in ("slope",) for c in equation.boundaries):
        return "a boundary slope is not in the scheme"
    if any(c.kind == "value" for c in equation.boundaries):
        return "a boundary value is not in the scheme"
    return None


class _Runner:
    """One equation's program, run on meshes of any size."""

    def __init__(self, equation: HJBEquation):
        self.equation = equation
        problem = equation.problem
        rules = [mark_quadrature(jump.law, problem.values, MARK_NODES) for jump in problem.jumps]
        self.marks = tuple(rule.nodes for rule in rules)
        self.mark_weights = tuple(rule.weights for rule in rules)
        source = emit(equation, [len(m) for m in self.marks])
        self.module: ModuleType = load_generated(source, "grid")
        self.end = float(problem.numeric(problem.objective.end)) if not equation.stationary else math.inf
        slices = SLICES[len(problem.continuous_states)]
        self.times = np.array([0.0]) if equation.stationary else np.linspace(0.0, self.end, slices)

    def level(self, axes: tuple[Axis, ...], shape: tuple[int, ...]) -> tuple[Level, Array, Array | None, dict[str, float]]:
        """Solve on one mesh: the level, the policy by nodes, where it stops, and what was measured."""
        mesh = Mesh.of(axes, shape)
        program = GridProgram(self.module, mesh, self.marks, self.mark_weights)
        grid = (self.module.MODES, *shape)
        equation = self.equation
        m = self.module.CONTROLS
        stopping = equation.obstacle is not None and equation.obstacle.kind == "stop"
        if equation.stationary:
            answer = policy_iteration(
                program, equation.maximise, stopping, equation.problem.objective.form == "average", None
            )
            policy = np.moveaxis(answer.policy.reshape((1, *grid, -1)), -1, 2)[:, :, :m]
            stopped = answer.stopped.reshape((1, *grid)) if stopping else None
            numbers = {"iterations": float(answer.iterations), "policy_residual": answer.residual, "average": answer.average}
            return Level(mesh, self.times, answer.V.reshape((1, *grid))), policy, stopped, numbers
        march = evolve(program, equation, self.end, self.times)
        V = march.V.reshape((len(self.times), *grid))
        policy = np.moveaxis(march.policy.reshape((len(self.times), *grid, -1)), -1, 2)[:, :, :m]
        stopped = None
        if stopping:
            payoff = np.array([program.data(t, 2) for t in self.times]).reshape(V.shape)
            stopped = np.abs(V - payoff) <= 1e-12 * (1.0 + np.abs(payoff))
        return Level(mesh, self.times, V), policy, stopped, {"steps": float(march.steps)}


def _shape(axes: tuple[Axis, ...], finest: int, halvings: int) -> tuple[int, ...]:
    """Nodes an axis: `finest`, with every cell doubled `halvings` times."""
    cells = (finest - 1) // 2**halvings
    return tuple(cells if axis.kind == CIRCLE else cells + 1 for axis in axes)


def _samples(equation: HJBEquation, box: list[tuple[float, float]], labels: int, times: Array) -> tuple[Array, Array, Array]:
    """Points of the region, discrete states and times at which levels are compared."""
    generator = np.random.default_rng(0)
    count = 400
    low, high = np.array([b[0] for b in box]), np.array([b[1] for b in box])
    x = low + (high - low) * generator.random((count, len(box)))
    t = generator.choice(times[: max(1, len(times) - 2)], count)
    return t, x, generator.integers(0, labels, count)


def solve(equation: HJBEquation, options: Mapping[str, float | str] = MappingProxyType({}), tol: float | None = None) -> Accepted | Rejected:
    """Solve on three levels, widening the artificial ends until they no longer matter. `options`: nx, nt; `tol` the accuracy wanted."""
    reason = rejection(equation)
    if reason is not None:
        return Rejected(reason)
    try:
        runner = _Runner(equation)
    except NotImplementedError as unsupported:
        return Rejected(f"the scheme cannot write {unsupported}")
    problem = equation.problem
    box = region_box(equation)
    labels = DiscreteStates.of(problem).labels
    finest = int(options.get("nx", NODES[len(box)]))
    finest = 4 * max(4, round((finest - 1) / 4)) + 1
    t, x, s = _samples(equation, box, len(labels), runner.times)

    padding = 1.0
    axes = build_axes(equation, padding)
    coarse = runner.level(axes, _shape(axes, finest, 2))
    outside = 0.0
    while any(end for axis in axes for end in axis.padded):
        wider = build_axes(equation, 2 * padding)
        other = runner.level(wider, _shape(wider, finest, 2))
        change = np.abs(other[0].at(t, x, s) - coarse[0].at(t, x, s))
        scale = 1.0 + np.max(np.abs(other[0].at(t, x, s)))
        padding, axes, coarse, outside = 2 * padding, wider, other, float(np.max(change))
        if outside < (1e-6 if len(box) == 1 else 1e-4) * scale or padding >= 8:
            break
    middle = runner.level(axes, _shape(axes, finest, 1))
    fine, policy, stopped, numbers = runner.level(axes, _shape(axes, finest, 0))
    levels = (coarse[0], middle[0], fine)
    values = [level.at(t, x, s) for level in levels]
    first, second = np.abs(values[1] - values[0]), np.abs(values[2] - values[1])
    order = math.log2(max(float(np.mean(first)), 1e-300) / max(float(np.mean(second)), 1e-300))
    trusted = TRUSTED_ORDER[0] <= order <= TRUSTED_ORDER[1]
    modes = {mode: number for number, mode in enumerate(problem.mode_tuples())}
    function = GridFunction(
        levels, policy, stopped,
        tuple((modes[mode], tuple(float(problem.numeric(sp.sympify(v))) for v in values_)) for mode, values_ in labels),
        problem.continuous_states, problem.lattice_states, runner.module.CONTROLS,
        min(order, 2.0) if trusted else math.nan, outside, 1e-12,
    )  # fmt: skip
    _, error = function.extrapolate(*values)
    average, average_error = _average(function, coarse[3], middle[3], numbers) if problem.objective.form == "average" else (None, None)
    settled = trusted or float(np.max(second)) < 1e-9 * (1.0 + np.max(np.abs(values[2])))
    return Accepted(
        Solution(
            "grid", f"monotone finite differences on {' x '.join(map(str, fine.mesh.shape))} nodes",
            "converged" if settled else "not_converged", function,
            Evidence(
                "grid_convergence", float(numbers.get("policy_residual", 0.0)),
                (f"three levels, mean differences {np.mean(first):.2g} and {np.mean(second):.2g}: observed order {order:.2f}",
                 f"artificial ends doubled: the answer on the region moved by {outside:.2g}"),
                {"order": order, "band": float(np.max(error)), "domain_sensitivity": outside, **numbers},
            ),
            average=average, average_error=average_error,
            warnings=() if settled else (f"observed order {order:.2f} is outside {TRUSTED_ORDER}: values are not extrapolated",),
        )
    )  # fmt: skip


def _average(function: GridFunction, coarse: dict[str, float], middle: dict[str, float], fine: dict[str, float]) -> tuple[float, float]:
    value, error = function.extrapolate(*(np.array([numbers["average"]]) for numbers in (coarse, middle, fine)))
    return float(value[0]), float(error[0])


__all__ = ["SolverError", "solve"]

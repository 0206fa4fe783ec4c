"""The learner on paths of one problem of many states as a program that needs torch only.

In: an equation, the template `neural_paths_standalone.py.j2`. Out: the source text, or a reason. Numbers stand in the formulas: a
formula in names would be as long as there are states.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import sympy as sp

from hjbdsl.codegen.citations import listing
from hjbdsl.codegen.templating import template
from hjbdsl.methods.neural.emit import Emitter
from hjbdsl.methods.neural.path_model import rejection
from hjbdsl.methods.neural.standalone_text import header, notes, on_clock, without_unused
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.names import unicode_name
from hjbdsl.model.problem import Bounds
from hjbdsl.model.solution import Array, Rejected
from hjbdsl.numeric.points import default_points, written
from hjbdsl.numeric.state_space import horizon, region_of

ROUNDS = 160
MEASURED = 2000
_STATE, _CONTROLLED, _DERIVATIVES = "t, x", "t, x, a", "t, x, V, p, M"


def program_on_paths(equation: HJBEquation, seed: int) -> str | Rejected:
    """The program's text, or why it is not written. Raises `UnsupportedInTorch`."""
    problem = equation.problem
    reason = rejection(equation)
    if reason is not None:
        return Rejected(reason)
    discount = problem.numeric(problem.objective.discount)
    if not discount.is_number or (not equation.stationary and discount != 0):
        return Rejected("a discount of its own is not in the written program of many states with an end")
    if any(math.isfinite(float(problem.numeric(end))) for b in problem.state_bounds for end in (b.lower, b.upper)):
        return Rejected("states with bounds are not in the written program of many states")
    if not problem.control_symbols:
        return Rejected("there is no control: the paths alone give V")
    return _written(equation, seed, float(discount))


def _written(equation: HJBEquation, seed: int, discount: float) -> str:
    problem, emitter = equation.problem, Emitter(equation)
    bounds = [b for group in problem.controls for b in group.bounds]
    bounded = any(problem.numeric(end).is_finite for b in bounds for end in (b.lower, b.upper, *b.points))
    _functions(emitter, bounds if bounded else [])
    region = region_of(problem)
    text = template("neural_paths_standalone.py.j2").render(
        header=header(equation, _ABOUT), listing=listing(problem), seed=seed, rounds=ROUNDS, finite=not equation.stationary,
        end=repr(float(horizon(problem))), rate=repr(discount), states=problem.dimension, controls=len(emitter.controls),
        noises=len(problem.noises), sense="1.0" if equation.maximise else "-1.0", centre=_vector(region.mean(1)),
        half=_vector(0.5 * (region[:, 1] - region[:, 0])), points=_points(equation), measured=MEASURED,
        constants=emitter.constants, functions=[on_clock(function) for function in emitter.functions], notes=notes(equation),
        branches=len(equation.optimum.candidates), bounded=bounded,
        names=repr([*([] if equation.stationary else ["t"]), *(unicode_name(g.name) for g in problem.states)]),
    )  # fmt: skip
    return re.sub(r"\n{4,}", "\n\n\n", without_unused(text))


_ABOUT = (
    "Each round: paths under the control that the network W recommends (improvement is in closed form), then least squares of W",
    "and its gradient on the cost that followed, less its martingale, and on the costate. At the end the learned control is",
    "simulated from every point that is printed: no control costs less than the optimal one, so that bounds V from one side.",
)


def _functions(emitter: Emitter, bounds: Sequence[Bounds]) -> None:
    """The coefficients of the equation, the bounds of the controls where there are any, the candidates of the optimiser."""
    problem = emitter.problem
    emitter.vector("drift", _CONTROLLED, "b (B, STATES).", problem.drift)
    by_state = [
        sp.Add(*(c * emitter.noises[k] for (j, k), c in emitter.loading.items() if j == i)) for i in range(problem.dimension)
    ]
    emitter.vector("noise", "t, x, w", "S w for increments w (B, NOISES) of independent Brownian motions.", by_state)
    emitter.scalar("running", _CONTROLLED, "f, the reward rate.", problem.objective.running)
    if problem.objective.terminal is not None:
        emitter.scalar("terminal", _STATE, "g, paid at the end.", problem.objective.terminal)
    elif not emitter.equation.stationary:
        emitter.scalar("terminal", _STATE, "Nothing is paid at the end.", sp.S.Zero)
    if bounds:
        least = [min(b.points) if b.points else b.lower for b in bounds]
        most = [max(b.points) if b.points else b.upper for b in bounds]
        emitter.vector("lowest", _STATE, "Lower bounds of the controls.", least)
        emitter.vector("highest", _STATE, "Upper bounds of the controls.", most)
    for k, candidate in enumerate(emitter.equation.optimum.candidates):
        controls = [candidate.controls[c] for c in emitter.controls]
        emitter.vector(f"candidate_{k}", _DERIVATIVES, f"Controls: {candidate.name}.", controls)
        if k:
            holds = sp.Piecewise((1, candidate.where), (0, True))
            emitter.scalar(f"valid_{k}", _DERIVATIVES, "1 where they are the optimum.", holds)


def _points(equation: HJBEquation) -> str:
    """The points that `hjb solve` prints without `--at`."""
    problem = equation.problem
    points = default_points(problem)
    rows = []
    for k in range(len(points)):
        cells = written(problem, equation.stationary, points, k)
        rows.append(f"    ({float(points.t[k])!r}, {_numbers(points.x[k])}, {list(cells)!r}),\n")
    return f"(\n{''.join(rows)})"


def _numbers(values: Array) -> str:
    numbers = [float(value) for value in values]
    return f"[{numbers[0]!r}] * STATES" if len(set(numbers)) == 1 else repr(numbers)


def _vector(values: Array) -> str:
    return f"torch.tensor({_numbers(values)})"


__all__ = ["program_on_paths"]

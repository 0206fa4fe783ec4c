"""What a quadrature is worth, measured where the answer will be read: the region and the whole time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sympy as sp

from hjbdsl.methods.closed_form.expectation.blocks import Block
from hjbdsl.methods.closed_form.expectation.cubature import CubatureCore
from hjbdsl.methods.closed_form.expectation.line_core import LineCore
from hjbdsl.methods.closed_form.expectation.radial_core import RadialCore
from hjbdsl.methods.closed_form.expectation.running import AccruedValue
from hjbdsl.methods.closed_form.expectation.value import GaussianValue
from hjbdsl.methods.closed_form.family import ExactFunction
from hjbdsl.model.problem import TIME, ControlProblem
from hjbdsl.model.solution import Array
from hjbdsl.numeric.compile import UnsupportedExpression, compile_expressions

_POINTS = 17


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Largest claimed error of V at seeded points, and relative to the median size of V there."""

    absolute: float
    relative: float
    statement: str


def measured_accuracy(problem: ControlProblem, function: ExactFunction) -> Accuracy:
    t, x = region_points(problem, _POINTS)
    with np.errstate(all="ignore"):
        point = function.evaluate(t, x, np.zeros(len(t), dtype=np.int64))
    absolute = float(np.max(point.error))
    size = float(np.median(np.abs(point.value))) + 1e-12
    if not (np.isfinite(absolute) and np.all(np.isfinite(point.value))):
        return Accuracy(np.inf, np.inf, "the expectation is not finite")
    return Accuracy(
        absolute,
        absolute / max(size, 1.0),
        f"quadrature doubled until it agreed: error at most {absolute:.1e} at {len(t)} points",
    )


def formula_gap(problem: ControlProblem, function: ExactFunction, formula: sp.Expr) -> float:
    """Largest difference of a formula and the quadrature at seeded points, relative to 1 + |V|; infinite if it is no number."""
    t, x = region_points(problem, _POINTS, seed=6)
    try:
        values = compile_expressions((TIME, *problem.state_symbols), [sp.sympify(problem.numeric(formula))])(t, *x.T)[0]
    except (UnsupportedExpression, ValueError):
        return np.inf
    exact = function.evaluate(t, x, np.zeros(len(t), dtype=np.int64)).value
    gap = np.max(np.abs(values - exact) / (1 + np.abs(exact)))
    return float(gap) if np.isfinite(gap) else np.inf


def region_points(problem: ControlProblem, count: int, seed: int = 5) -> tuple[Array, Array]:
    """Seeded points (t, x) of region x [0, T), infinite ends replaced by +-2."""
    random = np.random.default_rng(seed)
    ends = [[float(problem.numeric(v)) for v in pair] for pair in problem.region]
    low = np.array([a if np.isfinite(a) else -2.0 for a, _ in ends])
    high = np.array([b if np.isfinite(b) else max(2.0, a + 1) for a, (_, b) in zip(low, ends, strict=True)])
    end = float(problem.numeric(problem.objective.end))
    x = random.uniform(low, high, (count, len(low)))
    t = random.uniform(0.0, end, count) if np.isfinite(end) else np.zeros(count)
    return t, x


def reduced_dimensions(function: ExactFunction) -> str:
    """One line: how many integrals of which dimension."""
    values = [function] if isinstance(function, GaussianValue) else []
    if isinstance(function, AccruedValue):
        values = [v for v in (function.terminal, *(part for _, part in function.parts)) if v is not None]
    blocks = [block for v in values for block in v.blocks]
    if not blocks:
        return "moments of the Gaussian law only: no quadrature"
    kinds: dict[str, int] = {}
    for block in blocks:
        kind = _kind(block)
        kinds[kind] = kinds.get(kind, 0) + 1
    return "integrals: " + ", ".join(f"{count} {kind}" for kind, count in kinds.items())


def _kind(block: Block) -> str:
    match block.core:
        case LineCore():
            return "one-dimensional" + (f" (of {len(block.index)} coordinates)" if len(block.index) > 1 else "")
        case RadialCore():
            return f"radial (of {len(block.index)} coordinates)"
        case CubatureCore():
            return f"{len(block.core.symbols)}-dimensional"
        case _:
            raise TypeError(f"unknown core {type(block.core).__name__}")

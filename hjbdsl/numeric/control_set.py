"""The set of admissible controls at many points: box, affine joint constraints, finite sets.

In: a problem. Out: a `ControlRegion`, compiled once, which gives the `ControlSet` at any points. A control after which a jump
could carry a state out of its domain is not admissible. A constraint on one control alone becomes an end of its interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from hjbdsl.model.problem import ControlProblem
from hjbdsl.numeric.compile import compile_expressions
from hjbdsl.numeric.landing import landings

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ControlSet:
    """lower, upper (P, m), infinite where there is no bound; G (P, c, m), h (P, c): the joint constraints G a <= h;
    `finite` the points of each component that lives in a finite set, None for an interval."""

    lower: Array
    upper: Array
    normals: Array
    offsets: Array
    finite: tuple[Array | None, ...]

    def rows(self, rows: NDArray[np.int64]) -> ControlSet:
        return ControlSet(self.lower[rows], self.upper[rows], self.normals[rows], self.offsets[rows], self.finite)


class ControlRegion:
    """The control set of a problem, compiled once, then asked `at` points. Joint constraints must be affine in the controls."""

    def __init__(self, problem: ControlProblem):
        groups = (*problem.controls, *problem.adversaries)
        self._symbols = tuple(s for g in groups for s in g.symbols)
        bounds = [b for g in groups for b in g.bounds]
        self._finite = tuple(np.array([float(problem.numeric(v)) for v in b.points]) if b.is_finite_set else None for b in bounds)
        rows = [row for c in problem.constraints if c.role != "state" for row in _affine_rows(c.condition, self._symbols)]
        rows = [tuple(problem.numeric(e) for e in row) for row in rows] + _landing_rows(problem, self._symbols)
        self._alone = [_only_control(row, self._finite) for row in rows]
        flat = [problem.numeric(e) for b in bounds for e in (b.lower, b.upper)] + [e for row in rows for e in row]
        self._count = len(rows)
        self._arguments = sorted(set().union(*(e.free_symbols for e in flat)), key=str) if flat else []
        self._function = compile_expressions(self._arguments, flat)

    def at(self, environment: Mapping[sp.Symbol, Array], count: int) -> ControlSet:
        """The control set at `count` points of an environment symbol -> array. It is empty where some lower > upper."""
        m = len(self._symbols)
        values = np.stack([np.broadcast_to(v, (count,)) for v in self._function(*(environment[s] for s in self._arguments))])
        box = values[: 2 * m].reshape(m, 2, count).copy()
        rows = values[2 * m :].reshape(self._count, m + 1, count)
        for row, k in zip(rows, self._alone, strict=True):
            if k is not None:
                _tighten(box[k], row[k], row[m])
        joint = rows[[k is None for k in self._alone]] if self._count else rows
        return ControlSet(
            box[:, 0].T.copy(), box[:, 1].T.copy(), joint[:, :m].transpose(2, 0, 1).copy(), joint[:, m].T.copy(), self._finite
        )


def _tighten(interval: Array, slope: Array, bound: Array) -> None:
    """slope*a <= bound put into the interval (2, P); an impossible one empties it."""
    with np.errstate(all="ignore"):
        end = bound / slope + 0.0
    interval[1] = np.where(slope > 0, np.minimum(interval[1], end), interval[1])
    interval[0] = np.where(slope < 0, np.maximum(interval[0], end), interval[0])
    impossible = (slope == 0) & (bound < 0)
    interval[:, impossible] = np.array([[1.0], [-1.0]])


def _only_control(row: tuple[sp.Expr, ...], finite: tuple[Array | None, ...]) -> int | None:
    """The one control that a row is about, None for a joint row and for a control in a finite set."""
    about = [k for k, slope in enumerate(row[:-1]) if slope != 0]
    return about[0] if len(about) == 1 and finite[about[0]] is None else None


def _landing_rows(problem: ControlProblem, controls: tuple[sp.Symbol, ...]) -> list[tuple[sp.Expr, ...]]:
    """Raises `ValueError` where a jump's landing is not affine in the controls."""
    rows = []
    for landing in landings(problem):
        if not set(controls) & landing.excess.free_symbols:
            continue
        for *slopes, bound in _affine_rows(sp.Le(landing.excess, 0, evaluate=False), controls):
            rows.append((*(landing.guarded(s, sp.S.Zero) if s != 0 else s for s in slopes), landing.guarded(bound, sp.S.One)))
    return rows


def _affine_rows(condition: sp.Basic, controls: tuple[sp.Symbol, ...]) -> list[tuple[sp.Expr, ...]]:
    """`condition` as rows (g_1, ..., g_m, h) of g.a <= h. Raises `ValueError` where it is not affine in the controls."""
    if isinstance(condition, sp.And):
        return [row for part in condition.args for row in _affine_rows(part, controls)]
    if condition == sp.true:
        return []
    match condition:
        case sp.LessThan() | sp.StrictLessThan():
            excess = [condition.lhs - condition.rhs]
        case sp.GreaterThan() | sp.StrictGreaterThan():
            excess = [condition.rhs - condition.lhs]
        case sp.Equality():
            excess = [condition.lhs - condition.rhs, condition.rhs - condition.lhs]
        case _:
            raise ValueError(f"the joint constraint {condition} is not an inequality")
    rows = []
    for e in excess:
        slopes = [sp.diff(e, a) for a in controls]
        if any(set(controls) & s.free_symbols for s in slopes):
            raise ValueError(f"the joint constraint {condition} is not affine in the controls")
        rows.append((*slopes, -e.xreplace(dict.fromkeys(controls, sp.S.Zero))))
    return rows

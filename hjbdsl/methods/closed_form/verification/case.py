"""A proposal at the seeded samples where it is tested.

In: equation and proposal. Out: `Case`: samples, derivatives, the proposed controls and, by joint mode, operators and control
sets; or `Rejected` where the proposal has no finite numbers there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hjbdsl.methods.closed_form.family import Derivatives, Proposal
from hjbdsl.methods.closed_form.verification.operator import ModeOperator, mode_operator
from hjbdsl.methods.closed_form.verification.points import ControlSet, Samples, control_set, sample
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Array, PointValues, Rejected

POINTS = 64
FORMULA_TOLERANCE = 1e-10
"""Largest residual of a formula, relative to the size of the equation's terms."""
COARSEST_TOLERANCE = 1e-6
"""Largest residual of anything else, however modest the accuracy it claims."""


@dataclass(frozen=True, slots=True)
class Case:
    """The proposal at the samples; `operators` and `control_sets` by joint mode, `bending` as `ModeOperator.evaluate` wants it,
    `tolerance` of the relative residual."""

    equation: HJBEquation
    proposal: Proposal
    at: Samples
    exact: Derivatives
    point: PointValues
    operators: tuple[ModeOperator, ...]
    control_sets: tuple[ControlSet, ...]
    bending: Array
    tolerance: float

    def value(self, t: Array, x: Array, mode: NDArray[np.int64]) -> Array:
        return self.proposal.function.evaluate(t, x, mode).value

    def running(self) -> NDArray[np.bool_]:
        """Where the proposal does not stop."""
        stop = self.point.stop
        return ~stop if stop is not None else np.ones(self.at.count, dtype=bool)

    def derivatives(self, rows: NDArray[np.int64], second: bool = True) -> Derivatives:
        """The derivatives at `rows`; the Hessian only if `second`, since in wide problems it is most of them."""
        exact = self.exact
        hessian = exact.hessian[rows] if second else exact.hessian[:0]
        return Derivatives(exact.value[rows], exact.time[rows], exact.gradient[rows], hessian)

    def hamiltonian(self, rows: NDArray[np.int64], control: Array, whole: bool = True) -> tuple[Array, Array]:
        """f + L^a V - r V at the sample `rows` (unless `whole`, without noise, jumps and switches that no control moves), and the
        size of its terms."""
        at = self.at.take(rows)
        total, size = np.empty(at.count), np.empty(at.count)
        for index, operator in enumerate(self.operators):
            here = np.flatnonzero(at.mode == index)
            if len(here):
                exact = self.derivatives(rows[here], second=whole or operator.noise_controlled)
                with np.errstate(all="ignore"):  # far controls overflow; what is not finite is never an answer
                    found = operator.evaluate(at.take(here), control[here], exact, self.value, self.bending, whole)
                total[here], size[here] = found
        return total, size


def case_of(equation: HJBEquation, proposal: Proposal) -> Case | Rejected:
    """Sample the proposal."""
    problem = equation.problem
    at = sample(problem, POINTS)
    if at.count < 4:
        return Rejected("no admissible point was found in the region to test the answer at")
    with np.errstate(all="ignore"):
        exact = proposal.function.derivatives(at.t, at.x, at.mode)
        point = proposal.function.evaluate(at.t, at.x, at.mode)
    for name, array in (("V", exact.value), ("V_t", exact.time), ("gradient", exact.gradient), ("control", point.control)):
        if not np.all(np.isfinite(array)):
            return Rejected(f"the proposed {name} is not finite everywhere in the region")
    modes = problem.mode_tuples()
    operators = tuple(mode_operator(problem, mode) for mode in modes)
    try:
        sets = tuple(control_set(problem, mode) for mode in modes)
    except ValueError as error:
        return Rejected(f"the admissible controls are not known: {error}")
    size = float(np.median(np.abs(exact.value))) + 1e-12
    tolerance = max(FORMULA_TOLERANCE, min(COARSEST_TOLERANCE, 100 * proposal.accuracy / size))
    return Case(equation, proposal, at, exact, point, operators, sets, _bending(at, exact.value), tolerance)


def _bending(at: Samples, value: Array) -> Array:
    """The range of V over the square of the lengths of the region, (n, n); a length counts from the origin, so that a small
    region far away does not pass for strongly bent."""
    if not at.x.shape[1]:
        return np.zeros((0, 0))
    lengths = np.maximum(np.ptp(at.x, axis=0), np.abs(at.x).max(axis=0)) + 1e-300
    return np.asarray(np.ptp(value) / np.outer(lengths, lengths))

"""The random policies of exploratory problems: is the proposed one the Gibbs policy, and what is the Hamiltonian worth under it?

In: the case. Out: the soft Hamiltonian at the samples, or why the proposed mean and spread are not those of the optimum.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hjbdsl.methods.closed_form.verification.case import Case
from hjbdsl.methods.closed_form.verification.soft_optimum import Gibbs, NoSoftOptimum, soft_optimum
from hjbdsl.model.problem import ControlProblem
from hjbdsl.model.solution import Array, Rejected

_MOMENT_TOLERANCE = 1e-7


def explored_columns(problem: ControlProblem) -> tuple[int, ...]:
    """The columns of the explored controls."""
    explored = problem.exploration.controls if problem.exploration is not None else ()
    return tuple(problem.control_symbols.index(symbol) for symbol in explored)


def soft_hamiltonian(case: Case) -> Array | Rejected:
    """Over all samples; the proposed mean and spread must be those of the Gibbs policy."""
    columns = list(explored_columns(case.equation.problem))
    total = np.empty(case.at.count)
    spread = case.point.spread
    if spread is None:
        return Rejected("the proposal lacks the spread of its random policy")
    for index in range(len(case.operators)):
        here = np.flatnonzero(case.at.mode == index)
        if not len(here):
            continue
        control = case.point.control[here]
        try:
            gibbs = _gibbs(case, here, control)
        except NoSoftOptimum as error:
            return Rejected(str(error))
        fixed = case.hamiltonian(here, control)[0] - case.hamiltonian(here, control, whole=False)[0]
        total[here] = gibbs.value + fixed
        for name, claimed, found in (("mean", control, gibbs.mean), ("spread", spread[here], gibbs.spread)):
            gap = float(np.max(np.abs(claimed[:, columns] - found) / (1 + np.abs(found))))
            if not gap <= _MOMENT_TOLERANCE:
                return Rejected(f"the {name} of the proposed policy is off the Gibbs policy by {gap:.1e}")
    return total


def soft_value(case: Case, rows: NDArray[np.int64], control: Array) -> tuple[Array, Array]:
    """The soft Hamiltonian (of what a control moves) at the samples `rows` of one mode, the components that are not explored as
    in `control`; and the size of its terms. Raises `NoSoftOptimum`."""
    value = _gibbs(case, rows, control).value
    return value, case.hamiltonian(rows, control, whole=False)[1] + np.abs(value)


def _gibbs(case: Case, rows: NDArray[np.int64], control: Array) -> Gibbs:
    problem, spread = case.equation.problem, case.point.spread
    if spread is None:
        raise NoSoftOptimum("the proposal lacks the spread of its random policy")

    def hamiltonian(within: NDArray[np.int64], other: Array) -> tuple[Array, Array]:
        return case.hamiltonian(rows[within], other, whole=False)

    at = case.at.take(rows)
    admissible = case.control_sets[int(at.mode[0])]
    return soft_optimum(problem, hamiltonian, admissible, at, control, spread[rows], case.equation.maximise)

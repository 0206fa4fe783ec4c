"""The mode terms of the generator: sum over chains and targets of rate (V_target - V)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import sympy as sp

from hjbdsl.model.problem import ControlProblem


def mode_term(
    problem: ControlProblem,
    mode: tuple[int, ...],
    values: Mapping[tuple[int, ...], sp.Expr],
    worth: Callable[[sp.Expr], sp.Expr] = lambda difference: difference,
) -> sp.Expr:
    """The switching term in joint mode `mode`, given V in every joint mode; `worth` of a difference is itself but under risk."""
    terms: list[sp.Expr] = []
    for number, chain in enumerate(problem.modes):
        for (source, target), rate in chain.rates.items():
            if source == mode[number]:
                reached = (*mode[:number], target, *mode[number + 1 :])
                terms.append(problem.at_mode(rate, mode) * worth(values[reached] - values[mode]))
    return sp.Add(*terms)

"""The mode terms of the generator: sum over chains and targets of rate (V_target - V)."""

from __future__ import annotations

from collections.abc import Mapping

import sympy as sp

from hjbdsl.model.problem import ControlProblem


def mode_term(problem: ControlProblem, mode: tuple[int, ...], values: Mapping[tuple[int, ...], sp.Expr]) -> sp.Expr:
    """The switching term in joint mode `mode`, given V in every joint mode. Rates are taken in that mode."""
    terms: list[sp.Expr] = []
    for number, chain in enumerate(problem.modes):
        for (source, target), rate in chain.rates.items():
            if source == mode[number]:
                reached = (*mode[:number], target, *mode[number + 1 :])
                terms.append(problem.at_mode(rate, mode) * (values[reached] - values[mode]))
    return sp.Add(*terms)

"""Perpetual stopping far away: payoffs against the fundamental solutions of r u = L u that grow towards either end.

In: a line problem and its characteristic equation. Out: what stopping ever farther away collects in the limit, or `HjbError`
(HJB120) where that is without bound. Where the payoff grows exactly like u, E e^(-r tau_b) G(X at b) tends to the limit of
G/u times u: an r-harmonic part of V that no stopping time attains (a call without dividends: V = x).
Source: Dayanik and Karatzas, Stochastic Processes and their Applications 107 (2003), section 5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sympy as sp

from hjbdsl.errors import HjbError
from hjbdsl.methods.closed_form.family import ill_posed
from hjbdsl.methods.closed_form.one_dimensional.branches import smooth_branches
from hjbdsl.methods.closed_form.one_dimensional.exponents import Characteristic, Term
from hjbdsl.methods.closed_form.one_dimensional.line import LineProblem
from hjbdsl.methods.closed_form.one_dimensional.notation import notation
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Array
from hjbdsl.numeric.compile import compile_expressions


@dataclass(frozen=True, slots=True)
class Distant:
    """`limit`: the r-harmonic function collected by stopping ever farther away (0 where nothing is); `statement` and `warning`
    say so where it is not 0."""

    limit: sp.Expr
    statement: str = ""
    warning: str = ""


def require_finite_running_value(equation: HJBEquation, law: Characteristic, running: tuple[Term, ...]) -> None:
    """Raises `HjbError` where discounting does not outweigh the growth of the running reward."""
    problem = equation.problem
    negative, positive = (float(problem.numeric(root)) for root in law.exponents())
    for term in running:
        p = float(problem.numeric(term.exponent))
        if not negative < p < positive:
            raise _infinite(equation, f"the running reward grows with exponent {p:.6g}, outside ({negative:.6g}, {positive:.6g})")


def distant_payoff(line: LineProblem, law: Characteristic) -> Distant:
    """What is collected at both ends. Raises `HjbError` where the payoff outgrows the fundamental solution at one: it can then be
    collected later and later for more and more."""
    problem = line.equation.problem
    limit, ends = sp.S.Zero, []
    far = np.array([1e9, 1e12]) if law.scale == "power" else np.array([1e3, 2e3])
    near = 1 / far if law.scale == "power" else -far
    for root, points, side, end in ((law.exponents()[1], far, 1.0, "inf"), (law.exponents()[0], near, -1.0, "-inf")):
        term = _leading(line, law, points, side)
        if term is None:
            continue
        p, c = float(problem.numeric(term.exponent)), float(problem.numeric(term.coefficient))
        beyond = side * (p - float(problem.numeric(root)))
        if beyond < -1e-12 or (c * (side**term.degree) > 0) != line.maximise:
            continue
        if beyond > 1e-12 or term.degree > 0:
            bound = float(problem.numeric(root))
            raise _infinite(
                line.equation, f"the payoff grows with exponent {p:.6g}, discounting outweighs only up to {bound:.6g}"
            )
        limit += term.coefficient * law.basis(term.exponent)
        ends.append("0" if law.scale == "power" and side < 0 else end)
    if limit == 0:
        return Distant(sp.S.Zero)
    x, best = line.state.name, "supremum" if line.maximise else "infimum"
    where = " and ".join(f"{x} -> {end}" for end in ends)
    statement = (
        f"the payoff grows just as fast as discounting takes away: stopping at ever farther {where} collects "
        f"{notation(limit).text} in the limit"
    )
    warning = f"the {best} is not attained: no stopping time is optimal, V is the limit of stopping ever later as {where}"
    return Distant(limit, statement, warning)


def _leading(line: LineProblem, law: Characteristic, points: Array, side: float) -> Term | None:
    """The term of the payoff that grows fastest at one end."""
    problem = line.equation.problem
    assert problem.objective.stop_value is not None
    assert line.payoff is not None
    for branch in smooth_branches(problem.objective.stop_value, line.state):
        with np.errstate(all="ignore"):
            there, payoff = compile_expressions((line.state,), (problem.numeric(branch), line.payoff[0]))(points)
        terms = law.terms(branch)
        if terms and np.array_equal(there, payoff):
            return max(terms, key=lambda term: (side * float(problem.numeric(term.exponent)), term.degree))
    return None


def _infinite(equation: HJBEquation, why: str) -> HjbError:
    name = "discount" if "discount" in equation.problem.origins else "objective"
    return ill_posed(
        equation.problem,
        "HJB120",
        name,
        f"the value is not finite: {why}",
        "raise the discount rate, or give the stopping time an end",
    )

"""Negative discounting: whether a policy's expectation is finite, by a positive supersolution.

In: a component and one policy's coefficients. Out: whether an h > 0 exists with L h - r h <= 0. Where r >= 0 the constant 1
is one; where r < 0 somewhere the linear equation may well have a solution that is no expectation (its principal
eigenvalue has crossed zero: for Brownian motion on (-1, 1), E exp(c tau) is infinite from c = pi^2/8 on).
Source: Berestycki, Nirenberg and Varadhan, Comm. Pure Appl. Math. 47 (1994): the maximum principle holds if and only if
a positive strict supersolution exists.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from hjbdsl.methods.closed_form.family import ill_posed
from hjbdsl.methods.closed_form.one_dimensional.chebyshev import rule
from hjbdsl.methods.closed_form.one_dimensional.component import Component
from hjbdsl.methods.closed_form.one_dimensional.elements import Coefficients, EndCondition, System, solve
from hjbdsl.model.solution import Array

Verdict = Literal["finite", "infinite", "unresolved"]
_DECAY = 1e-4
"""A series of h that has not fallen this far says nothing about its sign."""


def verdict(system: System, inner: Coefficients, ends: Coefficients) -> Verdict:
    """ "finite" where L h - r h = -1 has a positive solution with h = 1 at exits and where stopped, "infinite" where h is not
    positive, "unresolved" where the mesh is too coarse to say.

    Ends that are never reached are cut off with h = 1, and then L h - r h = 0: were h not positive, the expectation would
    be infinite already for the process stopped at the cut.
    """
    if not (inner.discount < 0).any():
        return "finite"
    source = 0.0 if "growth" in (system.lower.kind, system.upper.kind) else 1.0
    frame = replace(
        system,
        lower=_killed(system.lower),
        upper=_killed(system.upper),
        payoff_nodes=np.ones_like(system.payoff_nodes),
        payoff_breaks=np.ones_like(system.payoff_breaks),
    )
    sources = (replace(c, running=np.full_like(c.running, source)) for c in (inner, ends))
    try:
        h = solve(frame, *sources)
    except RuntimeError:
        # singular: the principal eigenvalue itself is zero
        return "infinite"
    free = ~system.mesh.stopped
    if np.all(h.at_nodes()[0][free] > 0):
        return "finite"
    series = np.abs(h.curvature @ rule(system.mesh.degree).analysis.T)
    decayed = series[..., -3:].max(axis=-1) <= _DECAY * series.max(axis=-1)
    return "infinite" if decayed[free].all() else "unresolved"


def _killed(end: EndCondition) -> EndCondition:
    match end.kind:
        case "value" | "growth":
            return EndCondition("value", np.ones_like(end.amount))
        case "slope":
            return EndCondition("slope", np.zeros_like(end.amount))
        case "natural":
            return end
        case _:
            raise TypeError(end.kind)


def pays(component: Component, system: System, inner: Coefficients) -> bool:
    """Whether everything that can be paid has the sign that the objective wants: an infinite expectation is then the
    infinite value. Without a choice it is in any case no finite one."""
    amounts: list[Array] = [inner.running.ravel()]
    amounts += [end.amount for end in (system.lower, system.upper) if end.kind in ("value", "slope")]
    if component.line.payoff is not None:
        amounts.append(system.payoff_nodes[system.mesh.stopped])
    paid = np.concatenate([a.ravel() for a in amounts])
    if not component.line.controls and component.line.payoff is None:
        return bool((paid != 0).any())
    gain = paid if component.line.maximise else -paid
    return bool((gain >= 0).all() and (gain > 0).any())


def raise_infinite(component: Component) -> None:
    """Raises `HjbError`: HJB120 at the discount rate (its parameter, where it is one)."""
    problem = component.line.equation.problem
    discount = problem.objective.discount
    names = [s.name for s in sorted(discount.free_symbols, key=str) if s.name in problem.origins]
    rates = {r for r in component.line.discount if r.is_number}
    shown = f"{float(min(rates)):g}" if rates and not names else f"`{discount}`"
    raise ill_posed(
        problem,
        "HJB120",
        names[0] if names else "discount" if "discount" in problem.origins else "objective",
        f"the value is not finite: the discount rate {shown} is negative, and the process stays long enough with too large a "
        "probability for what grows meanwhile (the principal eigenvalue of the stopped process is not below the growth rate)",
        "let the growth be slower (a discount rate closer to 0), or the exit nearer",
    )

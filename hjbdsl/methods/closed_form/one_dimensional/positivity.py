"""Negative discounting: whether a policy's expectation is finite, by a positive supersolution.

In: a component and one policy's coefficients. Out: whether an h > 0 exists with L h - r h <= 0. Where r >= 0 the constant 1
is one; where r < 0 somewhere the linear equation may well have a solution that is no expectation (its principal
eigenvalue has crossed zero: for Brownian motion on (-1, 1), E exp(c tau) is infinite from c = pi^2/8 on).
Source: Berestycki, Nirenberg and Varadhan, Comm. Pure Appl. Math. 47 (1994): the maximum principle holds if and only if
a positive strict supersolution exists.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Literal

import numpy as np
from numpy.polynomial.chebyshev import chebvander

from hjbdsl.methods.closed_form.family import ill_posed
from hjbdsl.methods.closed_form.one_dimensional.chebyshev import rule
from hjbdsl.methods.closed_form.one_dimensional.component import Component
from hjbdsl.methods.closed_form.one_dimensional.elements import Coefficients, EndCondition, Mesh, System, solve
from hjbdsl.model.solution import Array

Verdict = Literal["finite", "infinite", "unresolved"]
_DECAY = 1e-4
"""A series of h that has not fallen this far says nothing about its sign."""
_NOTHING = 1e-9
"""A share of h that a series' last terms may be instead: on short elements they are rounding."""
_HALVINGS = 14


def verdict(system: System, inner: Coefficients, ends: Coefficients) -> Verdict:
    """ "finite" where L h - r h = -1 has a positive solution with h = 1 at exits and where stopped, "infinite" where h is not
    positive, "unresolved" where the mesh is too coarse to say.

    Ends that are never reached are cut off with h = 1: were h not positive, the expectation would be infinite already for the
    process stopped at the cut. Where the cut is hardly reached h has a layer there (and without the source would be 0 beyond
    it, up to rounding of either sign), for which the outermost elements are halved again and again.
    """
    if not (inner.discount < 0).any():
        return "finite"
    mesh = system.mesh
    for upper, end in ((False, system.lower), (True, system.upper)):
        if end.kind == "growth":
            mesh, inner = _graded(mesh, inner, upper=upper)
    modes, elements = mesh.stopped.shape
    nodes, breaks = np.ones((modes, elements, mesh.degree)), np.ones((modes, elements + 1))
    frame = System(mesh, _killed(system.lower), _killed(system.upper), nodes, breaks)
    try:
        h = solve(frame, *(replace(c, running=np.ones_like(c.running)) for c in (inner, ends)))
    except RuntimeError:
        # singular: the principal eigenvalue itself is zero
        return "infinite"
    free = ~mesh.stopped
    values = h.at_nodes()[0]
    if np.all(values[free] > 0):
        return "finite"
    series = np.abs(h.curvature @ rule(mesh.degree).analysis.T)
    largest, last = series.max(axis=-1), series[..., -3:].max(axis=-1)
    decayed = (last <= _DECAY * largest) | (mesh.half**2 * last <= _NOTHING * np.abs(values).max())
    return "infinite" if decayed[free].all() else "unresolved"


def _graded(mesh: Mesh, inner: Coefficients, *, upper: bool) -> tuple[Mesh, Coefficients]:
    """The outermost element in pieces that halve toward the end, with the same coefficients."""
    element = len(mesh.breaks) - 2 if upper else 0
    shares = np.append(0.0, 0.5 ** np.arange(_HALVINGS, -1, -1))
    shares = 1.0 - shares[::-1] if upper else shares
    middles = shares[:-1] + shares[1:] - 1.0
    local = middles[:, None] + np.diff(shares)[:, None] * rule(mesh.degree).nodes
    weights = rule(mesh.degree).analysis.T @ chebvander(local.ravel(), mesh.degree - 1).T

    def divided(field: Array) -> Array:
        """(..., n, p) on the new mesh."""
        pieces = (field[..., element, :] @ weights).reshape(*field.shape[:-2], *local.shape)
        return np.concatenate([field[..., :element, :], pieces, field[..., element + 1 :, :]], axis=-2)

    left, right = mesh.breaks[element : element + 2]
    between = [element + 1] * (len(middles) - 1)
    finer = Mesh(
        np.insert(mesh.breaks, between, left + (right - left) * shares[1:-1]),
        np.insert(mesh.stopped, between, mesh.stopped[:, [element]], axis=1),
        np.insert(mesh.pinned, between, False, axis=1),
        mesh.degree,
    )
    return finer, Coefficients(*(divided(getattr(inner, field.name)) for field in fields(inner)))


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

"""Changes of the problem before or after the equation: risk sensitivity and time reversal.

Risk: J = (1/theta) log E exp(theta*[...]) adds theta/2 p'A p to the Hamiltonian (Fleming, Soner, VI.2), and every jump difference
D becomes (exp(theta D) - 1)/theta. With a constant discount r the current value keeps the form with theta*exp(-r t).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import sympy as sp

from hjbdsl.errors import Diagnostic, HjbError
from hjbdsl.model.problem import TIME, ControlProblem, GaussianMixture

_MOST_COMPONENTS = 4
_MOST_DIMENSIONS = 3


def risk_weight(problem: ControlProblem) -> sp.Expr | None:
    """theta as it enters the current-value equation; None without `risk`. Raises HJB116 where a discount varies under risk."""
    objective = problem.objective
    if objective.form != "risk" or objective.risk is None:
        return None
    if objective.discount == 0:
        return objective.risk
    if objective.discount.free_symbols - set(problem.values):
        span = problem.origins.get("discount", objective.span)
        raise HjbError(
            (
                Diagnostic(
                    "HJB116",
                    "a risk-sensitive objective needs a constant discount rate",
                    f"the discount `{objective.discount}` varies, and the exponential of a varying discount depends on the path; "
                    "make the rate a parameter, or drop `risk`",
                    span,
                    problem.source.line(span),
                ),
            )
        )
    return objective.risk * sp.exp(-objective.discount * TIME)


def risk_difference(weight: sp.Expr | None, difference: sp.Expr) -> sp.Expr:
    """What a jump of V by `difference` adds, per unit of rate."""
    return difference if weight is None else (sp.exp(weight * difference) - 1) / weight


@dataclass(frozen=True, slots=True)
class ReversedDynamics:
    """The reverse-time problem of V = -log p_{T-t}: dY = (drift + Sigma u) dt + Sigma dB, cost 1/2|u|^2 + running.

    drift      -f + div A, at forward time T - t;  diffusion  Sigma at T - t;  running  div f - 1/2 sum_ij d_ij A_ij
    """

    drift: tuple[sp.Expr, ...]
    diffusion: Mapping[tuple[int, int], sp.Expr]
    running: sp.Expr


def reversed_dynamics(problem: ControlProblem, covariance: Mapping[tuple[int, int], sp.Expr]) -> ReversedDynamics:
    """Time reversal (Anderson 1982) as a control problem (Pavon 1989; Berner, Richter, Ullrich 2024). Raises HJB118."""
    reversal = problem.reversal
    assert reversal is not None
    if problem.correlation:
        span = reversal.span
        message = "`reverse` needs independent noises"
        remedy = "write the correlation into the noise matrix, as in `dy = f dt + S dW` with `noise W in R^n`"
        raise HjbError((Diagnostic("HJB118", message, remedy, span, problem.source.line(span)),))
    clock = {TIME: reversal.end - TIME}
    states = problem.state_symbols
    divergence: list[list[sp.Expr]] = [[] for _ in states]
    running = [sp.diff(b, x) for b, x in zip(problem.drift, states, strict=True)]
    for (i, j), entry in covariance.items():
        if entry.free_symbols.isdisjoint(states):
            continue
        divergence[i].append(sp.diff(entry, states[j]))
        if i != j:
            divergence[j].append(sp.diff(entry, states[i]))
        running.append(-sp.diff(entry, states[i], states[j]) / (2 if i == j else 1))
    drift = tuple((sp.Add(*parts) - b).xreplace(clock) for b, parts in zip(problem.drift, divergence, strict=True))
    diffusion = {key: value.xreplace(clock) for key, value in problem.diffusion.items()}
    return ReversedDynamics(drift, diffusion, sp.Add(*running).xreplace(clock))


def reversed_problem(problem: ControlProblem, covariance: Mapping[tuple[int, int], sp.Expr]) -> ControlProblem:
    """The reverse-time control problem as a `ControlProblem`, so that the same composition derives its equation."""
    reversal = problem.reversal
    assert reversal is not None
    dynamics = reversed_dynamics(problem, covariance)
    controls = reversal.control.symbols
    entering = sorted({noise for _, noise in dynamics.diffusion})
    steering: list[list[sp.Expr]] = [[] for _ in problem.state_symbols]
    for (state, noise), coefficient in dynamics.diffusion.items():
        steering[state].append(coefficient * controls[entering.index(noise)])
    drift = tuple(b + sp.Add(*parts) for b, parts in zip(dynamics.drift, steering, strict=True))
    effort = sp.Add(*(u**2 for u in controls)) / 2
    objective = replace(
        problem.objective,
        sense="minimize",
        form="expectation",
        running=sp.Add(effort, dynamics.running),
        discount=sp.Integer(0),
        end=reversal.end,
        terminal=_initial_surprise(problem),
        stochastic=True,
    )
    return replace(
        problem, controls=(reversal.control,), drift=drift, diffusion=dynamics.diffusion, objective=objective, notation={}
    )


def _initial_surprise(problem: ControlProblem) -> sp.Expr | None:
    """-log p_0 for a small Gaussian mixture; None where it is long or only samples are known."""
    reversal = problem.reversal
    assert reversal is not None
    law = reversal.law
    if not isinstance(law, GaussianMixture) or len(law.weights) > _MOST_COMPONENTS or problem.dimension > _MOST_DIMENSIONS:
        return None
    states = sp.Matrix([s for g in problem.states if g.name == reversal.state for s in g.symbols])
    density = []
    for weight, mean, covariance in zip(law.weights, law.means, law.covariances, strict=True):
        gap = states - sp.Matrix(mean)
        spread = sp.Matrix(covariance)
        inverse = spread.inv()
        if spread.is_diagonal():
            exponent = sp.Add(*(g**2 / (2 * spread[i, i]) for i, g in enumerate(gap)))
        else:
            exponent = (gap.T * inverse * gap)[0, 0] / 2
        density.append(weight * sp.exp(-exponent) / sp.sqrt((2 * sp.pi) ** len(mean) * spread.det()))
    return -sp.log(sp.Add(*density))

"""Exploration without a formula: the Gibbs policy on a finite set or a box, integrated where it is needed.

In: an equation whose policy is finite or a density. Out: an equation whose controls are the derivatives of V that the policy is
held at, with coefficients that are means over the policy, and the `Soft` that says how the program takes these means.

    pi(a) ~ rho(a) exp(s H(a; q)/l),      reward  E f + s l (log Z - E[s H/l]),      rho: the prior, or 1

Any q is a policy, and q = the derivatives of V is the optimal one: Howard's iteration holds q and improves it like any control.
(Wang, Zariphopoulou, Zhou, JMLR 21, 2020.)
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import sympy as sp

from hjbdsl.model.equation import VALUE, Candidate, HJBEquation, OptimumStatus
from hjbdsl.model.problem import Bounds, ControlProblem, VariableGroup

MOST_INTEGRATED = 2
MOST_POINTS = 400
LINE = Bounds(-sp.oo, sp.oo)
ENTROPY = sp.Symbol("policy_entropy", real=True)


@dataclass(frozen=True, slots=True)
class Soft:
    """explored      the random components;  points: their joint values on a finite set, else empty;  bounds: else their box
    exponent      s H/temperature up to what does not depend on the explored components, at the held derivatives
    log_prior     log of the reference density rho
    means         symbol -> the expression whose mean over the policy it stands for; ENTROPY stands for log Z - E[exponent]
    """

    explored: tuple[sp.Symbol, ...]
    points: tuple[tuple[sp.Expr, ...], ...]
    bounds: tuple[Bounds, ...]
    exponent: sp.Expr
    log_prior: sp.Expr
    means: Mapping[sp.Symbol, sp.Expr]

    @property
    def symbols(self) -> tuple[sp.Symbol, ...]:
        return (*self.means, ENTROPY)


def softened(equation: HJBEquation) -> tuple[HJBEquation, Soft, dict[sp.Symbol, sp.Expr], dict[sp.Symbol, sp.Expr]]:
    """The equation with held derivatives as controls, its `Soft`, and by explored component mean and standard deviation.
    Raises NotImplementedError."""
    problem = equation.problem
    exploration = problem.exploration
    assert exploration is not None
    explored = tuple(exploration.controls)
    _integrable(problem, set(explored))
    bounds = dict(zip(problem.control_symbols, (b for g in problem.controls for b in g.bounds), strict=True))
    own = tuple(bounds[a] for a in explored)
    finite = all(b.is_finite_set for b in own)
    if not finite and (any(b.is_finite_set for b in own) or len(explored) > MOST_INTEGRATED):
        raise NotImplementedError(f"a soft maximum over {len(explored)} controls at once")
    points = tuple(itertools.product(*(b.points for b in own))) if finite else ()
    if len(points) > MOST_POINTS:
        raise NotImplementedError(f"a soft maximum over {len(points)} points")
    others = tuple(a for a in problem.control_symbols if a not in explored)
    if others and equation.optimum.status == "implicit":
        raise NotImplementedError("exploration of some controls beside others without a formula")

    exponent = _hamiltonian(equation, set(explored)) * (1 if equation.maximise else -1) / exploration.temperature
    derivatives = (VALUE, *equation.gradient, *equation.hessian.values(), *equation.jump_differences)
    held = {d: sp.Symbol(f"held_{d.name}", real=True) for d in derivatives if d in exponent.free_symbols}
    means: dict[sp.Symbol, sp.Expr] = {}
    recast_problem, covariance = _averaged(equation, _Namer(means, set(explored)))
    first = {a: sp.Symbol(f"mean_{k}", real=True) for k, a in enumerate(explored)}
    second = {a: sp.Symbol(f"mean_square_{k}", real=True) for k, a in enumerate(explored)}
    means |= {first[a]: a for a in explored} | {second[a]: a**2 for a in explored}
    group = VariableGroup(
        "held", "control", (len(held),), tuple(held.values()), (LINE,) * len(held), None, problem.objective.span
    )
    kept = tuple(g for g in problem.controls if not set(g.symbols) & set(explored))
    recast_problem = replace(recast_problem, controls=(*kept, group) if held else kept, exploration=None)
    answers = {symbol: d for d, symbol in held.items()}
    candidates = [{**{a: c.controls[a] for a in others}, **answers} for c in equation.optimum.candidates] if others else [answers]
    status: OptimumStatus = "symbolic" if answers or others else "none"
    found = tuple(Candidate("Gibbs policy", answer, sp.true) for answer in candidates)
    optimum = replace(equation.optimum, status=status, candidates=found)
    soft = Soft(explored, points, () if finite else own, exponent.xreplace(held), _log_prior(problem, explored), means)
    recast_equation = replace(equation, problem=recast_problem, covariance=covariance, optimum=optimum, policy=None, entropy=None)
    spread = {a: sp.sqrt(sp.Max(second[a] - first[a] ** 2, 0)) for a in explored}
    return recast_equation, soft, dict(first), spread


def _integrable(problem: ControlProblem, explored: set[sp.Symbol]) -> None:
    if problem.adversaries:
        raise NotImplementedError("exploration beside an adversary is not in the scheme")
    if any(c.role == "control" for c in problem.constraints):
        raise NotImplementedError("exploration under a joint constraint is not in the scheme")
    moved = [d for jump in problem.jumps for d in jump.displacement.values()]
    switched = [rate for chain in problem.modes for rate in chain.rates.values()]
    if any(explored & sp.sympify(e).free_symbols for e in moved + switched):
        raise NotImplementedError("an explored control decides where a jump lands or how fast a mode changes")
    if any(explored & e.free_symbols for g in problem.controls for b in g.bounds for e in (b.lower, b.upper)):
        raise NotImplementedError("an explored control bounds another")


def _hamiltonian(equation: HJBEquation, explored: set[sp.Symbol]) -> sp.Expr:
    """The terms of the Hamiltonian whose coefficients the explored controls enter."""
    problem = equation.problem
    terms = [(problem.objective.running, sp.S.One), (problem.objective.discount, -VALUE)]
    terms += list(zip(problem.drift, equation.gradient, strict=True))
    terms += [(entry, equation.hessian[i, j] / (2 if i == j else 1)) for (i, j), entry in equation.covariance.items()]
    terms += list(zip((jump.rate for jump in problem.jumps), equation.jump_differences, strict=True))
    return sp.Add(*(coefficient * factor for coefficient, factor in terms if explored & sp.sympify(coefficient).free_symbols))


class _Namer:
    """Gives every expression with an explored control the symbol of its mean."""

    def __init__(self, means: dict[sp.Symbol, sp.Expr], explored: set[sp.Symbol]):
        self.means, self.explored = means, explored

    def __call__(self, expression: sp.Expr) -> sp.Expr:
        if not self.explored & expression.free_symbols:
            return expression
        symbol = sp.Symbol(f"policy_mean_{len(self.means)}", real=True)
        self.means[symbol] = expression
        return symbol


def _averaged(equation: HJBEquation, mean: Callable[[sp.Expr], sp.Expr]) -> tuple[ControlProblem, dict[tuple[int, int], sp.Expr]]:
    problem, objective = equation.problem, equation.problem.objective
    assert problem.exploration is not None
    sense = 1 if equation.maximise else -1
    reward = mean(objective.running) + sense * problem.exploration.temperature * ENTROPY
    averaged = replace(
        problem, drift=tuple(mean(b) for b in problem.drift),
        jumps=tuple(replace(jump, rate=mean(jump.rate)) for jump in problem.jumps),
        objective=replace(objective, running=reward, discount=mean(objective.discount)),
    )  # fmt: skip
    return averaged, {pair: mean(entry) for pair, entry in equation.covariance.items()}


def _log_prior(problem: ControlProblem, explored: tuple[sp.Symbol, ...]) -> sp.Expr:
    assert problem.exploration is not None
    if problem.exploration.prior is None:
        return sp.S.Zero
    centre, variance = problem.exploration.prior
    return sp.Add(*(-((a - centre) ** 2) / (2 * variance) - sp.log(2 * sp.pi * variance) / 2 for a in explored))

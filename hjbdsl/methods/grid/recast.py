"""Equations that are not of the scheme's form, written as equations that are: further players take the place of what is not.

In: an `HJBEquation`. Out: a `Recast`: an equation with an optimum over controls alone, and how to read the policy asked for from
the policy found.

risk          theta/2 p'A p = sup over w of { (A w).p - w'A w/(2 theta) }, inf where theta < 0: a player who bends the drift,
              and so upwinded like any other (Fleming, Soner 2006, VI)
exploration   a normal policy of mean m and covariance S: coefficients quadratic in the control have the means
              c(m) + 1/2 sum S_ij c_ij, and the entropy is a reward; m and S are the controls (Wang, Zariphopoulou, Zhou 2020);
              any other policy is integrated: see `soft`
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import sympy as sp

from hjbdsl.methods.grid.soft import Soft, softened
from hjbdsl.model.equation import VALUE, Candidate, GibbsPolicy, HJBEquation, Optimum
from hjbdsl.model.problem import TIME, Bounds, ControlProblem, Role, VariableGroup

LINE = Bounds(-sp.oo, sp.oo)
POSITIVE = Bounds(sp.Integer(0), sp.oo)


@dataclass(frozen=True, slots=True)
class Recast:
    """`equation` is what the scheme solves. `shown`: the controls, then adversaries, of the problem as it was stated, as
    functions of the controls of `equation`, t, the states and the modes; `spread` their standard deviations, empty where nothing
    is random; `soft` how means over a policy are taken that has no formula; `imagined` the numbers of the controls, then
    adversaries, of `equation` whose moves the process does not feel."""

    equation: HJBEquation
    shown: tuple[sp.Expr, ...]
    spread: tuple[sp.Expr, ...] = ()
    soft: Soft | None = None
    imagined: tuple[int, ...] = ()


def recast(equation: HJBEquation) -> Recast:
    """Raises NotImplementedError with what has no such form."""
    problem = equation.problem
    shown: tuple[sp.Expr, ...] = problem.control_symbols + problem.adversary_symbols
    spread: tuple[sp.Expr, ...] = ()
    soft: Soft | None = None
    if equation.policy is not None and problem.objective.form == "risk":
        raise NotImplementedError("exploration under a risk-sensitive objective")
    if equation.policy is not None and equation.policy.kind == "normal":
        equation, spread = _with_normal_policy(equation, equation.policy)
    elif equation.policy is not None:
        equation, soft, means, deviations = softened(equation)
        shown = tuple(means.get(a, a) for a in problem.control_symbols)
        spread = tuple(deviations.get(a, sp.S.Zero) for a in problem.control_symbols)
    imagined: tuple[int, ...] = ()
    if problem.objective.form == "risk":
        own = set(problem.control_symbols + problem.adversary_symbols)
        equation = _with_distortion(equation)
        players = equation.problem.control_symbols + equation.problem.adversary_symbols
        imagined = tuple(k for k, symbol in enumerate(players) if symbol not in own)
    return Recast(equation, shown, spread, soft, imagined)


def _group(
    problem: ControlProblem, name: str, role: Role, symbols: tuple[sp.Symbol, ...], bounds: tuple[Bounds, ...]
) -> VariableGroup:
    return VariableGroup(name, role, (len(symbols),), symbols, bounds, None, problem.objective.span)


def _with_distortion(equation: HJBEquation) -> HJBEquation:
    """The risk-sensitive equation as a game with, or help from, one who bends the drift by A w at the price w'A w/(2 theta)."""
    problem, objective = equation.problem, equation.problem.objective
    if problem.jumps or problem.modes:
        raise NotImplementedError("risk sensitivity beside jumps or modes, the exponential of V's differences")
    assert objective.risk is not None
    theta = objective.risk * sp.exp(-objective.discount * TIME) if objective.discount != 0 else objective.risk
    sign = problem.numeric(objective.risk)
    objective = replace(objective, form="expectation", risk=None)
    noisy = sorted({i for pair in equation.covariance for i in pair})
    if not noisy or sign == 0:
        return replace(equation, problem=replace(problem, objective=objective))
    bent = {i: sp.Symbol(f"bent[{i + 1}]", real=True) for i in noisy}
    entries = {(i, j): equation.covariance.get((min(i, j), max(i, j)), sp.S.Zero) for i in noisy for j in noisy}
    drift = [b + sp.Add(*(entries[i, j] * bent[j] for j in noisy)) if i in bent else b for i, b in enumerate(problem.drift)]
    price = sp.Add(*(entries[i, j] * bent[i] * bent[j] for i in noisy for j in noisy)) / (2 * theta)
    lifts = bool(sign > 0)
    evaluated = objective.sense == "evaluate"
    sense = ("maximize" if lifts else "minimize") if evaluated else objective.sense
    ally = lifts == (sense == "maximize")
    group = _group(problem, "bent", "control" if ally else "adversary", tuple(bent.values()), (LINE,) * len(bent))
    answers = {symbol: theta * equation.gradient[i] for i, symbol in bent.items()}
    recast_problem = replace(
        problem, drift=tuple(drift), objective=replace(objective, sense=sense, running=objective.running - price),
        controls=(*problem.controls, group) if ally else problem.controls,
        adversaries=problem.adversaries if ally else (*problem.adversaries, group),
    )  # fmt: skip
    return replace(equation, problem=recast_problem, optimum=_extended(equation.optimum, answers))


def _extended(optimum: Optimum, answers: Mapping[sp.Symbol, sp.Expr]) -> Optimum:
    """Every candidate with the answers of the further players, in whose own terms the others' controls may stand."""
    if optimum.status == "none":
        return Optimum("symbolic", (Candidate("drift bent", dict(answers), sp.true),), {}, ())
    return replace(optimum, candidates=tuple(replace(c, controls={**c.controls, **answers}) for c in optimum.candidates))


def _with_normal_policy(equation: HJBEquation, policy: GibbsPolicy) -> tuple[HJBEquation, tuple[sp.Expr, ...]]:
    """Mean and covariance of the policy as the controls; the standard deviations in these terms."""
    problem = equation.problem
    assert problem.exploration is not None
    if problem.adversaries:
        raise NotImplementedError("exploration beside an adversary is not in the scheme")
    explored = tuple(problem.exploration.controls)
    if set(policy.mean) != set(explored) or any(
        set(explored) & d.free_symbols for j in problem.jumps for d in j.displacement.values()
    ):
        raise NotImplementedError("the explored control decides where a jump lands")
    derivatives = {*equation.gradient, *equation.hessian.values(), *equation.jump_differences, VALUE}
    held: dict[sp.Symbol, sp.Expr] = {}
    bounds: list[Bounds] = []
    covariance: dict[tuple[sp.Symbol, sp.Symbol], sp.Expr] = {}
    for pair, entry in policy.covariance.items():
        covariance[pair] = entry
        if entry.free_symbols & derivatives:
            covariance[pair] = sp.Symbol(f"covariance[{explored.index(pair[0]) + 1},{explored.index(pair[1]) + 1}]", real=True)
            held[covariance[pair]] = entry
            bounds.append(POSITIVE if pair[0] == pair[1] else LINE)
    spread = sp.Matrix(len(explored), len(explored), lambda i, j: covariance.get((explored[min(i, j)], explored[max(i, j)]), 0))
    recast_problem = _averaged(problem, explored, spread)
    if held:
        group = _group(problem, "covariance", "control", tuple(held), tuple(bounds))
        recast_problem = replace(recast_problem, controls=(*recast_problem.controls, group))
    candidates = tuple(replace(c, controls={**c.controls, **held}) for c in equation.optimum.candidates)
    if not candidates:
        candidates = (Candidate("mean of the policy", {**policy.mean, **held}, sp.true),)
    mean = _moments(explored, spread)
    recast_equation = replace(
        equation, problem=recast_problem, covariance={pair: mean(entry) for pair, entry in equation.covariance.items()},
        optimum=replace(equation.optimum, status="symbolic", candidates=candidates), policy=None, entropy=None,
    )  # fmt: skip
    deviations = {a: sp.sqrt(spread[i, i]) for i, a in enumerate(explored)}
    return recast_equation, tuple(deviations.get(a, sp.S.Zero) for a in problem.control_symbols)


def _moments(explored: tuple[sp.Symbol, ...], spread: sp.Matrix) -> Callable[[sp.Expr], sp.Expr]:
    """The mean of an expression quadratic in normal controls, whose symbols then stand for their means."""

    def mean(expression: sp.Expr) -> sp.Expr:
        seconds = [
            spread[i, j] * sp.diff(expression, a, b) / 2
            for i, a in enumerate(explored)
            for j, b in enumerate(explored)
            if spread[i, j] != 0
        ]
        return expression + sp.Add(*seconds)

    return mean


def _averaged(problem: ControlProblem, explored: tuple[sp.Symbol, ...], spread: sp.Matrix) -> ControlProblem:
    """Drift, jump rates, discount and reward in the mean over the policy, the reward with its entropy."""
    mean = _moments(explored, spread)
    exploration, objective = problem.exploration, problem.objective
    assert exploration is not None
    size, determinant = len(explored), spread.det()
    if exploration.prior is None:
        entropy = (size * (sp.log(2 * sp.pi) + 1) + sp.log(determinant)) / 2
    else:
        centre, variance = exploration.prior
        far = sp.Add(*((a - centre) ** 2 for a in explored))
        entropy = (size - size * sp.log(variance) + sp.log(determinant) - (spread.trace() + far) / variance) / 2
    sense = 1 if objective.sense == "maximize" else -1
    reward = mean(objective.running) + sense * exploration.temperature * entropy
    return replace(
        problem, drift=tuple(mean(b) for b in problem.drift), exploration=None,
        jumps=tuple(replace(jump, rate=mean(jump.rate)) for jump in problem.jumps),
        objective=replace(objective, running=reward, discount=mean(objective.discount)),
    )  # fmt: skip


__all__ = ["Recast", "recast"]

"""The soft optimum under `explore`: the Gibbs policy and the log-sum-exp value that takes the maximum's place.

With sense s = 1 under maximize and -1 under minimize, temperature l: the supremum over densities of int (s H - l log pi) pi is
l log int exp(s H/l), attained at pi ~ exp(s H/l); with a prior the entropy is relative to it.
Source: Wang, Zariphopoulou, Zhou (2020), JMLR 21.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sympy as sp

from hjbdsl.model.equation import GibbsPolicy, Optimum
from hjbdsl.model.problem import ControlProblem, Exploration
from hjbdsl.symbolic.hamiltonian import Hamiltonian
from hjbdsl.symbolic.optimum_blocks import Block, BlockOptimum, Branch, cut, expanded_terms, quadratic
from hjbdsl.symbolic.optimum_errors import no_maximum
from hjbdsl.symbolic.optimum_quadratic import negative_definite, solve_stationary

_MOST_POINTS = 32


@dataclass(frozen=True, slots=True)
class SoftOptimum:
    """`reduced` is the whole Hamiltonian after the soft maximum; None where it has no closed form."""

    optimum: Optimum
    blocks: tuple[BlockOptimum, ...]
    policy: GibbsPolicy
    reduced: sp.Expr | None


@dataclass(frozen=True, slots=True)
class _Soft:
    """One block: its policy, its answer, and `gain`, what its terms of s*H become."""

    policy: GibbsPolicy
    optimum: BlockOptimum
    gain: sp.Expr


def soften(
    problem: ControlProblem,
    hamiltonian: Hamiltonian,
    exploration: Exploration,
    sharp: Callable[[Block], BlockOptimum],
    assemble: Callable[[ControlProblem, Sequence[BlockOptimum]], Optimum],
) -> SoftOptimum:
    """`sharp` optimises a block that is not explored."""
    maximised = problem.objective.sense == "maximize"
    sense = 1 if maximised else -1
    explored = set(exploration.controls)
    terms = expanded_terms(hamiltonian.controlled, frozenset(problem.control_symbols))
    optima: list[BlockOptimum] = []
    policies: list[GibbsPolicy] = []
    reduced = hamiltonian.expression
    for block in cut(problem, terms, problem.control_symbols, sense):
        inside = explored.intersection(block.controls)
        nonlocal_ones = [hamiltonian.nonlocal_controls[a] for a in block.controls if a in hamiltonian.nonlocal_controls]
        if not inside and not nonlocal_ones:
            sharp_one = sharp(block)
            optima.append(sharp_one)
            if sharp_one.branches:
                reduced = reduced.xreplace(sharp_one.branches[0].controls)
            continue
        if nonlocal_ones or len(inside) < len(block.controls):
            names = ", ".join(a.name for a in block.controls)
            reason = nonlocal_ones[0] if nonlocal_ones else f"only some of {names} are explored, and the Hamiltonian couples them"
            soft = _density(block, sense, reason, local=not nonlocal_ones)
        else:
            soft = _soft_block(problem, block, exploration, maximised)
        optima.append(soft.optimum)
        policies.append(soft.policy)
        reduced = reduced.xreplace(dict.fromkeys(block.controls, sp.Integer(0))) + sense * soft.gain
    optimum = assemble(problem, optima)
    return SoftOptimum(optimum, tuple(optima), _together(policies), reduced if optimum.status == "symbolic" else None)


def _together(policies: Sequence[GibbsPolicy]) -> GibbsPolicy:
    """Independent blocks side by side; finite blocks multiply their probabilities."""
    kinds = {p.kind for p in policies}
    mean = {a: m for p in policies for a, m in p.mean.items()}
    covariance = {pair: c for p in policies for pair, c in p.covariance.items()}
    if kinds == {"finite"}:
        points = [
            ({a: v for point, _ in combination for a, v in point.items()}, sp.Mul(*(q for _, q in combination)))
            for combination in itertools.product(*(p.probabilities for p in policies))
        ]
        return GibbsPolicy("finite", mean, {}, tuple(points))
    return GibbsPolicy("normal" if kinds == {"normal"} else "density", mean, covariance, ())


def _soft_block(problem: ControlProblem, block: Block, exploration: Exploration, maximised: bool) -> _Soft:
    sense = 1 if maximised else -1
    if all(b.is_finite_set for b in block.bounds) and not block.constraints:
        return _soft_max(block, exploration, sense)
    if any(b.lower != -sp.oo or b.upper != sp.oo or b.is_finite_set for b in block.bounds) or block.constraints:
        names = ", ".join(a.name for a in block.controls)
        return _density(block, sense, f"the Gibbs density on the bounded set of {names} has no elementary normaliser")
    if quadratic(block) is None:
        names = ", ".join(a.name for a in block.controls)
        return _density(block, sense, f"the Gibbs density of a Hamiltonian not quadratic in {names} has no elementary normaliser")
    return _normal(problem, block, exploration, maximised)


def _density(block: Block, sense: int, reason: str, local: bool = True) -> _Soft:
    slopes = {a: sense * sp.diff(block.objective, a) for a in block.controls} if local else {}
    return _Soft(GibbsPolicy("density", {}, {}, ()), BlockOptimum((), slopes, (), reason), sp.Integer(0))


def _soft_max(block: Block, exploration: Exploration, sense: int) -> _Soft:
    """A finite set: soft-max probabilities, value l log sum exp(s H/l)."""
    points = [dict(zip(block.controls, p, strict=True)) for p in itertools.product(*(b.points for b in block.bounds))]
    if len(points) > _MOST_POINTS:
        return _density(block, sense, f"a finite control set of {len(points)} points is summed numerically")
    temperature = exploration.temperature
    weights = [sp.exp(block.objective.xreplace(p) / temperature) for p in points]
    total = sp.Add(*weights)
    probabilities = tuple((p, w / total) for p, w in zip(points, weights, strict=True))
    mean = {a: sp.Add(*(p[a] * q for p, q in probabilities)) for a in block.controls}
    optimum = BlockOptimum((Branch("interior", "mean of the soft-max policy", mean, sp.true),), {})
    return _Soft(GibbsPolicy("finite", mean, {}, probabilities), optimum, temperature * sp.log(total))


def _normal(problem: ControlProblem, block: Block, exploration: Exploration, maximised: bool) -> _Soft:
    """exp of a quadratic: a normal policy. Precision -Q/l (plus 1/v of the prior), mean = precision^-1 (c/l + m/v)."""
    coefficients = quadratic(block)
    assert coefficients is not None
    size, temperature = len(block.controls), exploration.temperature
    precision = sp.zeros(size, size)
    for (i, j), value in coefficients.hessian.items():
        precision[i, j] = precision[j, i] = -value / temperature
    force = [coefficients.linear.get(i, sp.Integer(0)) / temperature for i in range(size)]
    offset: sp.Expr = sp.Integer(0)
    if exploration.prior is not None:
        centre, variance = exploration.prior
        precision += sp.eye(size) / variance
        force = [f + centre / variance for f in force]
        offset = -size * centre**2 / variance
    definite, needed = negative_definite(problem, -precision * temperature, maximised)
    if definite is False:
        control = block.controls[0]
        raise no_maximum(problem, control, f"exp of it cannot be integrated over `{control}`: it is not concave there", maximised)
    mean = solve_stationary(-precision, tuple(force))
    assert mean is not None
    inverse = precision.inv()
    covariance = {
        (block.controls[i], block.controls[j]): sp.cancel(inverse[i, j])
        for i in range(size)
        for j in range(i, size)
        if inverse[i, j] != 0
    }
    square = sp.Add(*(m * f for m, f in zip(mean, force, strict=True)))
    gain = sp.factor_terms(temperature * square / 2) + temperature / 2 * _log_form(offset, precision, exploration)
    means = {a: sp.factor_terms(sp.together(m)) for a, m in zip(block.controls, mean, strict=True)}
    slopes = {a: (1 if maximised else -1) * sp.diff(block.objective, a) for a in block.controls}
    optimum = BlockOptimum((Branch("interior", "interior", means, sp.And(*needed)),), slopes, needed)
    return _Soft(GibbsPolicy("normal", means, covariance, ()), optimum, gain)


def _log_form(offset: sp.Expr, precision: sp.Matrix, exploration: Exploration) -> sp.Expr:
    """-log det(precision) in one logarithm: log(2 pi l/r), or with a prior of variance v: offset - log(v det(precision))."""
    determinant = sp.factor_terms(precision.det(method="berkowitz"))
    if exploration.prior is None:
        return sp.log((2 * sp.pi) ** precision.rows / determinant)
    return offset - sp.log(sp.expand(exploration.prior[1] ** precision.rows * determinant))

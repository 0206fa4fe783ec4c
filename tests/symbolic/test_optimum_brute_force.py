"""The symbolic maximiser against brute force: H on a fine grid of controls at random states, gradients and Hessians."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from hjbdsl.model.equation import VALUE
from hjbdsl.model.problem import Bounds, Constraint
from hjbdsl.symbolic.derive import derive

from .builder import LINE, POSITIVE, SPAN, group, make, objective, parameter

R = sp.Rational
UNIT = Bounds(sp.Integer(-1), sp.Integer(1), False, False)
FRACTION = Bounds(sp.Integer(0), sp.Integer(1), False, False)
AT_LEAST_ZERO = Bounds(sp.Integer(0), sp.oo, False, True)


def points(*values):
    numbers = tuple(map(sp.sympify, values))
    return Bounds(min(numbers), max(numbers), False, False, numbers)


def scalar(running, drift, noise, controls, sense="maximize", state=LINE, values=(), **fields):
    """One state x; `drift`, `noise`, `running` are functions of (x, *controls)."""
    x = group("x", state)
    declared = [group(name, bounds, "control") for name, bounds in controls.items()]
    symbols = (x.symbols[0], *(g.symbols[0] for g in declared))
    goal = objective(sense, running(*symbols), discount=fields.pop("discount", R(1, 10)))
    diffusion = {(0, 0): noise(*symbols)}
    constraints = tuple(Constraint(c(*symbols[1:]), "control", SPAN) for c in fields.pop("constraints", ()))
    return make([x], [drift(*symbols)], diffusion, goal, declared, values, constraints=constraints, **fields)


GAMMA = parameter("gamma", R(5, 2))
COST = parameter("q", R(7, 10))

CASES = {
    "quadratic": scalar(lambda x, a: -(x**2) - 3 * a**2, lambda x, a: a, lambda x, a: 1, {"a": LINE}),
    "quadratic cost, box": scalar(lambda x, a: x**2 + a**2, lambda x, a: a - x, lambda x, a: 1, {"a": UNIT}, "minimize"),
    "asymmetric box": scalar(lambda x, a: a**2 - a, lambda x, a: 2 * a, lambda x, a: 1,
                             {"a": Bounds(R(-1, 2), sp.Integer(2), False, False)}, "minimize"),
    "bang-bang": scalar(lambda x, a: x**2, lambda x, a: a, lambda x, a: 1, {"a": UNIT}, "minimize"),
    "state-dependent bounds": scalar(lambda x, c: sp.sqrt(c), lambda x, c: x - c, lambda x, c: x,
                                     {"c": Bounds(sp.Integer(0), 2 * sp.Symbol("x", real=True, positive=True), False, False)},
                                     state=POSITIVE),
    "volatility": scalar(lambda x, s: 0, lambda x, s: 0, lambda x, s: s * x,
                         {"s": Bounds(R(1, 5), R(1, 2), False, False)}, state=POSITIVE),
    "volatility through zero": scalar(lambda x, s: 0, lambda x, s: s, lambda x, s: s * x, {"s": UNIT}, state=POSITIVE),
    "volatility with cost": scalar(lambda x, s: (s - R(3, 10)) ** 2, lambda x, s: 0, lambda x, s: s,
                                   {"s": Bounds(R(1, 5), R(1, 2), False, False)}, "minimize"),
    "power utility on an interval": scalar(lambda x, k: (k * x) ** (1 - GAMMA[0]) / (1 - GAMMA[0]), lambda x, k: -k * x,
                                           lambda x, k: x, {"k": Bounds(R(1, 1000), sp.Integer(1), False, False)},
                                           state=POSITIVE, values=[GAMMA]),
    "log utility, half line": scalar(lambda x, c: sp.log(c), lambda x, c: -c, lambda x, c: x, {"c": POSITIVE}, state=POSITIVE),
    "exponential utility": scalar(lambda x, c: -sp.exp(-2 * c), lambda x, c: -c, lambda x, c: 1, {"c": LINE}),
    "quartic cost": scalar(lambda x, a: a**4, lambda x, a: a, lambda x, a: 1, {"a": LINE}, "minimize"),
    "two separable boxes": scalar(lambda x, a, b: a**2 + 2 * b**2, lambda x, a, b: a - b, lambda x, a, b: 1,
                                  {"a": UNIT, "b": FRACTION}, "minimize"),
    "coupled quadratic": scalar(lambda x, a, b: a**2 + a * b + b**2, lambda x, a, b: a + 2 * b, lambda x, a, b: 1,
                                {"a": LINE, "b": LINE}, "minimize"),
    "coupled quadratic in a box": scalar(lambda x, a, b: a**2 + a * b + b**2, lambda x, a, b: a + 2 * b, lambda x, a, b: 1,
                                         {"a": UNIT, "b": UNIT}, "minimize"),
    "simplex": scalar(lambda x, a, b: -(a**2) - 2 * b**2 - a * b, lambda x, a, b: 3 * a + 2 * b, lambda x, a, b: 1,
                      {"a": AT_LEAST_ZERO, "b": AT_LEAST_ZERO}, constraints=[lambda a, b: a + b <= 1]),
    "linear on a simplex": scalar(lambda x, a, b: R(1, 2) * a, lambda x, a, b: 3 * a + 2 * b, lambda x, a, b: 1,
                                  {"a": AT_LEAST_ZERO, "b": AT_LEAST_ZERO}, constraints=[lambda a, b: a + b <= 1]),
    "disc, linear": scalar(lambda x, a, b: a / 2, lambda x, a, b: a + 2 * b, lambda x, a, b: 1, {"a": LINE, "b": LINE},
                           constraints=[lambda a, b: sp.sqrt(a**2 + b**2) <= 1]),
    "disc, quadratic": scalar(lambda x, a, b: a**2 + b**2 + a, lambda x, a, b: a + 2 * b, lambda x, a, b: 1,
                              {"a": LINE, "b": LINE}, "minimize", constraints=[lambda a, b: a**2 + b**2 <= 4]),
    "two points": scalar(lambda x, d: -d * COST[0], lambda x, d: d * x, lambda x, d: 1, {"d": points(0, 1)}, values=[COST]),
    "three points and a line": scalar(lambda x, d, a: d**2 + (a - d) ** 2, lambda x, d, a: a, lambda x, d, a: 1 + d,
                                      {"d": points(-1, 0, 2), "a": LINE}, "minimize"),
    "controlled discount": scalar(lambda x, a: 2 * a**3, lambda x, a: 0, lambda x, a: 1, {"a": FRACTION}, "minimize",
                                  discount=3 * sp.Symbol("a", real=True) ** 2 - 1),
    "one-sided": scalar(lambda x, a: (a - 1) ** 2, lambda x, a: a, lambda x, a: 1, {"a": AT_LEAST_ZERO}, "minimize"),
    "fraction between bounds": scalar(lambda x, w: 0, lambda x, w: w * x / 20, lambda x, w: 3 * w * x / 5, {"w": FRACTION},
                                      state=POSITIVE),
    "labour": scalar(lambda x, n: sp.log(R(11, 10) - n), lambda x, n: n, lambda x, n: 1, {"n": FRACTION}),
    "fuel": scalar(lambda x, a: R(1, 2) * sp.Abs(a), lambda x, a: a, lambda x, a: 1, {"a": UNIT}, "minimize"),
    "fuel and energy": scalar(lambda x, a: R(1, 2) * sp.Abs(a) + a**2, lambda x, a: a, lambda x, a: 1, {"a": LINE}, "minimize"),
    "heading": scalar(lambda x, a: sp.cos(a) / 2, lambda x, a: sp.cos(a) + 2 * sp.sin(a), lambda x, a: 1,
                      {"a": Bounds(-sp.pi, sp.pi, False, False, periodic=True)}),
    "half the time": scalar(lambda x, p: p * sp.exp(-p) * sp.Piecewise((1, x > 0), (0, True)),
                            lambda x, p: -sp.exp(-p) * sp.Piecewise((1, x > 0), (0, True)), lambda x, p: 1,
                            {"p": Bounds(sp.Integer(0), sp.Integer(4), False, False)}),
    "constraint on one control": scalar(lambda x, a: a**2, lambda x, a: a, lambda x, a: 1, {"a": LINE}, "minimize",
                                        constraints=[lambda a: a <= R(1, 2)]),
}  # fmt: skip


def full_hamiltonian(equation):
    """H with a controlled discount inside, numbers in, as a function of one list of symbols."""
    problem = equation.problem
    controls = set(problem.control_symbols)
    expression = equation.hamiltonian
    if not controls.isdisjoint(problem.objective.discount.free_symbols):
        expression -= problem.objective.discount * VALUE
    return problem.numeric(expression)


def grid_of(problem, point, resolution):
    """Every feasible control of a grid (a wide one where a bound is infinite)."""
    axes = []
    for g in problem.controls:
        (bounds,) = g.bounds
        if bounds.is_finite_set:
            axes.append([float(v) for v in bounds.points])
            continue
        low, high = (
            float(problem.numeric(e).subs(point)) if e.is_finite is not False else float(e) for e in (bounds.lower, bounds.upper)
        )
        low, high = max(low, -8.0), min(high, 8.0)
        axes.append(np.linspace(low + (1e-6 if bounds.lower_open else 0), high, resolution))
    mesh = [m.ravel() for m in np.meshgrid(*axes, indexing="ij")]
    keep = np.ones(mesh[0].shape, dtype=bool)
    for constraint in problem.constraints:
        allowed = sp.lambdify(problem.control_symbols, constraint.condition, modules="numpy")
        keep &= np.broadcast_to(allowed(*mesh), keep.shape)
    return [m[keep] for m in mesh]


def random_point(equation, generator):
    symbols = [*equation.problem.state_symbols, *equation.gradient, *equation.hessian.values(), VALUE]
    return {
        s: sp.Float(abs(v) + 0.1 if s.is_nonnegative else v)
        for s, v in zip(symbols, generator.normal(size=len(symbols)), strict=True)
    }


@pytest.mark.parametrize("name", CASES)
def test_candidates_attain_the_optimum(name):
    problem = CASES[name]
    equation = derive(problem)
    assert equation.optimum.status == "symbolic", equation.optimum.reason
    sign = 1 if problem.objective.sense == "maximize" else -1
    h = full_hamiltonian(equation)
    generator = np.random.default_rng(7)
    examined = 0
    for _ in range(24):
        point = random_point(equation, generator)
        if any(not bool(problem.numeric(c).subs(point)) for c in equation.optimum.second_order):
            continue
        chosen = [c for c in equation.optimum.candidates if bool(problem.numeric(c.where).subs(point))]
        if not chosen:
            assert any(b.upper == sp.oo or b.lower == -sp.oo for g in problem.controls for b in g.bounds), f"no case at {point}"
            continue
        examined += 1
        mesh = grid_of(problem, point, 4001 if len(problem.controls) == 1 else 161)
        values = sign * np.asarray(sp.lambdify(problem.control_symbols, h.subs(point), modules="numpy")(*mesh), dtype=float)
        best = float(values.max())
        for candidate in chosen:
            at = {a: problem.numeric(v).subs(point) for a, v in candidate.controls.items()}
            assert all(v.is_real for v in at.values())
            check_feasible(problem, at, point)
            attained = sign * float(h.subs(point).subs(at))
            assert attained >= best - 1e-9 * (1 + abs(best)), (candidate.name, at, attained, best)
    assert examined >= 5


def check_feasible(problem, at, point):
    for g in problem.controls:
        (bounds,) = g.bounds
        value = float(at[g.symbols[0]])
        if bounds.is_finite_set:
            assert any(abs(value - float(v)) < 1e-12 for v in bounds.points)
            continue
        assert float(problem.numeric(bounds.lower).subs(point)) - 1e-12 <= value
        assert value <= float(problem.numeric(bounds.upper).subs(point)) + 1e-12
    for constraint in problem.constraints:
        for relation in sp.And.make_args(constraint.condition):
            assert float((relation.gts - relation.lts).subs(at)) >= -1e-9


@pytest.mark.slow
def test_reduced_is_the_hamiltonian_at_the_first_candidate():
    generator = np.random.default_rng(11)
    for problem in CASES.values():
        equation = derive(problem)
        first = equation.optimum.candidates[0]
        for _ in range(5):
            point = random_point(equation, generator)
            if not bool(problem.numeric(first.where).subs(point)):
                continue
            at = {a: problem.numeric(v).subs(point) for a, v in first.controls.items()}
            direct = float(problem.numeric(equation.hamiltonian).subs(point).subs(at))
            assert float(problem.numeric(equation.reduced).subs(point)) == pytest.approx(direct, rel=1e-9, abs=1e-9)


def test_no_case_lies_outside_the_control_set_whatever_v():
    """Volatility in [0.2, 0.5]: the stationary point 0 is never allowed, so it is not among the cases."""
    equation = derive(CASES["volatility"])
    values = {next(iter(c.controls.values())) for c in equation.optimum.candidates}
    assert values == {R(1, 5), R(1, 2)}
    assert equation.optimum.second_order == ()


def test_unexamined_products_fall_back_to_one_case_by_case_candidate():
    """Four bounded separable controls have 81 faces: they are merged, and still optimal."""
    x = group("x", LINE)
    controls = [group(f"a{i}", UNIT, "control") for i in range(4)]
    symbols = [c.symbols[0] for c in controls]
    problem = make([x], [sp.Add(*(k * a for k, a in enumerate(symbols, 1)))], {(0, 0): 1},
                   objective("minimize", sp.Add(*(a**2 for a in symbols)), discount=1), controls)  # fmt: skip
    equation = derive(problem)
    assert len(equation.optimum.candidates) == 2
    for slope in (-3.0, -0.3, 0.2, 0.9, 5.0):
        point = {equation.gradient[0]: slope}
        (chosen,) = [c for c in equation.optimum.candidates if bool(c.where.subs(point))]
        for k, a in enumerate(symbols, 1):
            assert float(chosen.controls[a].subs(point)) == pytest.approx(np.clip(-k * slope / 2, -1, 1))


def _game(running, drift, ours=UNIT, theirs=UNIT):
    x = group("x", LINE)
    a, b = group("a", ours, "control"), group("b", theirs, "adversary")
    symbols = (x.symbols[0], a.symbols[0], b.symbols[0])
    problem = make([x], [drift(*symbols)], {(0, 0): 1}, objective("minimize", running(*symbols), discount=1), [a])
    return replace(problem, adversaries=(b,))


def test_saddle_of_a_coupled_quadratic_game_is_a_saddle():
    problem = _game(lambda x, a, b: a**2 + a * b - 2 * b**2, lambda x, a, b: a + b, LINE, LINE)
    equation = derive(problem)
    (candidate,) = equation.optimum.candidates
    a, b = problem.control_symbols[0], problem.adversary_symbols[0]
    h = equation.hamiltonian.subs({equation.gradient[0]: 0.7, equation.hessian[0, 0]: 0.2, problem.state_symbols[0]: 0.3})
    at = {s: float(v.subs({equation.gradient[0]: 0.7})) for s, v in candidate.controls.items()}
    centre = float(h.subs(at))
    for step in np.linspace(-2, 2, 9):
        assert float(h.subs({a: at[a] + step, b: at[b]})) >= centre - 1e-12
        assert float(h.subs({a: at[a], b: at[b] + step})) <= centre + 1e-12


def test_pure_strategies_without_a_saddle_are_refused():
    from hjbdsl.errors import HjbError  # noqa: PLC0415

    signs = points(-1, 1)
    with pytest.raises(HjbError) as refusal:
        derive(_game(lambda x, a, b: a * b, lambda x, a, b: 0, signs, signs))
    assert refusal.value.diagnostics[0].code == "HJB115"


def test_bilinear_on_boxes_has_a_value():
    equation = derive(_game(lambda x, a, b: a * b, lambda x, a, b: 0))
    assert equation.optimum.isaacs
    assert equation.optimum.status == "implicit"


def test_a_grid_shows_no_better_response_in_separable_games():
    problem = _game(lambda x, a, b: a**2 - b**2, lambda x, a, b: a + 3 * b)
    equation = derive(problem)
    a, b = problem.control_symbols[0], problem.adversary_symbols[0]
    for slope in (-4.0, -0.5, 0.1, 3.0):
        point = {equation.gradient[0]: slope, equation.hessian[0, 0]: 0.0}
        chosen = next(c for c in equation.optimum.candidates if bool(c.where.subs(point)))
        at = {s: float(v.subs(point)) for s, v in chosen.controls.items()}
        h = equation.hamiltonian.subs(point).subs(problem.state_symbols[0], 0)
        grid = np.linspace(-1, 1, 201)
        upper = min(max(float(h.subs({a: u, b: v})) for v in grid[::20]) for u in grid[::20])
        assert float(h.subs(at)) <= upper + 1e-9
        for u, v in itertools.product(grid[::40], repeat=2):
            assert float(h.subs({a: u, b: at[b]})) >= float(h.subs(at)) - 1e-12
            assert float(h.subs({a: at[a], b: v})) <= float(h.subs(at)) + 1e-12

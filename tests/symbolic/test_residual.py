"""Known closed forms put into the derived equation: nothing may be left. Each was derived by hand or is in the literature."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from hjbdsl.frontend.load import loads_problem
from hjbdsl.model.problem import TIME
from hjbdsl.symbolic.derive import derive
from hjbdsl.symbolic.residual import residual, substitute_derivatives
from hjbdsl.symbolic.terms.jump import NoClosedExpectation


def numeric(equation, expression, **point):
    """The number of an expression at a point, parameters in."""
    symbols = {s.name: s for s in equation.problem.state_symbols} | {"t": TIME}
    value = equation.problem.numeric(expression).subs({symbols[name]: v for name, v in point.items()})
    return float(value)


def optimal_controls(equation, value):
    """The first candidate with the derivatives of `value` in it."""
    first = equation.optimum.candidates[0]
    return {a: substitute_derivatives(equation, c, value) for a, c in first.controls.items()}


def symbols_of(equation):
    problem = equation.problem
    return {s.name: s for s in (*problem.values, *problem.state_symbols, *problem.control_symbols)}


def test_scalar_regulator():
    equation = derive(
        loads_problem("""problem lqr
param alpha = -0.5, beta = 1, q = 1, r_a = 0.1, sigma = 0.3, rho = 0.1
state x in R
control a in R
noise W
dx = (alpha*x + beta*a) dt + sigma dW
maximize E integral(0, inf) exp(-rho*t)*(-(q*x^2 + r_a*a^2)/2) dt
""")
    )
    s = symbols_of(equation)
    gap = s["rho"] - 2 * s["alpha"]
    p = s["r_a"] * (sp.sqrt(gap**2 + 4 * s["beta"] ** 2 * s["q"] / s["r_a"]) - gap) / (2 * s["beta"] ** 2)
    value = -p * s["x"] ** 2 / 2 - s["sigma"] ** 2 * p / (2 * s["rho"])
    left = residual(equation, {(): value}, {(): optimal_controls(equation, value)})[()]
    assert sp.simplify(left) == 0


def test_merton_consumption():
    equation = derive(
        loads_problem("""problem merton
param r = 0.03, mu = 0.08, sigma = 0.2, gamma = 2, rho = 0.05
state x > 0
control pi in R, k >= 0
noise W
dx = (r*x + pi*(mu - r)*x - k*x) dt + pi*sigma*x dW
maximize E integral(0, inf) exp(-rho*t)*(k*x)^(1 - gamma)/(1 - gamma) dt
""")
    )
    s = symbols_of(equation)
    m = s["r"] + (s["mu"] - s["r"]) ** 2 / (2 * s["gamma"] * s["sigma"] ** 2)
    k = (s["rho"] - (1 - s["gamma"]) * m) / s["gamma"]
    value = k ** (-s["gamma"]) * s["x"] ** (1 - s["gamma"]) / (1 - s["gamma"])
    controls = optimal_controls(equation, value)
    assert numeric(equation, controls[s["pi"]], x=1.7) == pytest.approx(0.625)
    assert numeric(equation, controls[s["k"]], x=1.7) == pytest.approx(0.0478125)
    left = residual(equation, {(): value}, {(): controls})[()]
    assert numeric(equation, left, x=1.7) == pytest.approx(0, abs=1e-9)


def test_black_scholes_by_finite_differences():
    equation = derive(
        loads_problem("""problem call
param r = 0.03, sigma = 0.25, K = 50, T = 0.75
state x > 0
noise W
dx = r*x dt + sigma*x dW
evaluate E exp(-r*T)*max(x(T) - K, 0)
""")
    )
    s = symbols_of(equation)
    assert equation.optimum.status == "none"
    span = s["T"] - TIME
    d1 = (sp.log(s["x"] / s["K"]) + (s["r"] + s["sigma"] ** 2 / 2) * span) / (s["sigma"] * sp.sqrt(span))
    phi = lambda z: sp.erfc(-z / sp.sqrt(2)) / 2  # noqa: E731
    value = s["x"] * phi(d1) - s["K"] * sp.exp(-s["r"] * span) * phi(d1 - s["sigma"] * sp.sqrt(span))
    left = residual(equation, {(): value}, {})[()]
    for t, x in [(0.1, 48.0), (0.6, 55.0)]:
        assert numeric(equation, left, t=t, x=x) == pytest.approx(0, abs=1e-9)
    table = equation.problem.numeric(value)
    number = sp.lambdify((TIME, s["x"]), table)
    h = 1e-3
    slope = (number(0.2, 50 + h) - number(0.2, 50 - h)) / (2 * h)
    assert numeric(equation, substitute_derivatives(equation, equation.gradient[0], value), t=0.2, x=50.0) == pytest.approx(
        slope, abs=1e-6
    )


def test_modes_couple_the_equations():
    """V(z) = p_z x^2 + c_z for a pure switching diffusion without control: linear equations solved by hand."""
    equation = derive(
        loads_problem("""problem switching
param rho = 0.3, s = 0.4
mode z in {calm, wild}
rate calm -> wild = 0.5, wild -> calm = 0.9
param q(z) = {calm: 1, wild: 2}
state x in R
noise W
dx = s dW
evaluate E integral(0, inf) exp(-rho*t)*q(z)*x^2 dt
""")
    )
    x = equation.problem.state_symbols[0]
    matrix = np.array([[0.3 + 0.5, -0.5], [-0.9, 0.3 + 0.9]])
    p = np.linalg.solve(matrix, [1, 2])
    c = np.linalg.solve(matrix, 0.4**2 * p)
    values = {(i,): sp.Float(p[i]) * x**2 + sp.Float(c[i]) for i in range(2)}
    for left in residual(equation, values, {}).values():
        assert numeric(equation, left, x=0.7) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("law", "first", "second"),
    [
        ("{-0.3: 0.25, 0.1: 0.75}", 0.25 * -0.3 + 0.75 * 0.1, 0.25 * 0.09 + 0.75 * 0.01),
        ("normal(0.2, 0.09)", 0.2, 0.09 + 0.04),
        ("exponential(4)", 0.25, 2 / 16),
        ("uniform(-1, 2)", 0.5, 1.0),
    ],
)
def test_jump_moments(law, first, second):
    """E[(x + J)^2 - x^2] = 2 x E J + E J^2, and the rate in front."""
    equation = derive(
        loads_problem(f"""problem jumps
param lam = 0.7, rho = 0.1
state x in R
noise W
jump N rate lam mark J ~ {law}
dx = 0.1 dW + J dN
evaluate E integral(0, inf) exp(-rho*t)*x^2 dt
""")
    )
    x = equation.problem.state_symbols[0]
    left = residual(equation, {(): x**2}, {})[()]
    expected = 1.3**2 + 0.005 * 2 + 0.7 * (2 * 1.3 * first + second) - 0.1 * 1.3**2
    assert numeric(equation, left, x=1.3) == pytest.approx(expected)


def test_exponential_moment_of_a_normal_mark():
    equation = derive(
        loads_problem("""problem jumps
param rho = 0.1
state x in R
noise W
jump N rate 2 mark J ~ normal(0.1, 0.04)
dx = 0.1 dW + J dN
evaluate E integral(0, inf) exp(-rho*t)*exp(x) dt
""")
    )
    x = equation.problem.state_symbols[0]
    left = residual(equation, {(): sp.exp(3 * x)}, {})[()]
    mean = np.exp(0.3 + 9 * 0.04 / 2)
    expected = np.exp(0.2) + 0.045 * np.exp(0.6) + 2 * np.exp(0.6) * (mean - 1) - 0.1 * np.exp(0.6)
    assert numeric(equation, left, x=0.2) == pytest.approx(expected)


def test_a_mark_without_closed_moment_is_refused():
    equation = derive(
        loads_problem("""problem jumps
param rho = 0.1
state x > 0
noise W
jump N rate 2 mark J ~ normal(0.1, 0.04)
dx = 0.1*x dW + x*J dN
evaluate E integral(0, inf) exp(-rho*t)*x dt
""")
    )
    x = equation.problem.state_symbols[0]
    with pytest.raises(NoClosedExpectation):
        residual(equation, {(): sp.log(x)}, {})


def test_exploratory_regulator():
    """The soft optimum carries lam/2 log(2 pi lam/r) (Wang, Zariphopoulou, Zhou 2020, theorem 4)."""
    equation = derive(
        loads_problem("""problem soft
param alpha = -0.3, beta = 0.8, q = 1.2, r = 0.5, s = 0.35, rho = 0.25, lam = 0.2
state x in R
control a in R
noise W
dx = (alpha*x + beta*a) dt + s dW
explore a with temperature lam
maximize E integral(0, inf) exp(-rho*t)*(-(q*x^2 + r*a^2)/2) dt
""")
    )
    s = symbols_of(equation)
    gap = s["rho"] - 2 * s["alpha"]
    p = s["r"] * (sp.sqrt(gap**2 + 4 * s["beta"] ** 2 * s["q"] / s["r"]) - gap) / (2 * s["beta"] ** 2)
    value = -p * s["x"] ** 2 / 2 + (s["lam"] * sp.log(2 * sp.pi * s["lam"] / s["r"]) - s["s"] ** 2 * p) / (2 * s["rho"])
    assert numeric(equation, residual(equation, {(): value}, {})[()], x=0.8) == pytest.approx(0, abs=1e-12)
    assert equation.policy.covariance[s["a"], s["a"]] == s["lam"] / s["r"]


@pytest.mark.parametrize("sense", ["maximize", "minimize"])
@pytest.mark.parametrize("prior", ["", " prior normal(0.3, 0.4)"])
def test_soft_optimum_against_quadrature(sense, prior):
    """l log of the integral of exp(+-H/l), times the prior's density where there is one."""
    sign = 1 if sense == "maximize" else -1
    equation = derive(
        loads_problem(f"""problem soft
param r = 0.5, lam = 0.2, rho = 1
state x in R
control a in R
noise W
dx = (0.8*a - x) dt + 0.3 dW
explore a with temperature lam{prior}
{sense} E integral(0, inf) exp(-rho*t)*({-sign}*(x^2 + r*a^2)) dt
""")
    )
    a = equation.problem.control_symbols[0]
    point = {equation.problem.state_symbols[0]: 0.6, equation.gradient[0]: -0.9, equation.hessian[0, 0]: 0.4}
    h = sp.lambdify(a, equation.problem.numeric(equation.hamiltonian).subs(point))
    grid = np.linspace(-12, 12, 200_001)
    density = np.exp(sign * h(grid) / 0.2)
    if prior:
        density = density * np.exp(-((grid - 0.3) ** 2) / 0.8) / np.sqrt(2 * np.pi * 0.4)
    total = np.trapezoid(density, grid)
    assert float(equation.problem.numeric(equation.reduced).subs(point)) == pytest.approx(sign * 0.2 * np.log(total), rel=1e-8)
    mean = np.trapezoid(grid * density, grid) / total
    spread = np.trapezoid((grid - mean) ** 2 * density, grid) / total
    policy = equation.policy
    assert float(equation.problem.numeric(policy.mean[a]).subs(point)) == pytest.approx(mean, rel=1e-7)
    assert float(equation.problem.numeric(policy.covariance[a, a]).subs(point)) == pytest.approx(spread, rel=1e-6)


def test_soft_max_over_a_finite_set():
    equation = derive(
        loads_problem("""problem soft
param lam = 0.3, rho = 1
state x in R
control d in {-1, 0, 2}
noise W
dx = d dt + 0.3 dW
explore d with temperature lam
minimize E integral(0, inf) exp(-rho*t)*(x^2 + d^2) dt
""")
    )
    d = equation.problem.control_symbols[0]
    point = {equation.problem.state_symbols[0]: 0.6, equation.gradient[0]: -0.9, equation.hessian[0, 0]: 0.4}
    h = sp.lambdify(d, equation.problem.numeric(equation.hamiltonian).subs(point))
    weights = np.array([np.exp(-h(v) / 0.3) for v in (-1, 0, 2)])
    reduced = float(equation.problem.numeric(equation.reduced).subs(point))
    assert reduced == pytest.approx(-0.3 * np.log(weights.sum()))
    probabilities = [float(equation.problem.numeric(p).subs(point)) for _, p in equation.policy.probabilities]
    assert probabilities == pytest.approx(weights / weights.sum())


def test_risk_sensitive_terminal_quadratic():
    """(1/theta) log E exp(theta x(T)^2/2) for Brownian motion: x^2/(2 u) - log(u)/(2 theta), u = 1 - theta sigma^2 (T - t)."""
    equation = derive(
        loads_problem(
            """problem risky
param theta = 0.5, sigma = 0.7, T = 1
state x in R
noise W
control a in R
dx = a dt + sigma dW
minimize risk(theta) [ integral(0, T) a^2 dt + x(T)^2/2 ]
"""
        )
    )
    s = symbols_of(equation)
    u = 1 - s["theta"] * s["sigma"] ** 2 * (s["T"] - TIME)
    value = s["x"] ** 2 / (2 * u) - sp.log(u) / (2 * s["theta"])
    left = residual(equation, {(): value}, {(): {s["a"]: sp.Integer(0)}})[()]
    assert numeric(equation, left, t=0.3, x=0.8) == pytest.approx(0, abs=1e-12)


def test_average_cost():
    equation = derive(
        loads_problem("""problem ergodic
param alpha = 0.25, beta = 0.9, s = 0.4, q = 1, r = 0.7
state x in R
control a in R
noise W
dx = (alpha*x + beta*a) dt + s dW
minimize average q*x^2 + r*a^2
""")
    )
    s = symbols_of(equation)
    p = s["r"] * (s["alpha"] + sp.sqrt(s["alpha"] ** 2 + s["beta"] ** 2 * s["q"] / s["r"])) / s["beta"] ** 2
    value = p * s["x"] ** 2
    left = residual(equation, {(): value}, {(): optimal_controls(equation, value)}, average=s["s"] ** 2 * p)[()]
    assert sp.simplify(left) == 0


def test_time_reversal_of_an_ornstein_uhlenbeck_process():
    """V = -log of the Gaussian density at time T - t solves the derived equation with u = Sigma' grad log p."""
    equation = derive(
        loads_problem("""problem reverse
param theta = 0.7, sigma = 0.9, T = 2, m0 = 1.2, v0 = 0.25
state y in R
noise W
dy = -theta*y dt + sigma dW
data y(0) ~ normal(m0, v0)
reverse y on [0, T]
""")
    )
    s = symbols_of(equation)
    back = s["T"] - TIME
    mean = s["m0"] * sp.exp(-s["theta"] * back)
    decay = sp.exp(-2 * s["theta"] * back)
    spread = s["v0"] * decay + s["sigma"] ** 2 / (2 * s["theta"]) * (1 - decay)
    value = (s["y"] - mean) ** 2 / (2 * spread) + sp.log(2 * sp.pi * spread) / 2
    (control,) = equation.optimum.candidates[0].controls
    best = substitute_derivatives(equation, equation.optimum.candidates[0].controls[control], value)
    assert numeric(equation, best, t=0.4, y=0.3) == pytest.approx(
        numeric(equation, -s["sigma"] * (s["y"] - mean) / spread, t=0.4, y=0.3)
    )
    left = sp.diff(value, TIME) + substitute_derivatives(equation, equation.reduced, value)
    assert numeric(equation, left, t=0.4, y=0.3) == pytest.approx(0, abs=1e-12)


def test_time_reversal_with_noise_that_depends_on_the_state():
    """dX = X dW from X(0) = 1 is lognormal; its density solves the derived equation away from the data's time."""
    equation = derive(
        loads_problem("""problem geometric
param T = 2
state y in R
noise W
dy = y dW
data y(0) ~ normal(1, 0.01)
reverse y on [0, T]
""")
    )
    y = equation.problem.state_symbols[0]
    span = equation.problem.numeric(equation.problem.reversal.end) - TIME
    value = sp.log(y) + sp.log(2 * sp.pi * span) / 2 + (sp.log(y) + span / 2) ** 2 / (2 * span)
    left = sp.diff(value, TIME) + substitute_derivatives(equation, equation.reduced, value)
    assert numeric(equation, left, t=0.4, y=1.3) == pytest.approx(0, abs=1e-12)

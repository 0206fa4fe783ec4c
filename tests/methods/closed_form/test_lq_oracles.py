"""The linear-quadratic family against oracles of other making: formulas by hand, scipy, brute force, other integrators."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import odeint, quad
from scipy.linalg import solve_continuous_are, solve_continuous_lyapunov
from scipy.optimize import brentq

from tests.methods.closed_form.solving import point, solved

HEAD = "state x in R\ncontrol a in R\nnoise W\n"


def matrix(array) -> str:
    return "[" + ", ".join("[" + ", ".join(f"{v:.6f}" for v in row) + "]" for row in np.atleast_2d(array)) + "]"


def scalar_root(a, b, q, r, rho, s=0.0) -> float:
    """P of rho P = q + 2 a P + s^2 P - b^2 P^2/r by bracketing, the positive root."""
    return brentq(lambda p: q + (2 * a + s**2 - rho) * p - b**2 * p**2 / r, 0, 1e6)


@pytest.mark.parametrize("seed", range(4))
def test_random_systems_against_scipy(seed: int) -> None:
    random = np.random.default_rng(seed)
    n, m = random.integers(2, 6), random.integers(1, 4)
    a, b, c = random.normal(size=(n, n)).round(6), random.normal(size=(n, m)).round(6), random.normal(size=(n, 2)).round(6)
    root = random.normal(size=(n, n))
    q, r, rho = (root @ root.T + np.eye(n)).round(6), np.diag(random.uniform(0.5, 2, m)).round(6), 0.3
    solution = solved(
        f"param A : R^({n},{n}) = {matrix(a)}, B : R^({n},{m}) = {matrix(b)}, C : R^({n},2) = {matrix(c)}\n"
        f"param Q : R^({n},{n}) = {matrix(q)}, R : R^({m},{m}) = {matrix(r)}, rho = 0.3\n"
        f"state x in R^{n}\ncontrol u in R^{m}\nnoise W in R^2\ndx = (A*x + B*u) dt + C dW\n"
        "minimize E integral(0, inf) exp(-rho*t)*(x'*Q*x + u'*R*u) dt\n"
    )
    q = (q + q.T) / 2
    p = solve_continuous_are(a - rho / 2 * np.eye(n), b, q, r)
    x = random.normal(size=n)
    value, control = point(solution, x)
    assert value == pytest.approx(x @ p @ x + np.trace(c.T @ p @ c) / rho, rel=1e-9)
    np.testing.assert_allclose(control, -np.linalg.solve(r, b.T @ p @ x), rtol=1e-8)


def test_maximize_is_the_negative_of_minimize() -> None:
    dynamics = HEAD + "dx = (0.3*x + 0.7*a + 0.2) dt + (0.4 + 0.1*x + 0.2*a) dW\n"
    cost = "(1.2*x^2 + 0.3*x*a + 0.5*a^2 + 0.6*x - 0.2*a + 1)"
    low = solved(dynamics + f"minimize E integral(0, inf) exp(-0.4*t)*{cost} dt\n")
    high = solved(dynamics + f"maximize E integral(0, inf) exp(-0.4*t)*(-{cost}) dt\n")
    assert point(low, 0.7)[0] == pytest.approx(-point(high, 0.7)[0], rel=1e-12)
    assert point(low, 0.7)[1] == pytest.approx(point(high, 0.7)[1], rel=1e-12)


def test_affine_terms_by_completing_the_square() -> None:
    # y = x - m turns q (x - m)^2 + r a^2, dx = (k (m - x) + a) dt + s dW into the centred problem
    m, k, q, r, s, rho = 1.7, 0.4, 1.3, 0.6, 0.5, 0.2
    solution = solved(HEAD + f"dx = ({k}*({m} - x) + a) dt + {s} dW\n"
                      f"minimize E integral(0, inf) exp(-{rho}*t)*({q}*(x - {m})^2 + {r}*a^2) dt\n")  # fmt: skip
    p = scalar_root(-k, 1, q, r, rho)
    value, control = point(solution, 0.4)
    assert value == pytest.approx(p * (0.4 - m) ** 2 + s**2 * p / rho, rel=1e-11)
    assert control[0] == pytest.approx(-p / r * (0.4 - m), rel=1e-11)


def test_risk_sensitive_scalar() -> None:
    # (1/theta) log E exp(theta*[...]): P' + q + 2 a P - (b^2/r - 2 theta s^2) P^2 = 0, by an independent integrator
    a, b, q, r, s, theta, horizon = 0.2, 0.9, 1.0, 0.5, 0.6, 0.7, 1.3
    solution = solved(
        HEAD + f"dx = ({a}*x + {b}*a) dt + {s} dW\n"
        f"minimize risk({theta}) [ integral(0, {horizon}) ({q}*x^2 + {r}*a^2) dt + 0.4*x({horizon})^2 ]\n"
    )

    def rate(y, _):
        return [q + 2 * a * y[0] - (b**2 / r - 2 * theta * s**2) * y[0] ** 2, s**2 * y[0]]

    path = odeint(rate, [0.4, 0.0], [0, horizon], rtol=1e-12, atol=1e-12)[-1]
    assert point(solution, 0.8)[0] == pytest.approx(path[0] * 0.64 + path[1], rel=1e-9)


def test_risk_neutral_limit_and_the_value_of_no_control() -> None:
    # without control: (1/theta) log E exp(theta*X_T^2), X_T ~ N(x, s^2 T)
    theta, s, horizon, x = 0.3, 0.5, 1.2, 0.6
    solution = solved(f"state x in R\nnoise W\ndx = {s} dW\nminimize risk({theta}) [ x({horizon})^2 ]\n")
    variance = s**2 * horizon

    def density(y: float) -> float:
        return float(np.exp(theta * y**2 - (y - x) ** 2 / (2 * variance)) / np.sqrt(2 * np.pi * variance))

    assert point(solution, x)[0] == pytest.approx(np.log(quad(density, -30, 30, epsabs=1e-13)[0]) / theta, rel=1e-8)


def test_exploratory_constant_by_quadrature() -> None:
    a, b, q, r, s, rho, lam = -0.3, 0.8, 1.2, 0.5, 0.35, 0.25, 0.2
    solution = solved(HEAD + f"dx = ({a}*x + {b}*a) dt + {s} dW\nexplore a with temperature {lam}\n"
                      f"maximize E integral(0, inf) exp(-{rho}*t)*(-({q}*x^2 + {r}*a^2)) dt\n")  # fmt: skip
    p = scalar_root(a, b, q, r, rho)
    x = 0.7
    value, control = point(solution, x)
    gradient, hessian = -2 * p * x, -2 * p
    integral = quad(lambda u: np.exp((-(q * x**2 + r * u**2) + (a * x + b * u) * gradient) / lam), -20, 20, epsabs=1e-14)[0]
    assert rho * value == pytest.approx(lam * np.log(integral) + s**2 * hessian / 2, rel=1e-9)
    spread = solution.function.evaluate(np.zeros(1), np.array([[x]]), np.zeros(1, dtype=np.int64)).spread
    assert spread[0, 0] == pytest.approx(np.sqrt(lam / (2 * r)), rel=1e-12)
    assert control[0] == pytest.approx(-b * p * x / r, rel=1e-10)


def test_exploration_with_prior_by_quadrature() -> None:
    lam, mean, variance, rho, x = 0.3, 0.4, 0.7, 0.5, -0.6
    solution = solved(HEAD + f"dx = (0.1*x + a) dt + 0.2 dW\nexplore a with temperature {lam} prior normal({mean}, {variance})\n"
                      f"minimize E integral(0, inf) exp(-{rho}*t)*(x^2 + 0.5*a^2) dt\n")  # fmt: skip
    step = 1e-3
    value = {d: point(solution, x + d)[0] for d in (-step, 0.0, step)}
    gradient, hessian = (value[step] - value[-step]) / (2 * step), (value[step] + value[-step] - 2 * value[0.0]) / step**2

    def weight(u: float) -> float:
        cost = x**2 + 0.5 * u**2 + (0.1 * x + u) * gradient
        return float(np.exp(-cost / lam - (u - mean) ** 2 / (2 * variance)) / np.sqrt(2 * np.pi * variance))

    soft = -lam * np.log(quad(weight, -15, 15, epsabs=1e-14)[0])
    assert rho * value[0.0] == pytest.approx(soft + 0.2**2 * hessian / 2, rel=1e-7)


def test_zero_sum_game_against_the_indefinite_riccati_equation() -> None:
    random = np.random.default_rng(3)
    n = 3
    a, b, d = random.normal(size=(n, n)).round(6), random.normal(size=(n, 2)).round(6), random.normal(size=(n, 1)).round(6)
    gamma, rho = 9.0, 0.2
    solution = solved(
        f"param A : R^({n},{n}) = {matrix(a)}, B : R^({n},2) = {matrix(b)}, D : R^({n},1) = {matrix(d)}\n"
        f"state x in R^{n}\ncontrol u in R^2\nadversary w in R^1\ndx = (A*x + B*u + D*w) dt\n"
        f"minimize integral(0, inf) exp(-{rho}*t)*(|x|^2 + |u|^2 - {gamma}*|w|^2) dt\n"
    )
    both = np.hstack([b, d])
    weight = np.diag([1.0, 1.0, -gamma])
    p = solve_continuous_are(a - rho / 2 * np.eye(n), both, np.eye(n), weight)
    x = np.array([0.3, -0.5, 0.8])
    value, control = point(solution, x)
    assert value == pytest.approx(x @ p @ x, rel=1e-8)
    np.testing.assert_allclose(control, -np.linalg.solve(weight, both.T @ p @ x), rtol=1e-7)


def test_modes_by_fixed_point() -> None:
    rho, r = 0.3, 0.5
    alpha, beta, q, s = (-0.2, 0.4), (1.0, 0.6), (1.0, 2.0), (0.2, 0.6)
    rates = (0.5, 0.9)
    solution = solved(
        f"param rho = {rho}\nmode z in {{calm, wild}}\nrate calm -> wild = 0.5, wild -> calm = 0.9\n"
        "param alpha(z) = {calm: -0.2, wild: 0.4}, beta(z) = {calm: 1, wild: 0.6}\n"
        "param q(z) = {calm: 1, wild: 2}, s(z) = {calm: 0.2, wild: 0.6}\n" + HEAD +
        "dx = (alpha(z)*x + beta(z)*a) dt + s(z) dW\nminimize E integral(0, inf) exp(-rho*t)*(q(z)*x^2 + 0.5*a^2) dt\n"
    )  # fmt: skip
    p = np.zeros(2)
    for _ in range(2000):
        p = np.array([scalar_root(alpha[i], beta[i], q[i] + rates[i] * p[1 - i], r, rho + rates[i]) for i in (0, 1)])
    c = np.linalg.solve([[rho + rates[0], -rates[0]], [-rates[1], rho + rates[1]]], [s[0] ** 2 * p[0], s[1] ** 2 * p[1]])
    for i in (0, 1):
        assert point(solution, 0.8, mode=i)[0] == pytest.approx(0.64 * p[i] + c[i], rel=1e-8)


def test_time_varying_coefficients_with_a_switch() -> None:
    solution = solved(HEAD + "dx = (sin(3*t)*x + if(t < 0.4, 1, 0.3)*a + cos(t)) dt + exp(-t)*x dW\n"
                      "minimize E [ integral(0, 1.1) ((1 + t)*x^2 + (0.5 + t^2)*a^2 + t*x) dt + x(1.1)^2 ]\n")  # fmt: skip

    def rate(y, t):
        p, s, _ = y
        b, r = (1.0 if t < 0.4 else 0.3), 0.5 + t**2
        drift, shift, noise = np.sin(3 * t), np.cos(t), np.exp(-t)
        return [
            -(1 + t + 2 * drift * p + noise**2 * p - b**2 * p**2 / r),
            -(t / 2 + shift * p + drift * s - b**2 * p * s / r),
            -(2 * shift * s - b**2 * s**2 / r),
        ]

    late = odeint(rate, [1.0, 0.0, 0.0], [1.1, 0.4], rtol=1e-12, atol=1e-13)[-1]
    early = odeint(rate, late, [0.4 - 1e-14, 0.0], rtol=1e-12, atol=1e-13)[-1]
    x = -0.9
    assert point(solution, x)[0] == pytest.approx(early @ [x**2, 2 * x, 1], rel=1e-8)
    assert point(solution, x, t=0.4)[0] == pytest.approx(late @ [x**2, 2 * x, 1], rel=1e-8)


def test_multiplicative_noise_by_monte_carlo() -> None:
    text = HEAD.replace("noise W", "noise W, B") + (
        "dx = (0.1*x + 0.8*a) dt + (0.3*x + 0.1) dW + (0.4*a) dB\nminimize E [ integral(0, 1) (x^2 + 0.5*a^2) dt + 0.7*x(1)^2 ]\n"
    )
    solution = solved(text)
    random = np.random.default_rng(1)
    paths, steps = 40000, 200
    h = 1 / steps
    x, cost = np.full(paths, 0.8), np.zeros(paths)
    for k in range(steps):
        a = solution.function.evaluate(np.full(paths, k * h), x[:, None], np.zeros(paths, dtype=np.int64)).control[:, 0]
        first, second = random.normal(size=(2, paths)) * np.sqrt(h)
        before = x**2 + 0.5 * a**2
        x = x + (0.1 * x + 0.8 * a) * h + (0.3 * x + 0.1) * first + 0.4 * a * second
        cost += before * h
    cost += 0.7 * x**2
    error = cost.std() / np.sqrt(paths)
    assert point(solution, 0.8)[0] == pytest.approx(cost.mean(), abs=4 * error + 3 * h)


def test_jumps_with_marks_by_moment_equations() -> None:
    # uncontrolled: E int e^{-rho t} x^2, dx = -k x dt + (J x + g) dN, J ~ normal(m, v): the moments obey linear equations
    k, lam, m, v, g, rho, x = 0.8, 1.4, -0.2, 0.09, 0.3, 0.5, 0.6
    solution = solved(f"state x in R\njump N rate {lam} mark J ~ normal({m}, {v})\ndx = -{k}*x dt + (J*x + {g}) dN\n"
                      f"evaluate E integral(0, inf) exp(-{rho}*t)*x^2 dt\n")  # fmt: skip
    second = m**2 + v
    # d/dt (E x, E x^2)
    rates = np.array([[-k + lam * m, 0.0], [2 * lam * (1 + m) * g, -2 * k + lam * (2 * m + second)]])
    inflow = np.array([lam * g, lam * g**2])
    discounted = np.linalg.solve(rho * np.eye(2) - rates, np.array([x, x**2]) + inflow / rho)
    assert point(solution, x)[0] == pytest.approx(discounted[1], rel=1e-10)


@pytest.mark.parametrize(
    ("law", "first", "second"),
    [
        ("exponential(2)", 0.5, 0.5),
        ("uniform(-1, 2)", 0.5, 1.0),
        ("{-0.3: 0.25, 0.1: 0.75}", 0.0, 0.03),
        ("normal(1, 4)", 1.0, 5.0),
    ],
)
def test_controlled_jumps(law: str, first: float, second: float) -> None:
    # displacement J*a: acts as drift lam*E J*a and as variance lam*E J^2*a^2
    q, r, rho, lam = 1.0, 0.4, 0.3, 0.7
    solution = solved(f"state x in R\ncontrol a in R\njump N rate {lam} mark J ~ {law}\ndx = (0.2*x + a) dt + J*a dN\n"
                      f"minimize E integral(0, inf) exp(-{rho}*t)*({q}*x^2 + {r}*a^2) dt\n")  # fmt: skip
    b, spread = 1 + lam * first, lam * second
    p = brentq(lambda y: q + (0.4 - rho) * y - (b * y) ** 2 / (r + spread * y), 0, 1e4, xtol=1e-14)
    value, control = point(solution, 1.3)
    assert value == pytest.approx(1.69 * p, rel=1e-9)
    assert control[0] == pytest.approx(-b * p / (r + spread * p) * 1.3, rel=1e-9)


def test_average_with_affine_terms_and_correlated_noise() -> None:
    # average of (x - 1)^2 + r a^2: with k = closed-loop feedback the stationary Gaussian law gives the cost
    r = 0.5
    solution = solved("state x in R, y in R\ncontrol a in R\nnoise W, B\ndW dB = 0.4 dt\ndx = (y - 0.2*x + a) dt + 0.3 dW\n"
                      "dy = -0.7*y dt + 0.5 dB\n" f"minimize average (x - 1)^2 + {r}*a^2\n")  # fmt: skip
    # simulate the stationary moments of the claimed feedback (affine, read off at three points) by Lyapunov equations
    base = point(solution, [0, 0])[1][0]
    gain = np.array([point(solution, [1, 0])[1][0] - base, point(solution, [0, 1])[1][0] - base])
    drift = np.array([[-0.2 + gain[0], 1 + gain[1]], [0, -0.7]])
    mean = np.linalg.solve(drift, [-base, 0])
    noise = np.array([[0.09, 0.4 * 0.15], [0.4 * 0.15, 0.25]])

    covariance = solve_continuous_lyapunov(drift, -noise)
    cost = (mean[0] - 1) ** 2 + covariance[0, 0] + r * ((base + gain @ mean) ** 2 + gain @ covariance @ gain)
    assert solution.average == pytest.approx(cost, rel=1e-10)


def test_evaluate_is_a_lyapunov_equation() -> None:
    a = np.array([[-0.4, 0.3], [-0.5, -0.2]])
    solution = solved("param A : R^(2,2) = [[-0.4, 0.3], [-0.5, -0.2]]\nstate x in R^2\nnoise W\ndx = A*x dt + [0.3, 0.1] dW\n"
                      "evaluate E integral(0, inf) exp(-0.1*t)*(x[1]^2 + 2*x[2]^2) dt\n")  # fmt: skip

    p = solve_continuous_lyapunov((a - 0.05 * np.eye(2)).T, -np.diag([1.0, 2.0]))
    g = np.array([0.3, 0.1])
    x = np.array([0.4, -1.1])
    assert point(solution, x)[0] == pytest.approx(x @ p @ x + g @ p @ g / 0.1, rel=1e-10)


def test_undiscounted_deterministic() -> None:
    solution = solved("state x in R, v in R\ncontrol a in R\ndx = v dt\ndv = a dt\nminimize integral(0, inf) (x^2 + a^2) dt\n")
    p = solve_continuous_are([[0, 1], [0, 0]], [[0], [1]], np.diag([1.0, 0.0]), [[1.0]])
    x = np.array([0.7, -0.2])
    assert point(solution, x)[0] == pytest.approx(x @ p @ x, rel=1e-10)


def test_free_states_cost_nothing_where_nothing_is_asked_of_them() -> None:
    # only the effort costs: the least value is 0 with a = 0, though the stabilising root is not
    solution = solved(HEAD + "dx = (0.8*x + a) dt + 0.3 dW\nminimize E integral(0, inf) exp(-0.1*t)*a^2 dt\n")
    value, control = point(solution, 1.0)
    assert value == 0
    assert control[0] == 0


def test_a_state_that_costs_nothing() -> None:
    # only speed and effort cost: V = sqrt(q r) v^2, and the position drifts to wherever it comes to rest
    solution = solved(
        "state x in R, v in R\ncontrol a in R\ndx = v dt\ndv = a dt\nminimize integral(0, inf) (2*v^2 + 0.5*a^2) dt\n"
    )
    value, control = point(solution, [3.0, -0.7])
    assert value == pytest.approx(0.49, rel=1e-9)
    assert control[0] == pytest.approx(1.4, rel=1e-9)


@pytest.mark.parametrize("sense", ["minimize", "maximize"])
def test_average_under_exploration(sense: str) -> None:
    # the constant of the discounted problem, times the discount: lam log of the integral of exp(-r a^2/lam), and s^2 P
    lam, r, sign = 0.3, 0.5, 1 if sense == "minimize" else -1
    solution = solved(HEAD + f"dx = (0.2*x + a) dt + 0.4 dW\nexplore a with temperature {lam}\n"
                      f"{sense} average {'' if sign == 1 else '-'}(x^2 + {r}*a^2)\n")  # fmt: skip
    p = scalar_root(0.2, 1, 1, r, 0)
    entropy = lam * np.log(quad(lambda u: np.exp(-r * u**2 / lam), -20, 20, epsabs=1e-14)[0])
    assert solution.average == pytest.approx(sign * (0.16 * p - entropy), rel=1e-9)


def test_discount_by_mode_and_terminal_by_mode() -> None:
    # without control: V_z = p_z x^2, p' = -q_z - 2 a p_z + r_z p_z - switching, by an independent integrator
    modes = "mode z in {g, b}\nrate g -> b = 0.7, b -> g = 1.1\nparam k(z) = {g: 0.1, b: 0.6}, h(z) = {g: 1, b: 3}\n"
    motion = "state x in R\ndx = -0.3*x dt\ndiscount k(z)\n"
    solution = solved(modes + motion + "evaluate E [ integral(0, 2) h(z)*x^2 dt + h(z)*x(2)^2 ]\n")

    def rate(p, _):
        return [1 - 0.6 * p[0] - 0.1 * p[0] + 0.7 * (p[1] - p[0]), 3 - 0.6 * p[1] - 0.6 * p[1] + 1.1 * (p[0] - p[1])]

    p = odeint(rate, [1.0, 3.0], [0, 2], rtol=1e-12, atol=1e-12)[-1]
    for mode in (0, 1):
        assert point(solution, 0.9, mode=mode)[0] == pytest.approx(0.81 * p[mode], rel=1e-9)


@pytest.mark.slow
def test_thirty_states_with_multiplicative_noise() -> None:
    # isotropic, so that the matrix equation is the scalar one thirty times over
    n = 30
    solution = solved(f"state x in R^{n}\ncontrol u in R^{n}\nnoise W\ndx = (0.2*x + u) dt + 0.4*x dW\n"
                      "minimize E integral(0, inf) exp(-0.3*t)*(|x|^2 + 0.5*|u|^2) dt\n")  # fmt: skip
    p = scalar_root(0.2, 1, 1, 0.5, 0.3, s=0.4)
    x = np.random.default_rng(2).normal(size=n)
    assert point(solution, x)[0] == pytest.approx(p * x @ x, rel=1e-9)
    # E|x|^2 e^(-r t) decays at the scalar's rate
    rate = 0.3 - 2 * (0.2 - 2 * p) - 0.16
    assert f"{rate:.4g}" in " ".join(solution.evidence.statements)


@pytest.mark.slow
def test_fifty_states_in_seconds() -> None:
    random = np.random.default_rng(0)
    n = 50
    a = (random.normal(size=(n, n)) / np.sqrt(n)).round(6)
    solution = solved(f"param A : R^({n},{n}) = {matrix(a)}\nstate x in R^{n}\ncontrol u in R^{n}\nnoise W in R^{n}\n"
                      "dx = (A*x + u) dt + 0.3 dW\nminimize E integral(0, inf) exp(-0.2*t)*(|x|^2 + 0.5*|u|^2) dt\n")  # fmt: skip
    p = solve_continuous_are(a - 0.1 * np.eye(n), np.eye(n), np.eye(n), 0.5 * np.eye(n))
    x = random.normal(size=n)
    assert point(solution, x)[0] == pytest.approx(x @ p @ x + 0.09 * np.trace(p) / 0.2, rel=1e-9)


@pytest.mark.parametrize("penalty", [1e3, 1e8, 1e11])
def test_a_stiff_penalty_on_the_end_against_the_gramian(penalty: float) -> None:
    # least energy to (almost) the origin: V = |Phi x|^2 in the metric (1/(2 K) + G)^-1 / 2, G the reachability Gramian
    solution = solved(
        "state x in R, v in R\ncontrol u in R\ndx = v dt\ndv = u dt\n"
        f"minimize E [ integral(0, 1) u^2/2 dt + {penalty:.0f}*(x(1)^2 + v(1)^2) ]\n"
    )
    start, flow = np.array([0.7, -0.4]), np.array([[1.0, 1.0], [0.0, 1.0]])
    metric = np.linalg.inv(np.eye(2) / (2 * penalty) + np.array([[1 / 3, 1 / 2], [1 / 2, 1.0]]))
    value, _ = point(solution, start)
    assert value == pytest.approx((flow @ start) @ metric @ (flow @ start) / 2, rel=2e-10)

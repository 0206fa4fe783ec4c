"""Radially symmetric problems against formulas in the radius and scipy's collocation; lopsided ones must be declined."""

import numpy as np
import pytest
from scipy.integrate import solve_bvp

from hjbdsl.frontend.load import loads_problem
from hjbdsl.methods.closed_form.family import Proposal
from hjbdsl.methods.closed_form.symmetry import radial
from hjbdsl.methods.closed_form.verify import verify
from hjbdsl.model.solution import Evidence, Rejected
from hjbdsl.symbolic.derive import derive


def solve(text):
    equation = derive(loads_problem(text))
    proposal = radial.propose(equation)
    assert isinstance(proposal, Proposal), proposal
    evidence = verify(equation, proposal)
    assert isinstance(evidence, Evidence), evidence
    return proposal


def values(proposal, points):
    points = np.asarray(points, dtype=float)
    return proposal.function.evaluate(np.zeros(len(points)), points, np.zeros(len(points), dtype=int))


@pytest.mark.parametrize(("n", "sigma"), [(2, 0.9), (3, 0.5), (5, 1.2)])
def test_stay_in_a_ball(n, sigma):
    proposal = solve(f"""
param sigma = {sigma}
state   x in R^{n}
control u in R^{n}
subject to |u| <= 1
noise   W in R^{n}
dx = u dt + sigma dW
exit tau when |x| >= 1
maximize E integral(0, tau) 1 dt
""")

    # the drift points to the centre: (sigma^2/2)(v'' + (n-1) v'/r) - |v'|... = -1 with v' < 0, v'(0) = 0
    def ode(r, v):
        across = np.where(r > 0, v[1] / np.maximum(r, 1e-300), -2 / (n * sigma**2))
        return np.stack([v[1], -2 / sigma**2 * (1 - v[1]) - (n - 1) * across])

    r = np.linspace(0, 1, 801)
    found = solve_bvp(ode, lambda a, b: np.array([a[1], b[0]]), r, np.stack([1 - r**2, -2 * r]), tol=1e-9, max_nodes=100000)
    random = np.random.default_rng(3)
    points = random.standard_normal((20, n))
    points *= (random.uniform(0, 1, 20) / np.linalg.norm(points, axis=1))[:, None]
    points[0] = 0
    at = values(proposal, points)
    np.testing.assert_allclose(at.value, found.sol(np.linalg.norm(points, axis=1))[0], atol=1e-7)
    np.testing.assert_allclose(at.gradient[0], 0)
    inner = points[1:]
    np.testing.assert_allclose(at.control[1:], -inner / np.linalg.norm(inner, axis=1)[:, None], atol=1e-9)


def test_brownian_motion_formulas():
    ball = solve("""
state x in R^3
noise W in R^3
dx = 1.3 dW
exit tau when |x| >= 2
evaluate E integral(0, tau) 1 dt
""")
    points = np.array([[0, 0, 0], [0.3, -0.4, 1.2], [0, 2, 0], [1, 1, 1]])
    squared = (points**2).sum(axis=1)
    np.testing.assert_allclose(values(ball, points).value, (4 - squared) / (3 * 1.69), atol=1e-12)
    derivatives = ball.function.derivatives(np.zeros(4), points, np.zeros(4, dtype=int))
    np.testing.assert_allclose(derivatives.gradient, -2 * points / (3 * 1.69), atol=1e-11)
    np.testing.assert_allclose(derivatives.hessian, np.broadcast_to(-2 * np.eye(3) / (3 * 1.69), (4, 3, 3)), atol=1e-10)
    outside = solve("""
param r = 0.2, s = 1.1
state x in R^3
noise W in R^3
dx = s dW
exit tau when |x| <= 1
evaluate E exp(-r*tau)*1
region x in [1, 2]
""")
    points = np.array([[1.0, 1.0, 1.0], [2.0, 1.5, 1.0], [1.0, 2.0, 2.0]])
    radius = np.linalg.norm(points, axis=1)
    np.testing.assert_allclose(values(outside, points).value, np.exp(-np.sqrt(0.4) / 1.1 * (radius - 1)) / radius, atol=1e-11)
    annulus = solve("""
state x in R^2
noise W in R^2
dx = dW
exit tau when |x| <= 0.5 or |x| >= 2
evaluate E if(|x(tau)| < 1, 1, 0)
region x in [-1.4, 1.4]
""")
    points = np.array([[1.0, 0.0], [0.6, 0.8], [-1.0, 1.0]])
    radius = np.linalg.norm(points, axis=1)
    np.testing.assert_allclose(values(annulus, points).value, np.log(2 / radius) / np.log(4), atol=1e-11)


@pytest.mark.parametrize(
    "body",
    [
        "control u in [-1, 1]^2\nnoise W in R^2\ndx = u dt + dW\nexit tau when |x| >= 1\nmaximize E integral(0, tau) 1 dt",
        "noise W in R^2\ndx = [0.1, 0] dt + dW\nexit tau when |x| >= 1\nevaluate E integral(0, tau) 1 dt",
        "noise W in R^2\ndx = diag([1, 2]) dW\nexit tau when |x| >= 1\nevaluate E integral(0, tau) 1 dt",
        "noise W in R^2\ndx = dW\nexit tau when |x| >= 1\nevaluate E integral(0, tau) x[1] dt",
        "noise W in R^2\ndx = dW\nexit tau when x[1]^2 + 2*x[2]^2 >= 1\nevaluate E integral(0, tau) 1 dt",
    ],
)
def test_declines_what_rotation_changes(body):
    assert isinstance(radial.propose(derive(loads_problem(f"state x in R^2\n{body}\nregion x in [-1, 1]\n"))), Rejected)

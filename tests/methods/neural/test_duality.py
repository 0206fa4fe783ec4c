"""Bounds of the optimal cost hold for policies that are far from optimal, against Riccati equations."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from hjbdsl.methods.neural.duality import Plan, bound, convexity
from hjbdsl.methods.neural.lifted_value import LiftedValue
from hjbdsl.methods.neural.path_sampling import Policy
from tests.methods.neural.path_problems import DISCOUNTED, EFFORT, FINITE, model_of, riccati

POINTS = np.array([[0.0, 0, 0, 0], [1, 0, 0, 0], [0.5, -0.5, 0.5, -0.5], [1, 1, 1, 1]])


def test_the_constant_of_the_lower_bound() -> None:
    # f_uu = 2 diag(effort), B = I, S S' = I/4: the largest c with f_uu >= c B'(S S')^-1 B is 2*0.5/4
    assert convexity(model_of(FINITE)) == pytest.approx(0.25, rel=1e-5)
    assert convexity(model_of(DISCOUNTED)) == pytest.approx(0.5, rel=1e-5)


def test_there_is_no_such_constant_without_strong_convexity() -> None:
    assert convexity(model_of(FINITE.replace("1.5*u[4]^2", "abs(u[4])").replace("u in R^4", "u in [-1, 1]^4"))) is None


@pytest.mark.slow
def test_untrained_bounds_contain_the_optimal_cost_on_a_finite_horizon() -> None:
    torch.manual_seed(0)
    model = model_of(FINITE)
    P, constant = riccati(EFFORT, 1.0, 0.7 * np.eye(4))
    exact = np.einsum("ki,ij,kj->k", POINTS, P, POINTS) + constant
    found = bound(model, Policy(model, LiftedValue(model, 8)), convexity(model), np.zeros(4), POINTS, Plan(40, 512, 1))
    assert np.all(found.lower - 4 * found.lower_error <= exact + 2e-3)
    assert np.all(found.upper + 4 * found.upper_error >= exact - 2e-3)
    assert np.all(found.upper - found.lower > 0.01)


@pytest.mark.slow
def test_bounds_under_a_discount_contain_the_optimal_reward() -> None:
    torch.manual_seed(0)
    model = model_of(DISCOUNTED)
    P, constant = riccati(np.eye(4), 60.0, np.zeros((4, 4)), 0.4)
    exact = np.einsum("ki,ij,kj->k", POINTS, P, POINTS) + constant
    # a crude control: the gradient of |x|² instead of x'P x, by a network that does not know; cut off where 1e-3 is left
    policy = _Quadratic(model)
    end = math.log(1000.0) / 0.4
    found = bound(model, policy, convexity(model), np.zeros(4), POINTS, Plan(400, 256, 1, end))
    slack = 4e-3 * (1.0 + exact)
    assert np.all(found.upper + 4 * found.upper_error >= exact - slack)
    assert np.all(found.lower - 4 * found.lower_error <= exact + slack)


class _Quadratic(Policy):
    """The control of W = 0.8 |x|² + 0.5."""

    def __init__(self, model):
        super().__init__(model, None)

    def slope(self, t, x):
        return 0.8 * (x**2).sum(-1) + 0.5, 1.6 * x

"""Many states: value, gradient and policy of the learners on paths against exact answers, at points along uncontrolled paths.

    python -m benchmarks.neural_paths [NAME...]

The networks are general perceptrons; their features are t, x, the terminal cost and the running cost of the file. The exact
answers come from the closed-form engine (Riccati equations, separable sums), in 100 and 1000 dimensions from one integral.
`bounds`: where the bracket printed for V(0, 0) lies against the exact value; its upper end is the simulated policy's cost.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.integrate import quad

from hjbdsl.frontend.load import loads_problem
from hjbdsl.methods import closed_form
from hjbdsl.methods.neural.learner import LearningRequest
from hjbdsl.methods.neural.path_function import PathFunction
from hjbdsl.methods.neural.solve import LEARNERS
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Accepted, Array
from hjbdsl.symbolic.derive import derive

Exact = Callable[[Array, Array], tuple[Array, Array]]
"""t (k,), x (k, n) -> V (k,), gradient (k, n)."""

LQG = """
param n = {n}
state x in R^n
control u in R^n
noise W in R^n
dx = 2*u dt + sqrt(2) dW
minimize E [ integral(0, 1) |u|^2 dt + log((1 + |x(1)|^2)/2) ]
"""
AGENTS = """
param n = 10, kappa = 0.8, s = 0.5, r = 0.5
param A : R^(n,n) = kappa*(ones(n, n)/n - eye(n))
param Q : R^(n,n) = eye(n) + 0.7*ones(n, n)/n
state x in R^n
control u in R^n
noise W in R^n
dx = (A*x + u) dt + s dW
minimize E [ integral(0, 1) (x'*Q*x + r*|u|^2) dt + 0.6*|x(1)|^2 ]
region x in [-1, 1]
"""
COUPLED = """
param n = 20, s = 0.35, rho = 0.25, r = 0.4
param A : R^(n,n) = 0.6*ones(n, n)/n - 0.3*eye(n)
state x in R^n
control u in R^n
noise W in R^n
dx = (A*x + u) dt + s dW
minimize E integral(0, inf) exp(-rho*t)*(|x|^2 + r*|u|^2) dt
region x in [-0.5, 0.5]
"""
WELL = """
param n = 10, theta = 0.4, sigma = 0.8, nu = 0.5
state x in R^n
control u in R^n
noise W in R^n
dx = (-theta*x + u) dt + sigma dW
minimize E [ integral(0, 1) |u|^2/2 dt + nu*sum((x(1)[i]^2 - 1)^2 for i in 1..n) ]
region x in [-1.5, 1.5]
"""


@dataclass(frozen=True, slots=True)
class Case:
    """A problem, the standard deviation of uncontrolled noise per root time, and the budget of training."""

    text: str
    sigma: float
    budget: float
    learner: str = "martingale"


CASES = {
    "hjb_lqg_100": Case(LQG.format(n=100), math.sqrt(2.0), 100.0),
    "hjb_lqg_100 log_variance": Case(LQG.format(n=100), math.sqrt(2.0), 100.0, "log_variance"),
    "hjb_lqg_1000": Case(LQG.format(n=1000), math.sqrt(2.0), 100.0),
    "lqg_10": Case(AGENTS, 0.5, 60.0),
    "lq_20": Case(COUPLED, 0.35, 60.0),
    "double_well_10": Case(WELL, 0.8, 100.0),
}


def lqg_value(left: float, square: float, n: int) -> float:
    """-log E[2/(1 + |x + sqrt(2 left) Z|²)] for |x|² = square: with 1/(1 + y) = int_0^inf exp(-s (1 + y)) ds, in s = e^v."""
    a = 2.0 * left

    def integrand(v: float) -> float:
        s = math.exp(v)
        return math.exp(v - s - 0.5 * n * math.log1p(2.0 * a * s) - square * s / (1.0 + 2.0 * a * s))

    peak = -math.log(1.0 + square + a * n)
    return -math.log(2.0 * quad(integrand, peak - 40.0, peak + 8.0, points=[peak], limit=400, epsabs=0.0, epsrel=1e-11)[0])


def lqg_exact(n: int) -> Exact:
    """The integral, and its derivative in |x|² by central differences."""

    def exact(t: Array, x: Array) -> tuple[Array, Array]:
        squares = (x**2).sum(1)
        values = np.array([lqg_value(1.0 - s, r, n) for s, r in zip(t, squares, strict=True)])
        step = 1e-3 * (1.0 + squares)
        above = np.array([lqg_value(1.0 - s, r, n) for s, r in zip(t, squares + step, strict=True)])
        below = np.array([lqg_value(1.0 - s, r, n) for s, r in zip(t, np.maximum(squares - step, 0.0), strict=True)])
        slope = (above - below) / (squares + step - np.maximum(squares - step, 0.0))
        return values, 2.0 * slope[:, None] * x

    return exact


def engine_exact(equation: HJBEquation) -> Exact:
    """The closed-form engine's answer."""
    answer = closed_form.solve(equation)
    assert isinstance(answer, Accepted)
    function = answer.solution.function

    def exact(t: Array, x: Array) -> tuple[Array, Array]:
        found = function.evaluate(t, x, np.zeros(len(t), dtype=np.int64))
        return found.value, found.gradient

    return exact


def along_paths(n: int, sigma: float, paths: int = 24) -> tuple[Array, Array]:
    """Points of uncontrolled paths from the origin at ten times of [0, 0.9]: t (k,), x (k, n)."""
    random = np.random.default_rng(5)
    walks = np.cumsum(np.concatenate([np.zeros((1, paths, n)), random.normal(size=(9, paths, n))]) * sigma * math.sqrt(0.1), 0)
    return np.repeat(0.1 * np.arange(10), paths), walks.reshape(-1, n)


def relative(found: Array, exact: Array) -> float:
    """Relative L2 error."""
    return float(np.sqrt(((found - exact) ** 2).sum() / (exact**2).sum()))


def run(name: str, case: Case) -> None:
    """One row."""
    began = time.process_time()
    equation = derive(loads_problem(case.text))
    request = LearningRequest(budget=case.budget, options={"method": case.learner})
    answer = dict(LEARNERS)[case.learner](equation, request)
    assert isinstance(answer, Accepted)
    seconds = time.process_time() - began
    function = answer.solution.function
    assert isinstance(function, PathFunction)
    n = equation.problem.dimension
    exact = lqg_exact(n) if name.startswith("hjb_lqg") else engine_exact(equation)
    t, x = along_paths(n, case.sigma)
    value, slope = exact(t, x)
    found = function.evaluate(t, x, np.zeros(len(t), dtype=np.int64))
    _, policy = function.rebuilt()
    network = (
        policy.slope(torch.tensor(t, dtype=torch.float32), torch.tensor(x, dtype=torch.float32))[0].detach().double().numpy()
    )
    # the policy is linear in the gradient in every case here, so its relative error is the gradient's
    began = time.process_time()
    centre = function.evaluate(np.zeros(1), np.zeros((1, n)), np.zeros(1, dtype=np.int64))
    measured = time.process_time() - began
    origin = float(exact(np.zeros(1), np.zeros((1, n)))[0][0])
    low, high = centre.lower, centre.upper
    assert low is not None
    assert high is not None
    print(
        f"{name:26s} V(0) {centre.value[0] / origin - 1:+.1e}  bounds [{low[0] / origin - 1:+.1e}, {high[0] / origin - 1:+.1e}]  "
        f"field {relative(found.value, value):.1e} (network alone {relative(network, value):.1e})  "
        f"gradient and policy {relative(found.gradient, slope):.3f}  "
        f"training {seconds:.0f} s, V(0) {measured:.1f} s CPU",
        flush=True,
    )


def main(names: list[str]) -> None:
    """The cases named, or all."""
    torch.set_num_threads(1)
    print("relative errors against the exact answer; field, gradient and policy: L2 along uncontrolled paths from 0")
    for name, case in CASES.items():
        if not names or name in names:
            run(name, case)


if __name__ == "__main__":
    main(sys.argv[1:])

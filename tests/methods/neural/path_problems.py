"""Linear-quadratic problems in four states whose Riccati equation scipy integrates: oracles for the learners on paths."""

from __future__ import annotations

import numpy as np
from scipy.integrate import solve_ivp

from hjbdsl.frontend.load import loads_problem
from hjbdsl.methods.neural.path_model import PathModel
from hjbdsl.methods.neural.program import NeuralProgram
from hjbdsl.model.equation import HJBEquation
from hjbdsl.symbolic.derive import derive

COUPLED = """
param A : R^(4,4) = [[-0.5, 0.2, 0, 0], [0, -0.3, 0.4, 0], [0.1, 0, -0.8, 0], [0, 0, 0.3, 0.1]]
state   x in R^4
control u in R^4
noise   W in R^4
dx = (A*x + u) dt + 0.5 dW
"""
FINITE = (
    COUPLED
    + """
minimize E [ integral(0, 1) (|x|^2 + u[1]^2 + 0.5*u[2]^2 + 0.8*u[3]^2 + 1.5*u[4]^2) dt + 0.7*|x(1)|^2 ]
"""
)
DISCOUNTED = (
    COUPLED
    + """
maximize E integral(0, inf) exp(-0.4*t)*(-|x|^2 - |u|^2) dt
"""
)
A = np.array([[-0.5, 0.2, 0, 0], [0, -0.3, 0.4, 0], [0.1, 0, -0.8, 0], [0, 0, 0.3, 0.1]])
EFFORT = np.diag([1.0, 0.5, 0.8, 1.5])


def equation_of(text: str) -> HJBEquation:
    return derive(loads_problem(text))


def model_of(text: str) -> PathModel:
    return PathModel(NeuralProgram(equation_of(text)))


def riccati(effort: np.ndarray, end: float, final: np.ndarray, rate: float = 0.0) -> tuple[np.ndarray, float]:
    """P and c of the optimal cost x'P x + c at time 0 under |x|² + u' effort u, noise 0.5 dW."""

    def slope(_s: float, y: np.ndarray) -> np.ndarray:
        P = y[:16].reshape(4, 4)
        change = np.eye(4) + A.T @ P + P @ A - P @ np.linalg.inv(effort) @ P - rate * P
        return np.append(change.ravel(), 0.25 * np.trace(P) - rate * y[16])

    y = solve_ivp(slope, (0.0, end), np.append(final.ravel(), 0.0), rtol=1e-10, atol=1e-12).y[:, -1]
    return y[:16].reshape(4, 4), float(y[16])

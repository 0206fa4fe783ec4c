"""The feedback matrix of a noisy oscillator, beside scipy's solver of the algebraic Riccati equation."""

import numpy as np
from scipy.linalg import solve_continuous_are

import hjbdsl

TEXT = """
problem oscillator "a noisy oscillator held at rest"
param   A : R^(2,2) = [[0, 1], [-1, -0.1]], B : R^(2,1) = [[0], [1]], rho = 0.2
state   x in R^2
control u in R^1
noise   W
dx = (A*x + B*u) dt + [0, 0.3] dW
minimize E integral(0, inf) exp(-rho*t)*(x'*diag([1, 0.5])*x + 0.2*|u|^2) dt
"""

solution = hjbdsl.loads(TEXT).solve()
A, B = np.array([[0.0, 1.0], [-1.0, -0.1]]), np.array([[0.0], [1.0]])
P = solve_continuous_are(A - 0.1 * np.eye(2), B, np.diag([1.0, 0.5]), np.array([[0.2]]))
for x in np.array([[1.0, 0.0], [0.0, 1.0], [0.7, -0.4]]):
    ours = float(solution.policy(x=x)["u"][0])
    theirs = float(-(B.T @ P @ x)[0] / 0.2)
    print(f"x = {x}: u = {ours:+.10f}, scipy {theirs:+.10f}")
    assert abs(ours - theirs) < 1e-8

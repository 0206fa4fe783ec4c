"""Run the optimal policy forward: its realised cost agrees with V, and a worse policy costs more."""

import numpy as np

import hjbdsl

TEXT = """
problem regulator "finite horizon, time-dependent feedback"
param   T = 1
state   x in R
control a in R
noise   W
dx = (0.3*x + a) dt + 0.4 dW
minimize E [ integral(0, T) (x^2 + 0.5*a^2) dt + 2*x(T)^2 ]
"""
STEPS, PATHS = 400, 40_000

solution = hjbdsl.loads(TEXT).solve()
generator = np.random.default_rng(1)


def realised_cost(gain: float) -> tuple[float, float]:
    """Mean cost and its standard error from x = 1 under `gain` times the optimal feedback, by Heun steps of the mean."""
    h = 1 / STEPS
    x, cost = np.ones(PATHS), np.zeros(PATHS)
    for step in range(STEPS):
        now = gain * solution.policy(t=step * h, x=x)["a"]
        moved = x + (0.3 * x + now) * h + 0.4 * np.sqrt(h) * generator.standard_normal(PATHS)
        then = gain * solution.policy(t=(step + 1) * h, x=moved)["a"]
        cost += h / 2 * (x**2 + 0.5 * now**2 + moved**2 + 0.5 * then**2)
        x = moved
    cost += 2 * x**2
    return float(cost.mean()), float(cost.std() / np.sqrt(PATHS))


value = solution(t=0.0, x=1.0)
print(f"V(0, 1) = {value:.5f}")
for gain in (1.0, 0.5, 1.5):
    mean, error = realised_cost(gain)
    print(f"feedback times {gain}: {mean:.5f} +- {2.6 * error:.5f}")

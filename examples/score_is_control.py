"""Sample from a mixture of two Gaussians by running its reversed diffusion under the optimal control, the score."""

from itertools import pairwise

import numpy as np

import hjbdsl

TEXT = """
problem two_bumps
param   T = 3
state   y in R
noise   W
dy = -y dt + sqrt(2) dW
data    y(0) ~ mixture(0.3: normal(-2, 0.1), 0.7: normal(1, 0.25))
reverse y on [0, T]
"""
STEPS, SAMPLES = 600, 20_000

solution = hjbdsl.loads(TEXT).solve()
generator = np.random.default_rng(0)
y = generator.standard_normal(SAMPLES)
times = 3.0 * (1 - (1 - np.linspace(0, 1, STEPS + 1)) ** 2)  # finer steps where the data is near
for now, then in pairwise(times):
    h = then - now
    u = solution.policy(t=now, y=y)["u"]
    u = u[..., 0] if u.ndim > 1 else u
    y = y + (y + np.sqrt(2) * u) * h + np.sqrt(2 * h) * generator.standard_normal(SAMPLES)

print(f"share of the left bump {np.mean(y < -0.8):.3f} (0.3 in the data)")
left, right = y[y < -0.8].mean(), y[y >= -0.8].mean()
print(f"mean {y.mean():+.3f} ({0.3 * -2 + 0.7 * 1:+.3f}), left bump {left:+.3f} (-2), right bump {right:+.3f} (+1)")

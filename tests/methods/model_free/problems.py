"""Problems with answers by hand, and exact transitions of theirs that owe nothing to the package's simulator."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hjbdsl import pipeline
from hjbdsl.methods.model_free import Transitions, transitions
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Array

REGULATOR = """
param alpha = {alpha}, beta = {beta}, q = {q}, ra = {ra}, sigma = {sigma}, rho = {rho}
state x in R
control a in R
noise W
dx = (alpha*x + beta*a) dt + sigma dW
{objective}
region x in [-2, 2]
"""


@dataclass(frozen=True)
class Regulator:
    """dx = (alpha x + beta a) dt + sigma dW, cost (q x^2 + ra a^2)/2; rho = 0 stands for the long-run average."""

    alpha: float = -0.5
    beta: float = 1.0
    q: float = 1.0
    ra: float = 0.1
    sigma: float = 0.3
    rho: float = 0.1

    @property
    def P(self) -> float:
        """rho P = q + 2 alpha P - beta^2 P^2/ra, the positive root."""
        drag = 2 * self.alpha - self.rho
        return self.ra * (drag + math.sqrt(drag**2 + 4 * self.beta**2 * self.q / self.ra)) / (2 * self.beta**2)

    @property
    def gain(self) -> float:
        return self.beta * self.P / self.ra

    @property
    def constant(self) -> float:
        """V(0) of the costs, or the long-run average where rho = 0."""
        return self.sigma**2 * self.P / 2 / (self.rho or 1.0)

    def equation(self, minimise: bool = False) -> HJBEquation:
        cost = "(q*x^2 + ra*a^2)/2"
        body = f"average {cost}" if self.rho == 0 else f"E integral(0, inf) exp(-rho*t)*{cost} dt"
        objective = f"minimize {body}" if minimise else f"maximize {body.replace(cost, f'(-{cost})')}"
        numbers = {name: getattr(self, name) for name in ("alpha", "beta", "q", "ra", "sigma", "rho")}
        text = REGULATOR.format(objective=objective, **numbers)
        if self.rho == 0:
            text = text.replace(", rho = 0.0", "").replace(", rho = 0", "")
        return pipeline.derive(pipeline.loads(text))

    def data(self, dt: float, count: int, seed: int, minimise: bool = False) -> Transitions:
        """Exact Ornstein-Uhlenbeck transitions under actions that know no state, in mirrored pairs."""
        random = np.random.default_rng(seed)
        x = np.repeat(random.uniform(-2.4, 2.4, count // 2), 2)
        a = np.repeat(random.normal(0, 3, count // 2), 2)
        noise = np.repeat(random.normal(size=count // 2), 2)
        noise[1::2] *= -1
        growth = math.exp(self.alpha * dt)
        spread = self.sigma * math.sqrt((growth**2 - 1) / (2 * self.alpha))
        cost = (self.q * x**2 + self.ra * a**2) / 2
        return transitions(
            dt, x, a, cost if minimise else -cost, x * growth + self.beta * a * (growth - 1) / self.alpha + spread * noise
        )


def evaluated(solution: object, x: Array, t: float = 0.0) -> tuple[Array, Array]:
    """V and the control at scalar states."""
    at = solution.function.evaluate(np.full(len(x), t), x[:, None], np.zeros(len(x), dtype=np.int64))  # type: ignore[attr-defined]
    return at.value, at.control[:, 0]


def relative(own: Array, other: Array) -> float:
    return float(np.sqrt(np.mean((own - other) ** 2) / np.mean(other**2)))

"""The problems of `benchmarks.grid`, as a user would write them, and how hjbdsl solves one on a mesh of given size."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from benchmarks.row import Array, Reference, Solve

PAIR = """problem income
param gamma = 2, rho = 0.05, r = 0.03
mode  z in {low, high}
rate  low -> high = 1.5, high -> low = 1
param y(z) = {low: 0.1, high: 0.2}
state   a >= -0.02
control c >= 0
da = (r*a + y(z) - c) dt
maximize E integral(0, inf) exp(-rho*t)*c^(1 - gamma)/(1 - gamma) dt
region a in [-0.02, 2]
"""
DIFFUSION = """problem income
param gamma = 2, rho = 0.05, r = 0.03
state   a in [0, 30], z in [0.5, 1.5]
control c >= 0
noise W
da = (r*a + z - c) dt
dz = 0.35*(1 - z) dt + 0.1 dW
maximize E integral(0, inf) exp(-rho*t)*c^(1 - gamma)/(1 - gamma) dt
boundary z = 0.5 : reflect
boundary z = 1.5 : reflect
region a in [0, 30], z in [0.5, 1.5]
"""
SQUARE = """problem square
state x in [-1, 1], y in [-1, 1]{third}
control u in [-1, 1], v in [-1, 1]{push}
noise W, B{noise}
dx = (-y + u) dt + {s} dW
dy = (x + v) dt + {s} dB
{motion}minimize E integral(0, inf) exp(-t)*({cost}) dt
{walls}region x in [-1, 1], y in [-1, 1]{box}
"""
FIRM = """problem firm "investment, liquidity and payout of a firm per unit of capital (Bolton, Chen, Wang 2011, case I)"
param r = 0.06, delta = 0.1007, mu = 0.18, sigma = 0.09, theta = 1.5, carry = 0.01, scrap = 0.9, fast = 100
state   w in R "cash"
control i in [-1, 0.15] "investment", c in [0, fast] "payout"
noise   W
dw = ((r - carry)*w + mu - i - theta*i^2/2 - (i - delta)*w - c) dt + sigma dW
exit tau when w <= 0
discount r + delta - i
maximize E [ integral(0, tau) c dt + scrap ]
region w in [0, {top}]
"""


def square(d: int, noise: float) -> str:
    walls = "".join(f"boundary {x} = {e} : reflect\n" for x in "xyz"[:d] for e in (-1, 1))
    extra = {"third": "", "push": "", "noise": "", "motion": "", "box": "", "cost": "x^2 + y^2 + 0.1*(u^2 + v^2)"}
    if d == 3:
        extra = {
            "third": ", z in [-1, 1]", "push": ", w in [-1, 1]", "noise": ", C", "motion": f"dz = (-z + w) dt + {noise} dC\n",
            "box": ", z in [-1, 1]", "cost": "x^2 + y^2 + z^2 + 0.1*(u^2 + v^2 + w^2)",
        }  # fmt: skip
    return SQUARE.format(s=noise, walls=walls, **extra)


_RUNNERS: dict[str, object] = {}


def ours(text: str, cells: tuple[int, ...]) -> Solve:
    """The whole solve on one mesh of `cells` cells an axis without padding, from nothing; coarser meshes are part of it."""

    def solve() -> tuple[Array, float, str]:
        from hjbdsl import pipeline  # noqa: PLC0415  the import is part of a cold start
        from hjbdsl.methods.grid.levels import Runner  # noqa: PLC0415
        from hjbdsl.methods.grid.mesh import build_axes  # noqa: PLC0415

        if text not in _RUNNERS:
            _RUNNERS[text] = Runner(pipeline.derive(pipeline.loads(text)), 0.0, math.inf)
        runner = _RUNNERS[text]
        axes = tuple(
            replace(axis, cells=(0, n, 0), widening=(0.0, 0.0), padded=(False, False))
            for axis, n in zip(build_axes(runner.equation, 0.01, 16), cells, strict=True)
        )
        solved = runner.level(axes, 1, None)
        return solved.level.V[0].squeeze(), 0.0, f"{solved.numbers['iterations']:.0f} policies, left {solved.residual:.0e}"

    return solve


def extrapolated(text: str, coarse: tuple[int, ...], order: int) -> Reference:
    """V on the mesh of `coarse` cells by Richardson's extrapolation from it and the one with twice the cells."""

    def reference() -> Array:
        first = ours(text, coarse)()[0]
        second = ours(text, tuple(2 * n for n in coarse))()[0]
        second = second[(..., *(slice(None, None, 2) for _ in coarse))]
        return second + (second - first) / (2.0**order - 1.0)

    return reference


def firm_exactly(scrap: float = 0.9) -> tuple[float, Array, Array]:
    """(payout boundary, w, V) of `FIRM` with payout at any rate, by shooting: V = (mu' + ...)/(r - i + delta) at the boundary,
    where V' = 1 and V'' = 0, to V(0) = scrap. Bolton, Chen, Wang (Journal of Finance 66, 2011), equations (13)-(17)."""
    from scipy.integrate import solve_ivp  # noqa: PLC0415
    from scipy.optimize import brentq  # noqa: PLC0415

    r, delta, mu, sigma, theta, carry = 0.06, 0.1007, 0.18, 0.09, 1.5, 0.01

    def slope(w: float, y: Array) -> list[float]:
        i = (y[0] / y[1] - w - 1.0) / theta
        flow = (r - carry) * w + mu - i - theta * i * i / 2.0
        return [y[1], 2.0 * (r * y[0] - (i - delta) * (y[0] - w * y[1]) - flow * y[1]) / sigma**2]

    def boundary_value(w: float) -> float:
        """r p = (i - delta)(p - w) + flow with i = (p - w - 1)/theta: the smaller root q = p - w of a quadratic."""
        b = r + delta + 1.0 / theta
        c = (r - carry) * w + mu - r * w + 1.0 / (2.0 * theta)
        return w + theta * (b - math.sqrt(b * b - 2.0 * c / theta))

    def path(top: float, dense: bool = False) -> object:
        return solve_ivp(slope, (top, 0.0), [boundary_value(top), 1.0], rtol=1e-11, atol=1e-13, dense_output=dense)

    top = brentq(lambda w: path(w).y[0, -1] - scrap, 0.1, 0.4, xtol=1e-13)
    w = np.linspace(0.0, top, 4001)
    return float(top), w, path(top, True).sol(w)[0]

"""Hand-written LaTeX of classic equations: what a person would write on the page."""

from __future__ import annotations

import pytest

from hjbdsl.frontend.load import loads_problem
from hjbdsl.symbolic.derive import derive

LQR = """problem lqr
param alpha = -0.5, beta = 1, q = 1, r_a = 0.1, sigma = 0.3, rho = 0.1
state x in R
control a in R
noise W
dx = (alpha*x + beta*a) dt + sigma dW
minimize E integral(0, inf) exp(-rho*t)*(q*x^2 + r_a*a^2) dt
"""
MERTON = """problem merton
param r = 0.03, mu = 0.08, sigma = 0.2, gamma = 2, rho = 0.05
state x > 0
control pi in R, c >= 0
noise W
dx = (r*x + pi*(mu - r)*x - c) dt + pi*sigma*x dW
maximize E integral(0, inf) exp(-rho*t)*c^(1 - gamma)/(1 - gamma) dt
"""
PUT = """problem put
param r = 0.04, sigma = 0.35, K = 45, T = 0.5
state x > 0
noise W
dx = r*x dt + sigma*x dW
stopping tau in [0, T]
maximize E exp(-r*tau)*max(K - x(tau), 0)
"""
LQG = """problem lqg
param n = 3, T = 1
param A : R^(n,n) = -eye(n), B : R^(n,2) = ones(n, 2), C : R^(n,2) = ones(n, 2)
state x in R^n
control u in R^2
noise W in R^2
dx = (A*x + B*u) dt + C dW
minimize E [ integral(0, T) (|x|^2 + |u|^2) dt + |x(T)|^2 ]
"""
HOPF_COLE = """problem hopf_cole
param sigma = 0.6, T = 1.2
state x in R^3
control u in R^3
noise W in R^3
dx = u dt + sigma dW
minimize E [ integral(0, T) |u|^2/2 dt + |x(T)|^2 ]
"""
WALL = """problem wall
param T = 1.5
state x in R, v in R
control a in [-1, 1]
dx = v dt
dv = a dt
maximize running_min(0, T) x
"""
GAME = """problem game
param k = 0.8, rho = 0.5
state x in R
control a in R
adversary b in R
noise W
dx = (a + k*b) dt + 0.3 dW
minimize E integral(0, inf) exp(-rho*t)*(x^2 + a^2 - 2*b^2) dt
"""
GOLDEN = [
    (LQR, r"\rho V = \min_{a} \left\{ q x^2 + r_a a^2 + (\alpha x + \beta a) V' + \tfrac12 \sigma^2 V'' \right\}",
     [r"a^* = -\frac{\beta V'}{2 r_a}"]),
    (MERTON, r"\rho V = \max_{\pi, c} \left\{ \frac{c^{1 - \gamma}}{1 - \gamma} + (r x + \pi (\mu - r) x - c) V'"
     r" + \tfrac12 \sigma^2 \pi^2 x^2 V'' \right\}",
     [r"\pi^* = -\frac{(\mu - r) V'}{\sigma^2 x V''}", r"c^* = (V')^{-1/\gamma}"]),
    (PUT, r"\max\left( \partial_t V + r x V_x + \tfrac12 \sigma^2 x^2 V_{xx} - r V,\; \max\left(0, K - x\right) - V \right)"
     r" = 0", []),
    (LQG, r"\partial_t V + \min_{u} \left\{ |x|^2 + |u|^2 + (A x + B u) \cdot \nabla V"
     r" + \tfrac12 \operatorname{tr}(C\,C^\top \nabla^2 V) \right\} = 0", None),
    (HOPF_COLE, r"\partial_t V + \min_{u} \left\{ \frac{|u|^2}{2} + u \cdot \nabla V + \tfrac12 \sigma^2 \Delta V \right\} = 0",
     [r"u^* = -\nabla V"]),
    (WALL, r"\min\left( \partial_t V + \max_{a} \left\{ v V_x + a V_v \right\},\; x - V \right) = 0",
     [r"a^* = \begin{cases} 1 & \text{if } V_v > 0 \\ -1 & \text{otherwise} \end{cases}"]),
    (GAME, r"\rho V = \min_{a} \max_{b} \left\{ x^2 + a^2 - 2 b^2 + (a + k b) V' + 0.045 V'' \right\}",
     [r"a^* = -\tfrac12 V'", r"b^* = \tfrac14 k V'"]),
]  # fmt: skip


def normal(latex):
    """Braces round single letters and spaces carry no meaning in TeX."""
    for letter in "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789":
        latex = latex.replace(f"_{{{letter}}}", f"_{letter}").replace(f"^{{{letter}}}", f"^{letter}")
    latex = latex.replace(" ", "").replace(r"\left", "").replace(r"\right", "")
    return latex.replace(r"\lVert", "|").replace(r"\rVert", "|")


@pytest.mark.parametrize(("source", "pde", "maximiser"), GOLDEN, ids=["lqr", "merton", "put", "lqg", "hopf_cole", "wall", "game"])
def test_written_as_on_paper(source, pde, maximiser):
    equation = derive(loads_problem(source))
    assert normal(equation.pde.latex) == normal(pde)
    if maximiser is not None:
        assert [normal(line.latex) for line in equation.maximiser] == [normal(line) for line in maximiser]

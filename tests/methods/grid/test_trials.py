"""Controls that scale the noise, without bound: where V is flat no formula holds, and vast controls make V straight."""

from __future__ import annotations

import numpy as np
import pytest

from hjbdsl.frontend.load import loads_problem
from hjbdsl.methods import grid
from hjbdsl.model.solution import Accepted
from hjbdsl.symbolic.derive import derive


def solved(text: str, **options: float):
    answer = grid.solve(derive(loads_problem(text)), options)
    assert isinstance(answer, Accepted)
    return answer.solution


def at(solution, x):
    x = np.asarray(x, float)
    return solution.function.evaluate(np.zeros(len(x)), x[:, None], np.zeros(len(x), np.int64))


@pytest.mark.slow
def test_reaching_a_goal_before_ruin():
    # Browne (1997): f = 2 c / mu, V = (1 - exp(-k x))/(1 - exp(-2 k)), k = mu^2/(2 sigma^2 c)
    mu, sigma, c = 0.3, 0.5, 0.1
    solution = solved(f"""
state x in [0, 2]
control f in R
noise W
dx = ({mu}*f - {c}) dt + {sigma}*f dW
exit tau when x <= 0 or x >= 2
maximize E [ if(x(tau) >= 2, 1, 0) ]
region x in [0.1, 1.9]
""")
    x, k = np.linspace(0.1, 1.9, 19), mu**2 / (2 * sigma**2 * c)
    found = at(solution, x)
    exact = (1 - np.exp(-k * x)) / (1 - np.exp(-2 * k))
    assert solution.status == "converged"
    assert np.all(np.abs(found.value - exact) <= found.error)
    assert found.error.max() < 1e-5
    assert found.control[:, 0] == pytest.approx(2 * c / mu, rel=1e-3)


@pytest.mark.slow
def test_a_borrowing_limit_takes_no_risk():
    # at x = 0 nothing may be risked, and near it little; far out the share in the stock tends to Merton's
    solution = solved("""
param r = 0.03, mu = 0.08, sigma = 0.2, gamma = 2, rho = 0.08, y = 0.5
state x in [0, inf)
control w in R
control c >= 0
noise W
dx = (r*x + w*(mu - r) - c + y) dt + w*sigma dW
maximize E integral(0, inf) exp(-rho*t)*c^(1-gamma)/(1-gamma) dt
region x in [0.5, 5]
""", nx=401)  # fmt: skip
    x = np.linspace(0.5, 5, 10)
    found = at(solution, x)
    assert solution.status == "converged"
    assert np.all(np.diff(found.control[:, 0]) > 0), "more wealth, more in the stock"
    assert np.all(np.diff(found.control[:, 1]) > 0), "more wealth, more consumed"
    # wealth with its income counts at most as much as x + y/r without a limit: Merton's value there is an upper bound
    m = 0.03 + 0.05**2 / (2 * 2 * 0.04)
    bound = ((0.08 + m) / 2) ** -2 * -1 / (x + 0.5 / 0.03)
    consumed = -1 / (0.08 * (0.03 * x + 0.5))
    assert np.all(found.value < bound + found.error)
    assert np.all(found.value > consumed - found.error), "consuming the income for ever is always possible"
    # the equation itself, put to the control found: c = V_x^(-1/gamma)
    assert found.control[:, 1] == pytest.approx(found.gradient[:, 0] ** -0.5, rel=0.03)


@pytest.mark.slow
@pytest.mark.parametrize(("r", "mu", "sigma", "rho"), [(0.0459, 0.09536, 0.2263, 0.03754), (0.03, 0.07, 0.2, 0.05)])
def test_no_debt_is_rolled_over_at_an_artificial_end(r: float, mu: float, sigma: float, rho: float) -> None:
    # Merton (1971), section 6: V = -exp(m - eta r x)/(eta r). Consumption beyond the end of the mesh would be free, and a policy
    # may be trapped where it takes no risk at one node
    eta = 2.0
    solution = solved(f"""
state x in R
control a in R, c in R
noise W
dx = ({r}*x + a*({mu} - {r}) - c) dt + a*{sigma} dW
maximize E integral(0, inf) exp(-{rho}*t)*(-exp(-{eta}*c)/{eta}) dt
region x in [-1, 3]
""")
    x = np.linspace(-1.0, 3.0, 9)
    found = at(solution, x)
    exact = -np.exp((r - rho - ((mu - r) / sigma) ** 2 / 2) / r - eta * r * x) / (eta * r)
    assert solution.status == "converged"
    assert np.all(np.abs(found.value - exact) <= found.error)
    np.testing.assert_allclose(found.value, exact, rtol=1e-2)
    np.testing.assert_allclose(found.control[:, 0], (mu - r) / (eta * r * sigma**2), rtol=2e-2)

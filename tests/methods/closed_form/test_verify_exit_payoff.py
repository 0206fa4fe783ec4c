"""Payoffs that jump at the very point of exit: their value there is the one in the exit set."""

from __future__ import annotations

import numpy as np
import pytest
from solving import point, solved


@pytest.mark.parametrize("payoff", ["indicator(x(tau) >= 2)", "if(x(tau) < 2, 0, 1)", "indicator(x(tau) > 0.3)"])
def test_the_chance_of_leaving_above(payoff):
    """The scale function of a drifting Brownian motion: (1 - exp(-k (x + 1)))/(1 - exp(-3 k)), k = 2 b/s^2."""
    solution = solved(
        f"""
state x in R
noise W
dx = 0.5 dt + 0.8 dW
exit tau when x <= -1 or x >= 2
evaluate E {payoff}
region x in [-1, 2]
""",
        "one-dimensional",
    )
    k = 2 * 0.5 / 0.8**2
    for x in (-0.9, 0.0, 1.7):
        assert point(solution, x)[0] == pytest.approx((1 - np.exp(-k * (x + 1))) / (1 - np.exp(-3 * k)), abs=1e-11)


def test_the_best_chance_of_leaving_above():
    solution = solved(
        """
state x in R
control u in [-1, 1]
noise W
dx = u dt + 0.5 dW
exit tau when x <= 0 or x >= 1
maximize E indicator(x(tau) >= 1)
region x in [0, 1]
""",
        "one-dimensional",
    )
    value, control = point(solution, 0.2)
    assert value == pytest.approx((1 - np.exp(-1.6)) / (1 - np.exp(-8.0)), abs=1e-11)
    assert control[0] == pytest.approx(1.0)

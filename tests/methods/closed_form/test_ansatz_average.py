"""Long-run averages on lattices and by mode. Oracles: stationary distributions of birth-and-death chains, optimised by scipy over
all stationary policies; weights of a two-state chain."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from solving import equation, solved

from hjbdsl.methods.closed_form.ansatz import propose
from hjbdsl.methods.closed_form.family import Proposal
from hjbdsl.methods.closed_form.verify import verify
from hjbdsl.model.solution import Evidence, Rejected


@pytest.mark.parametrize(("capacity", "arrivals", "effort"), [(5, 0.8, 0.5), (8, 0.3, 2.0)])
def test_queue_with_controlled_service(capacity, arrivals, effort):
    service = 1.2
    text = f"""problem queue
state n in {{{", ".join(map(str, range(capacity + 1)))}}}
control v in [0, 1]
jump A rate {arrivals}*indicator(n < {capacity})
jump S rate {service}*v*indicator(n > 0)
dn = 1 dA - 1 dS
minimize average n + {effort}*v^2
"""
    customers = np.arange(capacity + 1)

    def cost(v):
        odds = np.cumprod(np.append(1.0, arrivals / (service * v)))
        return float((odds / odds.sum()) @ (customers + effort * np.append(0, v) ** 2))

    best = minimize(cost, np.full(capacity, 0.7), bounds=[(1e-3, 1)] * capacity, options={"ftol": 1e-15, "gtol": 1e-10})
    solution = solved(text, "polynomial")
    assert solution.average == pytest.approx(best.fun, rel=1e-7)
    points = solution.function.evaluate(np.zeros(capacity), customers[1:, None].astype(float), np.zeros(capacity, dtype=np.int64))
    assert points.control[:, 0] == pytest.approx(best.x, abs=1e-3)
    origin = solution.function.evaluate(np.zeros(1), np.zeros((1, 1)), np.zeros(1, dtype=np.int64))
    assert origin.value[0] == pytest.approx(0.0, abs=1e-12)


TWO_MODES = """problem growth
mode z in {{good, bad}}
rate good -> bad = 0.5, bad -> good = {back}
param m(z) = {{good: 0.3, bad: -0.1}}
state y in R
control u in R
noise W
dy = (m(z) - 0.4*y) dt + 0.2 dW
maximize average y + u - u^2/2
region y in [-1, 1]
"""


def test_average_of_a_mean_that_switches():
    """E y in the long run is the mean of m over 0.4; u = 1 earns 1/2."""
    stated = equation(TWO_MODES.format(back=0.25))
    proposal = propose(stated)
    assert isinstance(proposal, Proposal)
    assert isinstance(verify(stated, proposal), Evidence)
    weight = 0.25 / 0.75
    assert proposal.average == pytest.approx((weight * 0.3 - (1 - weight) * 0.1) / 0.4 + 0.5, rel=1e-10)


def test_two_traps_have_no_common_average():
    text = """problem traps
state n in {0, 1, 2}
jump A rate indicator(n == 1)
jump S rate indicator(n == 1)
dn = 1 dA - 1 dS
evaluate average n
"""
    assert isinstance(propose(equation(text)), Rejected)

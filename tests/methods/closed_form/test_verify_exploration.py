"""Random policies: the Gibbs policy on finite sets, and controls that are not explored beside ones that are."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from hjbdsl.methods.closed_form import linear_quadratic
from hjbdsl.methods.closed_form.family import Derivatives, ExactFunction, Proposal
from hjbdsl.methods.closed_form.verify import verify
from hjbdsl.model.solution import Evidence, PointValues, Rejected
from tests.methods.closed_form.solving import equation

RHO, KAPPA, LAM = 0.5, 0.6, 0.3
BANDIT = f"""
state x in R
control d in {{-1, 0, 2}}
noise W
dx = -{KAPPA}*x dt + 0.4 dW
explore d with temperature {LAM}
maximize E integral(0, inf) exp(-{RHO}*t)*(0.4*d + x) dt
region x in [-1, 1]
"""
ARMS = np.array([-1.0, 0.0, 2.0])


@dataclass(frozen=True, slots=True)
class _Affine(ExactFunction):
    level: float
    slope: float
    mean: float
    spread: float

    def derivatives(self, t, x, mode) -> Derivatives:
        k = len(x)
        return Derivatives(self.level + self.slope * x[:, 0], np.zeros(k), np.full((k, 1), self.slope), np.zeros((k, 1, 1)))

    def evaluate(self, t, x, mode) -> PointValues:
        exact, k = self.derivatives(t, x, mode), len(x)
        control, spread = np.full((k, 1), self.mean), np.full((k, 1), self.spread)
        return PointValues(exact.value, np.zeros(k), exact.gradient, control, spread=spread)


def bandit(sign: float = 1.0) -> _Affine:
    """The soft maximum (sign 1) or minimum (-1) of 0.4 d by hand."""
    weights = np.exp(sign * 0.4 * ARMS / LAM)
    weights, soft = weights / weights.sum(), sign * LAM * np.log(weights.sum())
    mean = weights @ ARMS
    return _Affine(soft / RHO, 1 / (RHO + KAPPA), mean, np.sqrt(weights @ (ARMS - mean) ** 2))


@pytest.mark.parametrize(("sense", "sign"), [("maximize", 1.0), ("minimize", -1.0)])
def test_arms_drawn_softly(sense, sign) -> None:
    problem, right = equation(BANDIT.replace("maximize", sense)), bandit(sign)
    assert isinstance(verify(problem, Proposal("bandit", right)), Evidence)
    wrong = (
        (replace(right, level=right.level + 1e-7), "residual"),
        (replace(right, mean=right.mean + 1e-4), "mean"),
        (replace(right, spread=right.spread * 1.001), "spread"),
        (replace(right, mean=2.1), "leaves its set"),
        (bandit(-sign), ""),
        (replace(right, level=(0.8 if sign > 0 else -0.4) / RHO, mean=2.0 if sign > 0 else -1.0, spread=0.0), ""),
    )
    for lie, reason in wrong:
        refused = verify(problem, Proposal("bandit", lie))
        assert isinstance(refused, Rejected), lie
        assert reason in refused.reason


def test_arms_under_a_joint_constraint() -> None:
    # only two of the arms are admissible: the soft maximum is over them alone
    problem = equation(BANDIT.replace("noise W\n", "noise W\nsubject to d^2 <= 1\n"))
    assert isinstance(verify(problem, Proposal("bandit", bandit())), Rejected)


BESIDE = """
state x in R
control a in R
control b in R
noise W
dx = (-0.5*x + a + b) dt + 0.3 dW
explore a with temperature 0.3
minimize E integral(0, inf) exp(-0.1*t)*(x^2 + 0.2*a^2 + {}) dt
"""


@pytest.mark.parametrize("cost", ["0.3*b^2", "0.3*b^2 + 0.1*a*b"])
def test_a_control_that_is_not_explored_is_still_the_optimum(cost) -> None:
    problem = equation(BESIDE.format(cost))
    answer = linear_quadratic.propose(problem)
    assert isinstance(answer, Proposal)
    evidence = verify(problem, answer)
    assert isinstance(evidence, Evidence), evidence
    assert "largest_gain" in evidence.numbers

"""Admissible stakes by the support of the mark's law, against what is known of 1 + f*Y > 0."""

from __future__ import annotations

import numpy as np
import pytest

from hjbdsl.frontend.load import loads_problem
from hjbdsl.numeric.control_set import ControlRegion
from hjbdsl.numeric.landing import landings


def problem(law: str, displacement: str, stake: str = "R", rate: str = "0.5"):
    return loads_problem(f"""problem m
state w > 0
control f in {stake}, c >= 0
jump N rate {rate} mark J ~ {law}
dw = (0.02 + 0.01*f - c)*w dt + {displacement} dN
maximize E integral(0, inf) exp(-0.06*t)*(-1/(c*w)) dt
""")


@pytest.mark.parametrize(
    ("law", "displacement", "stake", "low", "high"),
    [
        ("{-0.6: 0.3, 0.4: 0.7}", "f*J*w", "R", -2.5, 1 / 0.6),
        ("uniform(-0.4, 0.8)", "f*J*w", "R", -1.25, 2.5),
        ("exponential(3)", "f*J*w", "R", 0, np.inf),
        ("exponential(3)", "-f*J*w", "[-2, 2]", -2, 0),
        ("normal(0.1, 0.04)", "f*J*w", "[-1, 2]", 0, 0),
        ("normal(0.1, 0.04)", "f*(exp(J) - 1)*w", "R", 0, 1),
        ("normal(0.1, 0.04)", "f*(1 - exp(J))*w", "R", -1, 0),
        ("exponential(2)", "f*(exp(-J) - 1)*w", "[-3, 3]", -3, 1),
    ],
)
def test_interval_of_stakes(law, displacement, stake, low, high):
    stated = problem(law, displacement, stake)
    (w,) = stated.state_symbols
    found = ControlRegion(stated).at({w: np.array([0.3, 2.0])}, 2)
    assert found.lower[:, 0] == pytest.approx([low, low])
    assert found.upper[:, 0] == pytest.approx([high, high])
    assert found.normals.shape == (2, 0, 2)


def test_a_fixed_stake_that_may_ruin_leaves_no_control():
    stated = problem("normal(0.1, 0.04)", "f*J*w", "[0.25, 1]")
    (w,) = stated.state_symbols
    found = ControlRegion(stated).at({w: np.ones(1)}, 1)
    assert found.lower[0, 0] > found.upper[0, 0]


def test_a_mark_that_enters_twice_is_not_guessed_at():
    with pytest.raises(ValueError, match="more than one way"):
        landings(problem("normal(0, 1)", "f*(J + J^2)*w"))
    with pytest.raises(ValueError, match="monotone"):
        landings(problem("normal(0, 1)", "f*J^2*w"))

"""The threshold between finite and infinite values of a stationary problem: told by the constrained growth, near it too."""

from __future__ import annotations

import numpy as np
import pytest
from solving import point, solved

from hjbdsl.errors import HjbError


@pytest.mark.parametrize("discount", [0.0225, 0.0198, 0.0197])
def test_the_bound_on_the_stake_makes_the_value_finite(discount):
    """gamma = 1/2: without the bound infinite below rho = 0.0239; with f <= 1/2 the growth is M = 0.039375 and k = 2 rho - M."""
    text = f"""problem m
state w > 0
control f in [0, 0.5], C >= 0
noise B
dw = ((0.02 + f*0.05)*w - C) dt + f*0.3*w dB
maximize E integral(0, inf) exp(-{discount}*t)*2*sqrt(C) dt
"""
    k = (discount - 0.5 * (0.02 + 0.025 - 0.5 * 0.5 * 0.25 * 0.09)) / 0.5
    value, controls = point(solved(text, "power"), 2.0)
    assert value == pytest.approx(2 * np.sqrt(2) * k**-0.5, rel=1e-8)
    assert controls == pytest.approx([0.5, 2 * k])


def test_below_the_threshold_of_the_bounded_stake_the_value_is_infinite():
    text = """problem m
state w > 0
control f in [0, 0.5], C >= 0
noise B
dw = ((0.02 + f*0.05)*w - C) dt + f*0.3*w dB
maximize E integral(0, inf) exp(-0.0196*t)*2*sqrt(C) dt
"""
    with pytest.raises(HjbError, match="HJB120"):
        solved(text, "power")

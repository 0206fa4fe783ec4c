"""Random policies whose Gibbs law has a closed form: the soft optimum is a Hamiltonian without a choice.

Oracles are hand calculations: the soft maximum lam log(sum exp(H/lam)) over arms, and for logarithmic utility
r + m^2/(2 s^2) + lam/2 log(2 pi lam/s^2) a unit of time, since V_ww = -1/w^2.
"""

from __future__ import annotations

import numpy as np
import pytest
from solving import point, solved


def test_softest_of_four_arms_with_a_signal():
    text = """problem arms
param lam = 0.7
state y in R
control k in {0, 1, 2, 5}
noise W
dy = (0.3 - 0.2*y) dt + 0.4 dW
explore k with temperature lam
minimize E integral(0, inf) exp(-0.3*t)*(0.5*(k - 1.5)^2 - 2*y) dt
region y in [-1, 1]
"""
    arms = np.array([0.0, 1, 2, 5])
    weight = np.exp(-0.5 * (arms - 1.5) ** 2 / 0.7)
    soft = -0.7 * np.log(weight.sum())
    solution = solved(text, "polynomial")
    value, controls = point(solution, 0.4)
    slope = -2 / 0.5
    assert value == pytest.approx(slope * 0.4 + (soft + 0.3 * slope) / 0.3, rel=1e-10)
    mean = float(weight @ arms / weight.sum())
    assert controls[0] == pytest.approx(mean, rel=1e-12)
    found = solution.function.evaluate(np.zeros(1), np.array([[0.4]]), np.zeros(1, dtype=np.int64))
    assert found.spread[0, 0] == pytest.approx(np.sqrt(weight @ (arms - mean) ** 2 / weight.sum()), rel=1e-12)


def test_logarithmic_investor_who_explores():
    text = """problem m
state w > 0
control f in R
noise B
dw = (0.02*w + f*0.05*w) dt + f*0.3*w dB
explore f with temperature 0.02
maximize E log(w(2))
"""
    growth = 0.02 + 0.05**2 / (2 * 0.09) + (0.01 * np.log(2 * np.pi * 0.02 / 0.09))
    solution = solved(text, "logarithm")
    value, controls = point(solution, 1.5)
    assert value == pytest.approx(np.log(1.5) + 2 * growth, rel=1e-10)
    assert controls[0] == pytest.approx(0.05 / 0.09)
    found = solution.function.evaluate(np.zeros(1), np.array([[1.5]]), np.zeros(1, dtype=np.int64))
    assert found.spread[0, 0] == pytest.approx(np.sqrt(0.02 / 0.09), rel=1e-10)

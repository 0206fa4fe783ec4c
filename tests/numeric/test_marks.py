"""Quadrature of mark laws against moments known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp

from hjbdsl.model.problem import MarkLaw
from hjbdsl.numeric.marks import doubling_error, mark_quadrature, mark_support

R = sp.Rational


@pytest.mark.parametrize(
    ("law", "function", "expected"),
    [
        (MarkLaw("normal", (R(-1, 10), R(9, 400))), np.exp, np.exp(-0.1 + 0.0225 / 2)),
        (MarkLaw("normal", (R(2), R(4))), lambda j: j**4, 2**4 + 6 * 4 * 4 + 3 * 16),
        (MarkLaw("exponential", (R(3),)), lambda j: j**3, 6 / 27),
        (MarkLaw("exponential", (R(3),)), lambda j: np.exp(-2 * j), 3 / 5),
        (MarkLaw("uniform", (R(-1), R(2))), np.cos, (np.sin(2) + np.sin(1)) / 3),
        (MarkLaw("discrete", (), ((R(-1, 5), R(7, 10)), (R(3, 20), R(3, 10)))), np.square, 0.7 * 0.04 + 0.3 * 0.0225),
        (MarkLaw("none"), lambda j: 1 + 0 * j, 1.0),
    ],
)
def test_expectations(law, function, expected):
    quadrature = mark_quadrature(law, {})
    assert quadrature.weights.sum() == pytest.approx(1, abs=1e-13)
    assert quadrature.expectation(function(quadrature.nodes)) == pytest.approx(expected, rel=1e-12)


def test_arguments_take_the_numbers_of_parameters():
    m, v = sp.symbols("m v", real=True)
    quadrature = mark_quadrature(MarkLaw("normal", (m, v)), {m: R(1, 2), v: R(1, 4)})
    assert quadrature.expectation(quadrature.nodes) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="depends on v"):
        mark_quadrature(MarkLaw("normal", (m, v)), {m: R(1, 2)})


def test_doubling_sees_a_kink_and_trusts_a_sum():
    def kinked(quadrature):
        return quadrature.expectation(np.abs(quadrature.nodes - 0.3))

    assert doubling_error(kinked, MarkLaw("uniform", (R(-1), R(1))), {}, 16) > 1e-5
    assert doubling_error(kinked, MarkLaw("discrete", (), ((R(0), R(1)),)), {}, 16) == 0.0


@pytest.mark.parametrize(
    "law",
    [
        MarkLaw("normal", (R(0), R(-1))),
        MarkLaw("exponential", (R(0),)),
        MarkLaw("uniform", (R(1), R(0))),
        MarkLaw("discrete", (), ((R(0), R(1, 2)),)),
    ],
)
def test_what_is_no_law_is_refused(law):
    with pytest.raises(ValueError, match=r"must|wrong order"):
        mark_quadrature(law, {})


@pytest.mark.parametrize(
    ("law", "low", "high"),
    [
        (MarkLaw("normal", (sp.S.Half, sp.S.One)), -np.inf, np.inf),
        (MarkLaw("normal", (sp.S.Half, sp.S.Zero)), 0.5, 0.5),
        (MarkLaw("exponential", (sp.Integer(3),)), 0.0, np.inf),
        (MarkLaw("uniform", (sp.Integer(-1), sp.Integer(2))), -1.0, 2.0),
        (MarkLaw("discrete", (), ((sp.Integer(4), sp.S.One), (sp.Integer(9), sp.S.Zero))), 4.0, 4.0),
    ],
)
def test_support_of_a_law(law, low, high):
    support = mark_support(law, {})
    assert (support.low, support.high) == (low, high)

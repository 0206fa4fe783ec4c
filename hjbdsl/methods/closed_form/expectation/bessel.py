"""log(0F1(; b; x)/Gamma(b)) for x >= 0: the Bessel factor of the noncentral chi-square density, at any order.

0F1(; b; x)/Gamma(b) = x^((1 - b)/2) I_{b-1}(2 sqrt(x)). A power series for small x, scipy's scaled I for orders below 40, Debye's
uniform expansion above (Abramowitz and Stegun 9.7.7), whose polynomials are made by their recurrence 9.3.10.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.polynomial import Polynomial

from hjbdsl.model.solution import Array

_DEBYE_FROM = 40.0
_DEBYE_TERMS = 9


def log_bessel_series(b: float, x: Array) -> Array:
    """log(0F1(; b; x)/Gamma(b)), relative error of 0F1 about 1e-14 times its logarithm."""
    from scipy.special import ive  # noqa: PLC0415  slow to import, and few payoffs are radial

    x = np.asarray(x, dtype=np.float64)
    result = np.empty(x.shape)
    small = x <= b
    result[small] = _power_series(b, x[small])
    large = ~small
    root = 2 * np.sqrt(x[large])
    order = b - 1
    logarithm = np.log(ive(order, root)) + root if order < _DEBYE_FROM else _debye(order, root)
    result[large] = logarithm - order * np.log(root / 2)
    return result


def _power_series(b: float, x: Array) -> Array:
    total, term = np.ones(x.shape), np.ones(x.shape)
    for k in range(1, 40):
        term = term * x / (k * (b + k - 1))
        total += term
    return np.log(total) - math.lgamma(b)


def _debye(order: float, y: Array) -> Array:
    """log I_order(y)."""
    z = y / order
    root = np.sqrt(1 + z**2)
    exponent = order * (root + np.log(z) - np.log1p(root))
    p = 1 / root
    series = sum(polynomial(p) / order**k for k, polynomial in enumerate(_debye_polynomials()))
    return exponent - np.log(2 * np.pi * order) / 2 - np.log1p(z**2) / 4 + np.log(series)


@lru_cache(maxsize=1)
def _debye_polynomials() -> tuple[Polynomial, ...]:
    p = Polynomial([0, 1])
    result = [Polynomial([1.0])]
    for _ in range(_DEBYE_TERMS):
        last = result[-1]
        result.append(p**2 * (1 - p**2) * last.deriv() / 2 + ((1 - 5 * p**2) * last).integ() / 8)
    return tuple(result)

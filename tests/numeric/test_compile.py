"""compile_expressions against mpmath evaluation of the same sympy expression."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import sympy as sp

from hjbdsl.numeric.compile import UnsupportedExpression, compile_expressions, compile_precise

x = sp.Symbol("x[1]", real=True)
y = sp.Symbol("lambda", positive=True)
X = np.array([-1.7, -0.3, 0.4, 2.1])
Y = np.array([0.2, 1.3, 2.4, 3.1])

EXPRESSIONS = [
    x**2 + sp.Rational(1, 10) * y,
    sp.sqrt(y) / y ** sp.Rational(7, 3),
    sp.exp(-x) * sp.sin(x) + sp.log(y),
    sp.Abs(x) + sp.sign(x),
    sp.Min(x, y, 1) + sp.Max(x, -y),
    sp.erfc(-x / sp.sqrt(2)) / 2 + sp.erf(y),
    sp.gamma(y) + sp.loggamma(y) + sp.uppergamma(y, 2) + sp.lowergamma(y, 2),
    sp.Piecewise((1 / x, x > 1), (sp.sqrt(-x), x < 0), (7, True)),
    sp.Piecewise((1, sp.And(x > 0, y < 3)), (0, True)),
    sp.atan2(x, y) + sp.tanh(x) + sp.asinh(x),
    sp.besselk(sp.Rational(1, 3), y) + sp.besseli(1, y),
    sp.LambertW(y) + sp.hyper([1], [sp.Rational(3, 2)], x),
    sp.pi * x + sp.E,
    y**x,
    sp.Integer(3) ** 80 * x,
    sp.Integer(5),
    sp.polygamma(0, y) + sp.Mod(x, 1),
]


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=str)
def test_matches_sympy(expression: sp.Expr) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (values,) = compile_expressions((x, y), (expression,))(X, Y)
    expected = [float(expression.subs({x: sp.Float(a, 30), y: sp.Float(b, 30)}).evalf(20)) for a, b in zip(X, Y, strict=True)]
    np.testing.assert_allclose(values, expected, rtol=1e-12)


def test_broadcasts_and_returns_own_arrays() -> None:
    first, second = compile_expressions((x, y), (x + y, sp.Integer(2)))(X[:, None], Y[None, :])
    assert first.shape == second.shape == (4, 4)
    assert first.dtype == np.float64
    assert (second == 2).all()


def test_no_argument_is_a_number() -> None:
    (value,) = compile_expressions((), (sp.Rational(1, 3),))()
    assert value.shape == ()
    assert value == 1 / 3


def test_thousands_of_terms() -> None:
    symbols = sp.symbols("x1:3001", real=True)
    (value,) = compile_expressions(symbols, (sp.Add(*(s**2 for s in symbols)),))(*np.ones(3000))
    assert value == 3000


def test_impossible_values_are_silent() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (value,) = compile_expressions((x,), (sp.log(x) + sp.sqrt(x),))(np.array([-1.0, 4.0]))
    assert np.isnan(value[0])
    assert value[1] == pytest.approx(np.log(4) + 2)


def test_refuses_what_it_cannot_do() -> None:
    with pytest.raises(UnsupportedExpression, match="Derivative"):
        compile_expressions((x,), (sp.Derivative(sp.Function("f")(x), x),))
    with pytest.raises(ValueError, match="lambda"):
        compile_expressions((x,), (x + y,))


def test_precise() -> None:
    (value,) = compile_precise((x,), (sp.exp(x),), 40)(sp.Rational(1, 3))
    assert abs(value - sp.exp(sp.Rational(1, 3)).evalf(40)) < 1e-38


@pytest.mark.slow
def test_wide_quadratic_forms() -> None:
    random = np.random.default_rng(0)
    n = 40
    symbols = sp.symbols(f"x1:{n + 1}", real=True)
    matrix = random.integers(-9, 9, (n, n))
    form = sum(int(matrix[i, j]) * symbols[i] * symbols[j] for i in range(n) for j in range(n))
    rows = [sum(int(matrix[i, j]) * symbols[j] for j in range(n)) + sp.exp(symbols[0]) for i in range(n)]
    points = random.normal(size=(n, 5))
    values = compile_expressions(symbols, [form, sp.sin(form) + 1, *rows])(*points)
    expected = np.einsum("ik,ij,jk->k", points, matrix, points)
    np.testing.assert_allclose(values[0], expected, rtol=1e-12)
    np.testing.assert_allclose(values[1], np.sin(expected) + 1, atol=1e-10)
    np.testing.assert_allclose(values[2:], matrix @ points + np.exp(points[0]), rtol=1e-11)

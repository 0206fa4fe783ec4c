"""The algebra of arrays against numpy, and what shape errors say."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from hjbdsl.frontend import shapes
from hjbdsl.frontend.shapes import Array
from tests.frontend.lowering import lowered, mistakes, only_mistake, place
from tests.work import counted

numbers = st.integers(-5, 5)


def array(rows: int, columns: int | None, entries: list[int]) -> Array:
    shape = (rows,) if columns is None else (rows, columns)
    return Array(shape, tuple(sp.Integer(e) for e in entries[: rows * (columns or 1)]))


def as_numpy(value: Array) -> np.ndarray:
    return np.array([float(e) for e in value.entries]).reshape(value.shape)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 4), st.lists(numbers, min_size=32, max_size=32))
def test_products_agree_with_numpy(rows: int, inner: int, columns: int, entries: list[int]) -> None:
    left, right = array(rows, inner, entries[:16]), array(inner, columns, entries[16:])
    product = as_numpy(shapes.product(left, right))
    assert np.allclose(product.ravel(), (as_numpy(left) @ as_numpy(right)).ravel())
    vector = array(inner, None, entries[16:])
    assert np.allclose(as_numpy(shapes.product(left, vector)).ravel(), as_numpy(left) @ as_numpy(vector))
    assert np.allclose(as_numpy(shapes.transpose(left)).ravel(), as_numpy(left).T.ravel())


def test_rows_columns_and_outer_products() -> None:
    v = Array((3,), tuple(map(sp.Integer, (1, 2, 3))))
    assert shapes.product(shapes.transpose(v), v) == shapes.scalar(sp.Integer(14))
    assert np.allclose(as_numpy(shapes.product(v, shapes.transpose(v))), np.outer([1, 2, 3], [1, 2, 3]))
    assert shapes.norm(v).entries[0] == sp.sqrt(14)
    with pytest.raises(shapes.ShapeMismatch):
        shapes.product(v, v)
    with pytest.raises(shapes.ShapeMismatch):
        shapes.add([v, shapes.scalar(sp.Integer(1))])


MATRICES = (
    "param n = 3, k = 0.5",
    "param A : R^(n,n) = diag(-1, n) + k*ones(n, n)/n, d : R^n = [1, 2, 3], C : R^(n,n) = d*d' + eye(n)",
    "param B : R^(n,2) = [[if(i == 2*j - 1, 1, 0) for j in 1..2] for i in 1..n]",
    "state x in R^n",
    "control u in R^2",
    "noise W in R^n, Z",
)


def test_vector_notation_means_what_numpy_says() -> None:
    problem = lowered(
        *MATRICES,
        "dx = (A*x + B*u - 2*d/k) dt + C dW + x dZ",
        "minimize E [ integral(0, 1) (x'*C*x + |u|^2 + dot(d, x) + norm(x - d)^2 + sum(x[i]^3 for i in 1..n)) dt + |x(1) - d| ]",
    )
    A = -np.eye(3) + 0.5 * np.ones((3, 3)) / 3
    B = np.array([[1, 0], [0, 0], [0, 1]])
    d = np.array([1.0, 2, 3])
    C = np.outer(d, d) + np.eye(3)
    x, u = np.array([0.3, -0.7, 1.1]), np.array([0.2, -0.4])
    table = {s: sp.Float(v) for s, v in zip((*problem.state_symbols, *problem.control_symbols), (*x, *u), strict=True)}

    def number(expression: sp.Basic) -> float:
        return float(problem.numeric(expression).xreplace(table))

    assert np.allclose([number(b) for b in problem.drift], A @ x + B @ u - 2 * d / 0.5)
    sigma = np.zeros((3, 4))
    for (i, k), entry in problem.diffusion.items():
        sigma[i, k] = number(entry)
    assert np.allclose(sigma, np.column_stack([C, x]))
    running = x @ C @ x + u @ u + d @ x + (x - d) @ (x - d) + (x**3).sum()
    assert number(problem.objective.running) == pytest.approx(running)
    assert number(problem.objective.terminal) == pytest.approx(float(np.linalg.norm(x - d)))


def test_noise_coefficients() -> None:
    row = lowered("param S : R^(2,2) = [[1, 2], [0, 3]]", "state x > 0", "control w in R^2", "noise W in R^2",
                  "dx = x dt + x*w'*S dW", "maximize E log(x(1))")  # fmt: skip
    x, (w1, w2) = row.state_symbols[0], row.control_symbols
    assert sp.expand(row.diffusion[0, 0] - x * w1) == 0
    assert sp.expand(row.diffusion[0, 1] - x * (2 * w1 + 3 * w2)) == 0
    diagonal = lowered("state x in R^2", "noise W in R^2", "dx = diag([1, 2]) dW - 3 dW", "evaluate E |x(1)|^2")
    assert diagonal.diffusion == {(0, 0): -2, (1, 1): -1}


@pytest.mark.parametrize(
    ("line", "column", "words"),
    [
        ("dx = (A*x + B*[1, 2, 3]) dt", 13, ["3x2", "3x1"]),
        ("dx = (A*x + k) dt", 13, ["a scalar", "ones(3)"]),
        ("dx = x dt + d dW", 13, ["diag(d)"]),
        ("dx = x dt + 2 dZ", 13, ["identity"]),
        ("dx = exp(x) dt", 6, ["exp(x[i])"]),
        ("dx = x^2 dt", 6, ["|x|^2"]),
        ("dx = d*x dt", 6, ["d'*x"]),
        ("dx = x[4]*x dt", 8, ["1 to 3"]),
        ("dx = ones(2) dt", 6, ["2x1", "3x1"]),
    ],
)
def test_shape_errors_name_the_operands(line: str, column: int, words: list[str]) -> None:
    found = only_mistake(*MATRICES, line, "minimize E integral(0, 1) |u|^2 dt")
    assert place(found) == (7, column)
    for word in words:
        assert word in found.message + found.help


def test_the_culprit_is_the_term_that_does_not_fit_the_state() -> None:
    found = mistakes("param B : R^(3,1) = [[0], [1], [0]]", "state x in R^2", "control u in R^1",
                     "dx = (B*u + x) dt", "minimize integral(0, 1) |x|^2 dt")  # fmt: skip
    assert place(found[0]) == (4, 7)
    assert "`B` is 3x1" in found[0].message


def test_fifty_coupled_states_lower_quickly() -> None:
    lines = (
        "param n = 50",
        "param A : R^(n,n) = [[1/(i + j) for j in 1..n] for i in 1..n]",
        "state x in R^n",
        "control u in R^n",
        "noise W in R^n",
        "dx = (A*x + u) dt + A dW",
        "minimize E [ integral(0, 1) (x'*A*x + |u|^2) dt + x(1)'*A*x(1) ]",
    )
    work, _ = counted(lambda: lowered(*lines))
    assert work < 15_000_000

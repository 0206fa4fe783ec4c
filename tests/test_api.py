"""The library from Python: the names of the contract, called the way a notebook calls them."""

from __future__ import annotations

import json

import numpy as np
import pytest

import hjbdsl

REGULATOR = """\
problem regulator
param q = 4, r = 1
state x in R
control a in R
dx = a dt
minimize integral(0, inf) (q*x^2 + r*a^2) dt
region x in [-2, 2]
check V = sqrt(q*r)*x^2
"""
PLANE = """\
param T = 1
state X in R^2
control u in R^2
dX = u dt
minimize integral(0, T) |u|^2 dt + |X(T)|^2
region X in [-1, 1]
"""


@pytest.fixture(autouse=True)
def own_shelf(tmp_path, monkeypatch):
    monkeypatch.setenv("HJBDSL_CACHE", str(tmp_path / "shelf"))


@pytest.fixture(scope="module")
def solution():
    return hjbdsl.loads(REGULATOR).solve()


@pytest.fixture(scope="module")
def plane():
    """V = |x|^2/(2 - t), u = -x/(2 - t): the Riccati equation p' = p^2, p(1) = 1."""
    return hjbdsl.loads(PLANE).solve()


def test_every_public_name_is_there():
    assert all(getattr(hjbdsl, name) is not None for name in hjbdsl.__all__)
    assert set(hjbdsl.__all__) <= set(dir(hjbdsl))
    with pytest.raises(AttributeError):
        _ = hjbdsl.nonsense


def test_value_policy_and_gradient_at_a_point(solution):
    assert solution(x=1.5) == pytest.approx(2 * 1.5**2)
    assert solution.policy(x=1.5) == {"a": pytest.approx(-3)}
    assert solution.gradient(x=1.5) == {"x": pytest.approx(6)}
    assert 0 <= solution.error(x=1.5) < 1e-6
    assert isinstance(solution(x=1.5), float)
    assert (solution.method, solution.status) == ("closed_form", "proved")
    assert [check.passed for check in solution.checks] == [True]


def test_arrays_go_in_and_come_out(solution):
    grid = np.linspace(-2, 2, 12).reshape(3, 4)
    assert solution(x=grid) == pytest.approx(2 * grid**2)
    assert solution.policy(x=grid)["a"].shape == (3, 4)


def test_vectors_take_their_components_along_the_last_axis(plane):
    assert plane(X=[0.6, 0.8], t=0.5) == pytest.approx(1 / 1.5)
    assert plane.policy(X=[0.6, 0.8], t=0)["u"] == pytest.approx([-0.3, -0.4])
    many = np.random.default_rng(0).uniform(-1, 1, (5, 2))
    times = np.linspace(0, 1, 5)
    assert plane(X=many, t=times) == pytest.approx((many**2).sum(axis=1) / (2 - times))
    assert plane(X=[0.6, 0.8], t=times).shape == (5,)


@pytest.mark.parametrize(
    "point", [{}, {"y": 1.0}, {"x": "one"}, {"x": [[1.0], [float("nan")]]}, {"x": np.ones(3), "t": np.ones(4)}]
)
def test_a_wrong_point_is_a_usage_error(solution, point):
    with pytest.raises(hjbdsl.UsageError):
        solution(**point)


@pytest.mark.parametrize("value", [9, 9.0, "9", "3^2", np.float64(9)])
def test_overrides_are_numbers_or_text(value):
    assert hjbdsl.loads(REGULATOR, q=value).solve()(x=1) == pytest.approx(3)


def test_the_equation_shows_itself():
    equation = hjbdsl.loads(REGULATOR).hjb
    assert "V" in str(equation)
    assert equation._repr_latex_().startswith("$")
    assert "<" in equation._repr_html_()
    assert len(equation.text(steps=True)) > len(equation.text())


def test_files_and_shortcuts(tmp_path):
    path = tmp_path / "regulator.hjb"
    path.write_text(REGULATOR)
    assert hjbdsl.load(path, q=16).solve()(x=1) == pytest.approx(4)
    assert hjbdsl.solve(str(path))(x=1) == pytest.approx(2)
    assert "V" in str(hjbdsl.derive(str(path)))


def test_the_result_object(solution):
    assert json.loads(json.dumps(solution.to_json(), allow_nan=False))["schema"] == "hjb.result/1"


def test_mistakes_are_errors_of_the_library():
    with pytest.raises(hjbdsl.HjbError) as caught:
        hjbdsl.loads(REGULATOR.replace("q*x^2", "qq*x^2"))
    assert caught.value.diagnostics[0].span.line == 6
    with pytest.raises(hjbdsl.UsageError):
        hjbdsl.loads(REGULATOR, nobody=3)
    with pytest.raises(hjbdsl.UsageError):
        hjbdsl.loads(REGULATOR).solve(method="magic")


def test_a_lesson_answers_like_any_solution():
    regulator = hjbdsl.loads(REGULATOR.replace("(q*x^2", "exp(-0.5*t)*(q*x^2").split("check")[0])
    learned, exact = regulator.learn(0.1, steps=6000), regulator.solve()
    assert learned.method == "model_free"
    assert abs(learned(x=1.0) - exact(x=1.0)) <= learned.error(x=1.0)
    assert learned.policy(x=1.0)["a"] == pytest.approx(exact.policy(x=1.0)["a"], rel=0.02)


@pytest.mark.parametrize("options", [{"stepz": 1}, {"algorithm": "sarsa"}, {"steps": 1}, {"dt": -1.0}])
def test_what_a_lesson_cannot_be_is_said(options):
    with pytest.raises(hjbdsl.errors.UsageError):
        hjbdsl.loads(REGULATOR).learn(**{"dt": 0.1, **options})

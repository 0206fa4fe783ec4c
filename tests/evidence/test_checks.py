"""The judge must be right before anything that it judges: every kind of check, against functions known exactly."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from hjbdsl.evidence.checks import run_check, run_checks
from hjbdsl.model.problem import TIME, Bounds, ExitRule, ModeParameter

from .hand_made import SPAN, Given, chain, check, group, problem, solution

X = group("x").symbols[0]
SQUARE = solution(Given(lambda t, x, m: x[:, 0] ** 2, lambda t, x, m: -2 * x))


def judge(a_problem, a_check, a_solution=SQUARE, stationary=True):
    return run_check(a_problem, a_solution, stationary, a_check)


def test_a_formula_that_holds_everywhere_passes():
    result = judge(problem(), check("V", [X**2]))
    assert result.passed
    assert result.max_error < 1e-15
    assert result.samples > 20


@pytest.mark.parametrize("corner", [-1.0, 1.0])
def test_a_formula_is_compared_at_the_very_corners_of_the_region(corner):
    wrong_at_corner = solution(Given(lambda t, x, m: x[:, 0] ** 2 + 0.5 * (x[:, 0] == corner)))
    result = judge(problem(), check("V", [X**2]), wrong_at_corner)
    assert not result.passed
    assert result.max_error == pytest.approx(0.5)


def test_a_formula_is_compared_over_all_of_time_unless_time_is_stated():
    grows = solution(Given(lambda t, x, m: t))
    everywhere = judge(problem(end=2), check("V", [0]), grows, stationary=False)
    at_the_start = judge(problem(end=2), check("V", [0], {TIME: 0}), grows, stationary=False)
    assert everywhere.max_error == pytest.approx(2)
    assert at_the_start.passed


def test_a_point_is_one_sample():
    result = judge(problem(), check("V", [sp.Rational(1, 4)], {X: sp.Rational(1, 2)}))
    assert (result.passed, result.samples) == (True, 1)


def test_the_tolerance_is_absolute_and_inclusive():
    off = check("V", [sp.Rational(1, 4)], {X: 1}, tolerance=0.75)
    assert judge(problem(), off).passed
    assert not judge(problem(), replace(off, tolerance=0.749)).passed


def test_not_a_number_fails():
    nothing = solution(Given(lambda t, x, m: np.full(len(t), math.nan)))
    result = judge(problem(), check("V", [X**2]), nothing)
    assert not result.passed
    assert math.isnan(result.max_error)


def test_a_single_bad_point_is_not_hidden_by_the_good_ones():
    hole = solution(Given(lambda t, x, m: np.where(np.arange(len(t)) == 5, math.nan, x[:, 0] ** 2)))
    assert not judge(problem(), check("V", [X**2]), hole).passed


def test_an_oracle_undefined_at_the_end_of_time_is_compared_before_it():
    exact = solution(Given(lambda t, x, m: np.ones(len(t))))
    oracle = sp.Mul(1 - TIME, sp.Pow(1 - TIME, -1, evaluate=False), evaluate=False)
    assert judge(problem(end=1), check("V", [oracle]), exact, stationary=False).passed


def test_an_oracle_undefined_inside_the_region_fails():
    assert not judge(problem(), check("V", [X**2 + sp.log(sp.Abs(X))])).passed


def test_controls_are_found_by_name_and_compared_by_component():
    controls = (group("a", "control"), group("u", "control", 2))
    policy = solution(Given(lambda t, x, m: x[:, 0], lambda t, x, m: np.column_stack([-x[:, 0], x[:, 0], 3 * x[:, 0]])))
    subject = problem(controls=controls)
    assert judge(subject, check("a", [-X]), policy).passed
    assert judge(subject, check("u", [X, 3 * X]), policy).passed
    assert judge(subject, check("u", [X, 2 * X]), policy).max_error == pytest.approx(1)


def test_the_adversary_comes_after_the_controls():
    subject = problem(controls=(group("a", "control"),), adversaries=(group("b", "adversary"),))
    policy = solution(Given(lambda t, x, m: x[:, 0], lambda t, x, m: np.column_stack([-x[:, 0], 5 * x[:, 0]])))
    assert judge(subject, check("b", [5 * X]), policy).passed


def test_modes_each_with_their_own_parameter():
    mu = sp.Symbol("mu_z")
    subject = problem(modes=(chain("good", "bad"),), mode_parameters=(ModeParameter(mu, 0, (sp.Integer(2), sp.Integer(7))),))
    exact = solution(Given(lambda t, x, m: np.where(m == 0, 2.0, 7.0)))
    assert judge(subject, check("V", [mu]), exact).passed
    assert judge(subject, check("V", [7], {X: 0}, {"z": 1}), exact).passed
    assert not judge(subject, check("V", [7], {X: 0}), exact).passed


def test_parameters_take_their_numbers():
    k = sp.Symbol("k", positive=True)
    assert judge(problem(values={k: sp.Rational(1, 3)}), check("V", [3 * k * X**2])).passed


def test_angles_are_compared_modulo_a_turn():
    circle = Bounds(-sp.pi, sp.pi, False, False, periodic=True)
    angle = group("theta", bounds=circle)
    subject = problem(states=(angle,), region=((-sp.pi, sp.pi),), controls=(group("phi", "control", bounds=circle),))
    policy = solution(Given(lambda t, x, m: x[:, 0], lambda t, x, m: x + 2 * math.pi))
    assert judge(subject, check("phi", [angle.symbols[0]]), policy).passed
    turned = check("V", [sp.Rational(1, 2)], {angle.symbols[0]: sp.Rational(1, 2) + 2 * sp.pi})
    assert judge(subject, turned, policy).passed


def test_a_lattice_is_compared_at_its_own_points_only():
    points = tuple(map(sp.Integer, (-2, 0, 1, 5)))
    lattice = group("q", bounds=Bounds(points[0], points[-1], False, False, points))
    off_lattice_is_wrong = solution(Given(lambda t, x, m: np.where(np.isin(x[:, 0], (-2, 0, 1, 5)), x[:, 0], 99)))
    result = judge(problem(states=(lattice,), region=((-2, 5),)), check("V", [lattice.symbols[0]]), off_lattice_is_wrong)
    assert (result.passed, result.samples) == (True, 4)


def test_open_ends_are_left_out():
    positive = group("x", bounds=Bounds(sp.Integer(0), sp.oo))
    undefined_at_zero = solution(Given(lambda t, x, m: np.where(x[:, 0] > 0, 1.0, math.nan)))
    subject = problem(states=(positive,), region=((0, 2),))
    assert judge(subject, check("V", [1]), undefined_at_zero).passed


def test_many_dimensions_are_sampled_with_their_extremes():
    wide = group("x", size=30)
    norm = sum(s**2 for s in wide.symbols)
    exact = solution(Given(lambda t, x, m: (x**2).sum(axis=1)))
    result = judge(problem(states=(wide,)), check("V", [norm]), exact)
    assert result.passed
    assert result.samples > 300


def test_the_average():
    assert judge(problem(), check("average", [3]), solution(Given(lambda t, x, m: t), average=3.0)).passed
    assert not judge(problem(), check("average", [3]), solution(Given(lambda t, x, m: t))).passed


def test_equal_infinities_agree():
    infinite = solution(Given(lambda t, x, m: np.full(len(t), math.inf)))
    assert judge(problem(), check("V", [sp.oo], {X: 1}), infinite).passed


def test_every_check_is_reported_in_order():
    subject = problem(checks=(check("V", [X**2]), check("V", [X])), controls=(group("a", "control"),))
    assert [r.passed for r in run_checks(subject, SQUARE, True)] == [True, False]


def test_states_already_left_are_not_compared():
    left = ExitRule("tau", sp.Abs(X) >= sp.Rational(1, 2), sp.oo, SPAN)
    inside_only = solution(Given(lambda t, x, m: np.where(np.abs(x[:, 0]) < 0.5, x[:, 0] ** 2, 99)))
    assert judge(problem(exit=left), check("V", [X**2]), inside_only).passed

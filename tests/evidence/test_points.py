"""Points stated, points given by default: every state named, nothing outside the state space."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from hjbdsl.errors import UsageError
from hjbdsl.model.problem import Bounds, Constraint, ModeParameter, StoppingRule
from hjbdsl.numeric.points import default_points, stated_points
from hjbdsl.numeric.sampling import sample_region
from hjbdsl.numeric.state_space import horizon, inside

from .hand_made import SPAN, chain, group, problem

POSITIVE = group("y", bounds=Bounds(sp.Integer(0), sp.oo))


def test_a_stated_point_in_the_order_of_the_states():
    subject = problem(states=(group("x"), group("Y", size=2)), modes=(chain("low", "high"),))
    points = stated_points(subject, False, [{"Y": [2, 3], "z": "high", "x": 1, "t": 0.5}])
    assert points.t.tolist() == [0.5]
    assert points.x.tolist() == [[1, 2, 3]]
    assert points.mode.tolist() == [1]


def test_a_time_left_out_is_the_start():
    assert stated_points(problem(end=1), False, [{"x": 1}]).t.tolist() == [0]


@pytest.mark.parametrize(
    ("point", "mentioned"),
    [
        ({}, "`x`"),
        ({"x": 1, "w": 2}, "`w`"),
        ({"x": [1, 2]}, "scalar"),
        ({"x": "good"}, "number"),
        ({"x": math.nan}, "finite"),
        ({"x": math.inf}, "finite"),
        ({"x": 1, "t": -1}, "outside"),
        ({"x": 1, "t": 3}, "outside"),
        ({"x": 1, "t": "soon"}, "number"),
    ],
)
def test_what_is_wrong_with_a_point_is_said(point, mentioned):
    with pytest.raises(UsageError, match=mentioned):
        stated_points(problem(end=2), False, [point])


def test_vectors_need_all_their_components():
    with pytest.raises(UsageError, match="3 components"):
        stated_points(problem(states=(group("x", size=3),)), True, [{"x": [1, 2]}])


def test_unknown_modes_are_refused_with_the_known_ones():
    with pytest.raises(UsageError, match="good, bad"):
        stated_points(problem(modes=(chain("good", "bad"),)), True, [{"x": 0, "z": "ugly"}])


@pytest.mark.parametrize("value", [0.0, -1.0])
def test_an_open_end_is_outside(value):
    with pytest.raises(UsageError, match="outside"):
        stated_points(problem(states=(POSITIVE,)), True, [{"y": value}])


def test_state_constraints_bound_the_state_space():
    x, y = (group(name) for name in "xy")
    below = Constraint(x.symbols[0] + y.symbols[0] <= 1, "state", SPAN)
    subject = problem(states=(x, y), constraints=(below,))
    assert inside(subject, np.array([[0.5, 0.5], [0.6, 0.5]])).tolist() == [True, False]


def test_angles_come_back_to_one_period():
    circle = group("theta", bounds=Bounds(-sp.pi, sp.pi, False, False, periodic=True))
    points = stated_points(problem(states=(circle,)), True, [{"theta": 7.0}])
    assert points.x[0, 0] == pytest.approx(7 - 2 * math.pi)


def test_default_points_are_centre_and_corners_in_every_mode():
    subject = problem(states=(group("x"), group("y")), region=((0, 2), (-1, 1)), modes=(chain("a", "b"),))
    points = default_points(subject)
    assert points.x[:5].tolist() == [[1, 0], [0, -1], [0, 1], [2, -1], [2, 1]]
    assert points.mode.tolist() == [0] * 5 + [1] * 5


def test_corners_stay_few_in_many_dimensions():
    assert len(default_points(problem(states=(group("x", size=40),)))) == 3


def test_default_points_leave_out_what_is_never_reached():
    assert default_points(problem(states=(POSITIVE,), region=((0, 2),))).x.ravel().tolist() == [1, 2]


def test_the_horizon_is_the_earliest_end():
    k = sp.Symbol("k", positive=True)
    assert horizon(problem()) == math.inf
    assert horizon(problem(end=k, values={k: sp.Rational(3, 2)})) == 1.5
    assert horizon(problem(stopping=StoppingRule("tau", sp.Integer(2), SPAN))) == 2


def test_mode_parameters_do_not_disturb_the_region():
    rate = ModeParameter(sp.Symbol("r_z"), 0, (sp.Integer(1), sp.Integer(2)))
    assert len(default_points(problem(modes=(chain("a", "b"),), mode_parameters=(rate,)))) == 6


def test_a_problem_of_modes_alone_has_a_point_a_mode():
    subject = replace(problem(modes=(chain("up", "down"),)), states=(), region=(), drift=())
    assert default_points(subject).x.shape == (2, 0)
    assert stated_points(subject, True, [{"z": "down"}]).mode.tolist() == [1]
    assert len(sample_region(subject, True, {}, (0, 1), 0)) == 2

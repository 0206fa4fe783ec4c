"""Pictures: what is drawn is what the problem's closed form says, with nothing clipped or laid over something else."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from hjbdsl import pipeline, uses
from hjbdsl.errors import UsageError

matplotlib = pytest.importorskip("matplotlib")
pytest.importorskip("xarray")
from hjbdsl.io import plot  # noqa: E402 (needs matplotlib)

from .problems import DISC, PUT, REGIMES, REGULATOR, TIMED  # noqa: E402

CURIOUS = """\
problem curious
param r = 0.6, lam = 0.5
state x in R
control a in R
noise W
dx = (a - 0.2*x) dt + 0.3 dW
explore a with temperature lam
maximize E integral(0, inf) exp(-0.5*t)*(-(x^2 + r*a^2)/2) dt
"""
TARGET = """\
state x in R
control a in [-1, 1]
dx = a dt
exit tau when |x| <= 0.5
minimize tau
region x in [-2, 2]
"""


@functools.cache
def solved(text):
    worked = pipeline.worked_out(pipeline.loads(text), pipeline.Request(), cached=False)
    return worked, uses.tabulated(worked)


def drawn(text, *what):
    worked, table = solved(text)
    return plot.draw(worked.equation, worked.solution, table, worked.result, what or ("value", "policy"))


def panels(figure):
    return [axes for part in figure.subfigs for axes in part.axes if axes.get_xlabel()]


def overhang(figure):
    """By how many inches anything reaches over the edge of the picture."""
    figure.canvas.draw()
    box, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    return max(-box.x0, -box.y0, box.x1 - width, box.y1 - height)


@pytest.mark.parametrize("text", [REGULATOR, REGIMES, TIMED, DISC, PUT], ids=["regulator", "regimes", "timed", "disc", "put"])
def test_nothing_is_clipped(text):
    assert overhang(drawn(text)) < 0.02


def test_value_and_policy_of_a_regulator_stand_side_by_side():
    value, policy = panels(drawn(REGULATOR))
    line, exact = value.lines[:2]
    x = np.asarray(line.get_xdata())
    assert x.min() == -2
    assert x.max() == 2  # the table goes further, the picture shows the region
    assert line.get_ydata() == pytest.approx(2 * x**2, abs=1e-9)
    assert exact.get_ydata() == pytest.approx(2 * x**2, abs=1e-9)
    assert exact.get_linestyle() != "-"
    assert policy.lines[0].get_ydata() == pytest.approx(-2 * x, abs=1e-9)
    assert (value.get_xlabel(), policy.get_ylabel()) == ("$x$", "${a}^{*}$")


def test_modes_share_one_legend():
    value, policy = panels(drawn(REGIMES))
    assert [text.get_text() for text in value.get_legend().get_texts()] == ["good", "bad"]
    assert policy.get_legend() is None


def test_the_free_boundary_of_a_put_is_where_smooth_fit_puts_it():
    """Perpetual put: x* = K b/(1 + b), b = 2 r/sigma^2."""
    (value,) = panels(drawn(PUT))
    marked = [line.get_xdata()[0] for line in value.lines if line.get_linestyle() == ":"]
    b = 2 * 0.05 / 0.3**2
    assert marked == [pytest.approx(100 * b / (1 + b), abs=0.4)]


def test_exits_are_shaded_and_two_controls_become_arrows():
    value, policy = panels(drawn(DISC))
    assert "exited" in [text.get_text() for text in value.get_legend().get_texts()]
    arrows = next(artist for artist in policy.collections if isinstance(artist, matplotlib.quiver.Quiver))
    x, y = arrows.X, arrows.Y
    inward = arrows.U * x + arrows.V * y
    there = np.isfinite(inward) & (np.hypot(x, y) > 0.2) & (np.hypot(x, y) < 0.9)
    assert np.all(inward[there] < 0)
    assert value.get_aspect() == 1.0


def test_paths_earn_what_the_value_says():
    state, reward = panels(drawn(REGIMES, "paths"))
    assert state.get_xlabel() == "$t$"
    level = next(line for line in reward.lines if len(set(line.get_ydata())) == 1 and line.get_color() == "#D55E00")
    assert np.isfinite(level.get_ydata()[0])


def test_paths_of_a_random_policy_are_paid_for_exploring():
    """V = -x^2 P/2 + ... counts the entropy of the policy: what the paths earn must too."""
    _, reward = panels(drawn(CURIOUS, "paths"))
    V = next(line.get_ydata()[0] for line in reward.lines if line.get_color() == "#D55E00")
    mean = next(line.get_ydata()[-1] for line in reward.lines if line.get_color() == "black")
    assert abs(mean - V) < 0.1


@pytest.mark.slow
def test_without_noise_there_is_one_path_and_it_starts_outside_the_target():
    state, cost = panels(drawn(TARGET, "paths"))
    assert abs(state.lines[0].get_ydata()[0]) == pytest.approx(1.0)
    assert [text.get_text() for text in cost.get_legend().get_texts()] == ["the path", "$V$ at the start"]
    assert cost.lines[0].get_ydata()[-1] == pytest.approx(0.5, abs=0.02)


def test_a_long_row_is_broken_evenly():
    figure = drawn(DISC, "paths")
    assert [len([axes for axes in part.axes if axes.get_xlabel()]) for part in figure.subfigs] == [0, 2, 2]


def test_what_is_not_there_is_said():
    with pytest.raises(UsageError, match="density"):
        drawn(REGULATOR, "density")


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_the_same_picture_gives_the_same_file(tmp_path, ending):
    paths = [tmp_path / f"{name}.{ending}" for name in ("one", "two")]
    for path in paths:
        plot.save(drawn(REGULATOR), str(path))
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert paths[0].stat().st_size > 1000


def test_no_setting_of_matplotlib_is_touched():
    before = dict(matplotlib.rcParams)
    drawn(REGULATOR)
    assert dict(matplotlib.rcParams) == before

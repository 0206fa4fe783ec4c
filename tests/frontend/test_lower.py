"""From file to problem: domains, bounds, laws, modes, rules, regions, checks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp

from hjbdsl.frontend.load import loads_problem
from hjbdsl.model.problem import TIME, DataFile, GaussianMixture
from tests.frontend.lowering import at, lowered, mistakes, only_mistake, place, with_control


def test_domains_become_bounds_and_assumptions() -> None:
    problem = lowered(
        "param k = 2, M = 3",
        "state x > 0, y >= -1, z in [0, 1], th in circle, q in {-4..4}, X in [-1, 1]^2, w in {1, 2, 5}",
        "control c in [0, k*x], u in [-M, M], d in {0, 1}, v in R^2",
        "jump N rate indicator(q < 4)",
        "dx = -c*x dt", "dy = u dt", "dz = 0 dt", "dth = u dt", "dq = dN", "dX = v dt", "dw = 0 dN",
        "minimize integral(0, 1) (x^2 + u^2 + d + |v|^2) dt",
    )  # fmt: skip
    x, y, z, th, q, _, _, w = problem.state_bounds
    sx = problem.state_symbols[0]
    assert (x.lower, x.upper, x.lower_open) == (0, sp.oo, True)
    assert sx.is_positive
    assert (y.lower, y.lower_open) == (-1, False)
    assert problem.state_symbols[2].is_nonnegative
    assert (z.lower, z.upper, z.upper_open) == (0, 1, False)
    assert th.periodic
    assert (th.lower, th.upper) == (-sp.pi, sp.pi)
    assert q.points == tuple(sp.Integer(i) for i in range(-4, 5))
    assert w.points == (1, 2, 5)
    c, u, d, v1, _ = [b for group in problem.controls for b in group.bounds]
    assert problem.numeric(c.upper) == 2 * sx
    assert problem.numeric(u.lower) == -3
    assert d.points == (0, 1)
    assert (v1.lower, v1.upper) == (-sp.oo, sp.oo)
    assert [s.name for s in problem.controls[3].symbols] == ["v[1]", "v[2]"]
    assert problem.lattice_states == (4, 7)
    expected = [(0.5, 2), (-1, 1), (0, 1), (-math.pi, math.pi), (-4, 4), (-1, 1), (-1, 1), (1, 5)]
    assert np.allclose([[float(low), float(high)] for low, high in problem.region], expected)


def test_parameters_are_exact_and_in_any_order() -> None:
    problem = lowered("param a = b/3, b = 0.1", "param s = sqrt(2)", "state x in R", "dx = a*s*x dt", "evaluate x(1)")
    values = {str(symbol): value for symbol, value in problem.values.items()}
    assert values == {"a": sp.Rational(1, 30), "b": sp.Rational(1, 10), "s": sp.sqrt(2)}
    found = mistakes("param s = -1 in (0, inf), p = 3 in {1, 2}, n = 2.5 in {1..4}", "state x in R", "dx = x dt", "evaluate x(1)")
    assert [place(d) for d in found] == [(1, 11), (1, 31), (1, 48)]


def test_regions() -> None:
    problem = lowered("state x in R^2, y > 0", "dx = x dt", "dy = y dt", "evaluate y(1)", "region x in [-2, 3]")
    assert problem.region == ((-2, 3), (-2, 3), (sp.Rational(1, 2), 2))
    assert problem.region_written == {"x"}
    assert "leaves its domain" in only_mistake("state x > 0", "dx = x dt", "evaluate x(1)", "region x in [-1, 1]").message
    assert "empty" in only_mistake("state x in R", "dx = x dt", "evaluate x(1)", "region x in [1, 1]").message


def test_checks() -> None:
    lines = ("param T = 1, g = [2, 3]", "mode z in {good, bad}", "rate good -> bad = 1", "state x in R^2, y in R",
             "control u in R^2", "dx = u dt", "dy = if(z == good, y, -y) dt",
             "minimize E integral(0, T) (|x|^2 + |u|^2) dt")  # fmt: skip
    problem = lowered(*lines, "check V(t = 0.5, x = g/2, z = bad) = 2*T tol 1e-3", "check u = -2*x")
    value, control = problem.checks
    assert value.point == {TIME: sp.Rational(1, 2), problem.state_symbols[0]: 1, problem.state_symbols[1]: sp.Rational(3, 2)}
    assert value.modes == {"z": 1}
    assert (value.tolerance, control.tolerance) == (1e-3, 1e-6)
    assert value.text == "V(t = 0.5, x = g/2, z = bad)"
    assert len(control.expected) == 2
    for line, words in {
        "check V(x = 1) = 2": "2x1",
        "check u = 0": "2x1",
        "check W = 2": "V",
        "check V(q = 1) = 2": "`x`",
        "check V(z = worse) = 2": "mode",
        "check V = u[1]": "control",
        "check V = 1 tol -1": "tolerance",
        "check average = 1": "average",
    }.items():
        found = only_mistake(*lines, line)
        assert words in found.message + found.help, line


def test_modes() -> None:
    problem = lowered(
        "param k = 2",
        "mode z in {good, bad}, w in {lo, hi}",
        "rate good -> bad = 0.3, bad -> good = k, lo -> hi = 1",
        "param mu(z) = {good: 0.08, bad: -k}, one(z) = {good: 1, bad: 1}",
        "state x in R",
        "dx = (mu(z) + one(z) + mu(good) + if(w == hi and z != bad, x, 0)) dt",
        "evaluate E x(1)",
    )
    assert problem.modes[0].rates == {(0, 1): sp.Rational(3, 10), (1, 0): sp.Symbol("k", real=True, positive=True)}
    for mode in problem.mode_tuples():
        good, high = mode[0] == 0, mode[1] == 1
        expected = (0.08 if good else -2) + 1 + 0.08 + (7 if high and good else 0)
        assert at(problem, problem.at_mode(problem.drift[0], mode), x=7) == pytest.approx(expected)
    bad = mistakes("mode z in {good, bad}", "rate good -> bad = -1, good -> worse = 1", "param mu(z) = {good: 1}",
                   "state x in R", "dx = z dt", "evaluate E x(1)")  # fmt: skip
    assert [place(d)[0] for d in bad] == [2, 2, 3, 5]


def test_jumps_and_their_laws() -> None:
    problem = lowered(
        "param lam = 0.5, m = -0.1, s = 0.2",
        "state x > 0, y in R",
        "jump N rate lam mark J ~ normal(m, s^2)",
        "jump M rate lam*x mark J ~ {-0.3: 0.25, 0.1: 0.75}",
        "jump L rate lam mark Z ~ exponential(3)",
        "jump K rate lam",
        "dx = x*J dN - 2*J dM",
        "dy = Z dL + dK",
        "evaluate E x(1)",
    )
    normal, table, exponential, bare = problem.jumps
    assert normal.law.kind == "normal"
    assert [at(problem, a) for a in normal.law.arguments] == pytest.approx([-0.1, 0.04])
    assert table.law.atoms == ((sp.Rational(-3, 10), sp.Rational(1, 4)), (sp.Rational(1, 10), sp.Rational(3, 4)))
    assert exponential.mark is not None
    assert exponential.mark.is_positive
    assert (bare.mark, bare.law.kind, bare.displacement) == (None, "none", {1: 1})
    assert at(problem, normal.displacement[0], x=2, J=0.5) == pytest.approx(1)
    assert at(problem, table.displacement[0], x=2, J=0.5) == pytest.approx(-1)
    found = mistakes("state x in R", "jump A1 rate 1 mark J ~ {1: 0.5, 2: 0.6}", "jump A2 rate -1 mark J ~ normal(0, -1)",
                     "jump A3 rate 1 mark J ~ uniform(2, 1)", "jump A4 rate 1 mark J ~ gamma(1)",
                     "dx = J dt", "evaluate E x(1)")  # fmt: skip
    assert [place(d)[0] for d in found] == [2, 3, 3, 4, 5, 6]


def test_data_and_reversal(tmp_path) -> None:
    lines = ("param m : R^2 = [1, 2], C : R^(2,2) = [[2, 1], [1, 2]]", "state y in R^2", "noise W in R^2", "dy = -y dt + 0.5 dW")
    problem = lowered(
        *lines, "data y(0) ~ mixture(0.4: normal(m, C), 0.6: normal([0, 0], 0.3^2))", "reverse y on [0, 2]", "check u = y"
    )
    assert problem.reversal is not None
    law = problem.reversal.law
    assert isinstance(law, GaussianMixture)
    assert sum(law.weights) == 1
    assert law.means == ((1, 2), (0, 0))
    assert np.allclose(np.array(law.covariances[1], dtype=float), 0.09 * np.eye(2))
    assert problem.reversal.control.shape == (2,)
    assert problem.objective.end == 2
    (tmp_path / "moons.npy").write_bytes(b"")
    file = loads_problem("\n".join((*lines, 'data y(0) ~ file "moons.npy"', "reverse y on [0, 2]")), str(tmp_path / "p.hjb"))
    assert file.reversal is not None
    assert file.reversal.law == DataFile(str(tmp_path / "moons.npy"))
    for data, words in {
        'data y(0) ~ file "nosuch.npy"': "does not exist",
        "data y(0) ~ normal(m, [[1, 2], [2, 1]])": "positive definite",
        "data y(0) ~ normal(m, [[1, 0.5], [0, 1]])": "symmetric",
        "data y(0) ~ normal([1, 2, 3], C)": "3x1",
        "data y(0) ~ normal(m, m)": "diag(m)",
        "data y(0) ~ normal(m, -1)": "definite",
        "data y(0) ~ mixture(0.5: normal(m, 1), 0.6: normal(m, 1))": "sum to 1.1",
    }.items():
        found = only_mistake(*lines, data, "reverse y on [0, 2]")
        assert place(found)[0] == 5
        assert words in found.message + found.help, data
    clash = mistakes(*lines, "control u in R", "data y(0) ~ normal(m, C)", "reverse y on [0, 2]")
    assert any("`u`" in d.message for d in clash)
    apart = only_mistake(*lines, "state v in R", "dv = -v dt", "data y(0) ~ normal(m, C)", "reverse y on [0, 2]")
    assert "`v`" in apart.message
    assert "one vector" in apart.help


def test_constraints_boundaries_and_exploration() -> None:
    problem = lowered(
        *with_control(
            "control p in R^2",
            "subject to p[1] + p[2] <= 1, 0 <= a - p[1] <= 2, x <= 3",
            "boundary x = -1 : value 2*x",
            "boundary x = 1 : reflect",
            "explore a with temperature 0.2 prior normal(0, 2)",
            "solve grid(nx = 401, kind = fine)",
        )
    )
    assert [c.role for c in problem.constraints] == ["control", "control", "state"]
    assert [(b.kind, str(b.amount)) for b in problem.boundaries] == [("value", "2*x"), ("reflect", "None")]
    assert problem.exploration is not None
    assert problem.exploration.prior == (0, 2)
    assert problem.hint is not None
    assert problem.hint.options == {"nx": 401.0, "kind": "fine"}
    assert "temperature" in only_mistake(*with_control("explore a with temperature -1")).message
    assert "control" in only_mistake(*with_control("explore b with temperature 1")).message
    assert "outside" in only_mistake("state x in [0, 1]", "dx = x dt", "evaluate x(1)", "boundary x = 2 : reflect").message


@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(
            ("let f(y) = sum(sum(y*i*j for i in 1..9000) for j in 1..9000)", *with_control("check V = f(x)")),
            marks=pytest.mark.slow,
        ),
        ("param n = 10^9", "param v : R^n = ones(n)", *with_control()),
        tuple(f"let f{i}(y) = " + (f"f{i - 1}(y)*f{i - 1}(y + 1)" if i else "y^2 + 1") for i in range(40))
        + with_control("check V = f39(x)"),
        ("let f(y) = ((y^99)^99)^99", *with_control("check V = f(x)")),
        tuple(f"param p{i} = 1/0" for i in range(2000)) + with_control(),
    ],
)
def test_hostile_files_end_in_a_diagnostic(lines: tuple[str, ...]) -> None:
    assert mistakes(*lines)


def test_the_source_is_known_by_its_content() -> None:
    one, same = lowered(*with_control()), lowered(*with_control())
    other = lowered(*with_control("param k = 2"))
    changed = lowered(*with_control("param k = 2"), overrides={"k": "3"})
    assert one.source.digest == same.source.digest
    assert len({one.source.digest, other.source.digest, changed.source.digest}) == 3
    assert one.origins["dx"].line == 4
    assert one.source.line(one.origins["dx"]) == "dx = a dt + 0.3 dW"

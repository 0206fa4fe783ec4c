"""Well-posedness from the symbols alone: what is certainly wrong is said, what may be right is let through."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from hjbdsl.frontend.definite import is_positive_definite, is_positive_semidefinite
from hjbdsl.frontend.interval import enclosure, truth
from tests.frontend.lowering import lowered, mistakes, only_mistake, place

x, y = sp.symbols("x y", real=True)
FORMULAS = [
    x * y - x,
    x**3 - 2 * y,
    sp.sqrt(x**2 + y**2),
    sp.exp(x) - y,
    sp.Abs(x - y) * 3,
    sp.Max(x, y) - sp.Min(x, 1),
    sp.sin(x) * y,
]


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(FORMULAS), st.lists(st.floats(-3, 3), min_size=4, max_size=4), st.floats(0, 1), st.floats(0, 1))
def test_an_enclosure_holds_every_value(formula: sp.Expr, ends: list[float], u: float, v: float) -> None:
    box = {x: tuple(sorted(ends[:2])), y: tuple(sorted(ends[2:]))}
    low, high = enclosure(formula, box)
    point = {s: a + w * (b - a) for (s, (a, b)), w in zip(box.items(), (u, v), strict=True)}
    value = float(formula.subs(point))
    assert low - 1e-9 <= value <= high + 1e-9


def test_truth_is_certain_or_none() -> None:
    box = {x: (-1.0, 1.0), y: (-math.inf, math.inf)}
    assert truth(sp.Abs(x) > 5, box) is False
    assert truth(x**2 <= 2, box) is True
    assert truth(x >= 0, box) is None
    assert truth(sp.Or(sp.Abs(x) > 5, y > 3), box) is None
    assert truth(sp.And(sp.Abs(x) > 5, y > 3), box) is False


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.lists(st.floats(-2, 2), min_size=25, max_size=25))
def test_definiteness_agrees_with_the_eigenvalues(size: int, entries: list[float]) -> None:
    factor = np.array(entries[: size * size]).reshape(size, size)
    for matrix in (factor + factor.T, factor @ factor.T):
        smallest = float(np.linalg.eigvalsh(matrix)[0])
        scale = max(1e-300, float(np.abs(np.diag(matrix)).max()))
        if smallest > 1e-6 * max(1.0, scale):
            assert is_positive_definite(matrix.tolist())
        if smallest < -1e-3 * max(1.0, scale):
            assert not is_positive_semidefinite(matrix.tolist())


def test_correlations() -> None:
    head = ("state x in R^3", "noise W, B, Z")
    tail = ("dx = [1, 0, 0] dW + [0, 1, 0] dB + [0, 0, 1] dZ", "evaluate E |x(1)|^2")
    found = only_mistake(*head, "dW dB = 1.3 dt", *tail)
    assert place(found) == (3, 9)
    assert "1.3" in found.message
    contradiction = only_mistake(*head, "dW dB = 0.9 dt", "dB dZ = 0.9 dt", "dW dZ = -0.9 dt", *tail)
    assert "`W`, `B`, `Z`" in contradiction.message
    assert lowered(*head, "dW dB = 0.9 dt", "dB dZ = 0.9 dt", "dW dZ = 0.9 dt", *tail).correlation[0, 2] == sp.Rational(9, 10)


@pytest.mark.parametrize(
    ("domain", "condition", "wrong"),
    [
        ("x in [-1, 1]", "|x| > 5", True),
        ("x in [-1, 1]", "x^2 <= 4", True),
        ("x in [-1, 1]", "|x| >= 1", False),
        ("x in R", "|x| >= 5", False),
        ("x > 0", "x + 1 < 0", True),
        ("x in R", "x > 1 and x < 0", True),
        ("x in R", "x^2 <= 4 and x^2 >= 5 or x == 3 and x < 2", True),
        ("x in R", "x >= 1 and x <= 2", False),
        ("x in R", "x > 1 or x < 0", False),
        ("x > 0", "x <= 0", True),
        ("x >= 0", "x <= 0", False),
    ],
)
def test_exits_that_cannot_happen(domain: str, condition: str, wrong: bool) -> None:
    lines = (f"state {domain}", "noise W", "dx = 0.3 dW", f"exit tau when {condition}", "minimize E tau")
    if wrong:
        found = only_mistake(*lines)
        assert place(found) == (4, 15)
        assert "tau" in found.message
    else:
        lowered(*lines)


@pytest.mark.parametrize(
    ("diffusion", "wrong"),
    [
        ("sqrt(1 - x^2)", True),
        ("x*(1 - x^2)^0.5", True),
        ("log(x + 1)", True),
        ("sqrt(1 + x^2)", False),
        ("|x|^0.5", False),
        ("if(x^2 < 1, sqrt(1 - x^2), 0)", False),
        ("sqrt(abs(1 - x^2))", False),
    ],
)
def test_a_diffusion_must_be_real_in_the_region(diffusion: str, wrong: bool) -> None:
    lines = ("state x in R", "noise W", f"dx = -x dt + {diffusion} dW", "evaluate E x(1)^2", "region x in [-2, 2]")
    if wrong:
        found = only_mistake(*lines)
        assert found.code == "HJB101"
        assert found.span is not None
        assert found.span.line == 3
    else:
        lowered(*lines)


@pytest.mark.parametrize(
    ("objective", "wrong"),
    [
        ("E integral(0, inf) exp(-0.1*t)*(log(x) + a^2) dt", True),
        ("E [ integral(0, 1) a^2 dt + sqrt(x(1)) ]", True),
        ("E integral(0, inf) exp(-0.1*t)*(log(1 + x^2) + a^2) dt", False),
        ("E [ integral(0, 1) a^2 dt + max(x(1), 0)^0.5 ]", False),
    ],
)
def test_a_payoff_must_be_real_in_the_region(objective: str, wrong: bool) -> None:
    lines = ("state x in R", "control a in R", "noise W", "dx = a dt + dW", f"minimize {objective}", "region x in [-2, 2]")
    if wrong:
        assert only_mistake(*lines).code == "HJB101"
    else:
        lowered(*lines)


def test_a_root_outside_the_exit_or_the_region_is_no_matter() -> None:
    lowered(
        "state x in R", "noise W", "dx = sqrt(1 - x^2) dW", "exit tau when |x| >= 1", "evaluate E x(tau)", "region x in [-2, 2]"
    )
    lowered("state x in R", "noise W", "dx = sqrt(1 - x^2) dW", "evaluate E x(1)", "region x in [-0.9, 0.9]")


@pytest.mark.parametrize(
    ("dynamics", "objective", "wrong"),
    [
        ("a dt + 0.3 dW", "minimize E integral(0, inf) (x^2 + a^2) dt", True),
        ("a dt + 0.3 dW", "minimize E integral(0, inf) exp(0.1*t)*(x^2 + a^2) dt", True),
        ("a dt + 0.3 dW", "minimize E integral(0, 5) (x^2 + a^2) dt", False),
        ("a dt + 0.3 dW", "minimize average x^2 + a^2", False),
        ("a dt + 0.3 dW", "minimize E integral(0, inf) exp(-0.1*t)*(x^2 + a^2) dt", False),
        ("a dt", "minimize integral(0, inf) (x^2 + a^2) dt", False),
        ("(x + a) dt + 0.3*x dW", "minimize E integral(0, inf) (x^2 + a^2) dt", False),
        ("(a + x/2) dt + 0.3 dW", "maximize E integral(0, inf) -(x^2 - 2*x + 1 + a^2) dt", True),
        ("a dt + 0.3 dW", "minimize E integral(0, inf) abs(x) + a^2 dt", True),
        ("a dt + 0.3 dW", "minimize E integral(0, inf) x^4 + sqrt(a^2 + x^2) dt", True),
        ("a dt + 0.3*x dW", "minimize E integral(0, inf) 1 + a^2 dt", True),
        ("a dt + 0.3 dW", "minimize E integral(0, inf) x^2 dt", False),  # a = -t^2*x makes it finite, and any size
        ("a dt + 0.3 dW", "minimize E integral(0, inf) a^2 dt", False),
        ("a dt + 0.3 dW", "minimize E integral(0, inf) sqrt(abs(x)) + a^2 dt", False),
        ("(x + a) dt + 0.3*x dW", "maximize E integral(0, inf) (x^2 + a^2) dt", False),  # infinite, but not for the discount
    ],
)
def test_an_infinite_horizon_needs_a_discount(dynamics: str, objective: str, wrong: bool) -> None:
    lines = ("state x in R", "control a in R", "noise W", f"dx = {dynamics}", objective)
    if wrong:
        found = only_mistake(*lines)
        assert "discount" in found.message
        assert place(found) == (5, 12)
    else:
        lowered(*lines)


def test_a_jump_must_stay_in_the_finite_set() -> None:
    lines = ("state q in {-2..2}", "jump N rate 1", "dq = dN", "evaluate E q(1)")
    assert "from 2 it goes to 3" in only_mistake(*lines).message
    lowered(lines[0], "jump N rate indicator(q < 2)", *lines[2:])


NO_NUMBERS = """9^9^9^9; 10^(10^10); exp(1000000); 1/0; 0^(-1); log(0); log(-1); sqrt(-2); (-2)^0.5; 1/(0.1 - 1/10);
2^(2^(2^(2^(2^2)))); (10^200)*(10^200); sum(10^i for i in 1..400)"""


@pytest.mark.parametrize("text", [text.strip() for text in NO_NUMBERS.split(";")])
def test_numbers_that_are_none_end_in_a_diagnostic(text: str) -> None:
    found = mistakes(f"param k = {text}", "state x in R", "dx = k dt", "evaluate x(1)")
    assert place(found[0])[0] == 1
    assert found[0].code in ("HJB040", "HJB041")


@pytest.mark.parametrize("k", ["387420489", "10^9"])
def test_a_tower_hidden_in_a_parameter_is_not_worked(k: str) -> None:
    found = only_mistake(f"param k = {k}", "state x in R", "dx = 9^k*x dt", "evaluate x(1)")
    assert place(found) == (3, 6)


def test_what_is_chosen_and_what_is_only_evaluated() -> None:
    found = only_mistake("state x in R", "control a in R", "dx = a dt", "evaluate x(1)")
    assert "`a`" in found.message
    problem = lowered("state x in R", "noise W", "dx = 0.1 dW", "exit tau when |x| >= 1", "minimize tau")
    assert {w.code for w in problem.warnings} == {"HJB107", "HJB108"}


@pytest.mark.parametrize("discount", ["", "exp(0.01*t)*"])
def test_consumption_without_discount_may_have_a_finite_value(discount: str) -> None:
    """Merton with gamma = 3: finite where (rho + 2*M)/3 > 0, which a rate of 0 or -0.01 allows."""
    lowered(
        "state w > 0",
        "control f in R, C >= 0",
        "noise B",
        "dw = ((0.02 + f*0.05)*w - C) dt + f*0.3*w dB",
        f"maximize E integral(0, inf) {discount}C^(-2)/(-2) dt",
    )


HELD_OR_NOT = [
    ("x > 0", "0.4 dt + 1.2 dW", "", True),
    ("x < 2", "0.4 dt + 1.2 dW", "", True),
    ("x in (-1, 1)", "-x dt + cos(0.1) dW", "", True),
    ("x > 0", "a dt + 0.3*(1 + x) dW", "", True),  # a in [-1, 1]
    ("x > 0", "-c dt + 0.3 dW", "", True),  # c >= 0 only pushes outward
    ("x > 0", "c dt + 0.3 dW", "", False),
    ("x >= 0", "0.4 dt + 1.2 dW", "", False),
    ("x in R", "0.4 dt + 1.2 dW", "", False),
    ("x > 0", "0.4*x dt + 1.2*x dW", "", False),
    ("x > 0", "(1 - x) dt + 0.2*sqrt(x) dW", "", False),
    ("x > 0", "1/x dt + 1 dW", "", False),  # Bessel
    ("x > 0", "(1 - log(x)) dt + 1 dW", "", False),
    ("x > 0", "0.1 dt + a*0.3 dW", "", False),  # a = 0 makes no noise
    ("x > 0", "1 dW", "boundary x = 0 : reflect", False),
    ("x > 0", "1 dW", "exit tau when x <= 0.1", False),
    ("x > 0", "1 dW", "exit tau when x >= 3", True),
    ("x in (-1, 1)", "1 dW", "exit tau when abs(x) >= 0.9", False),
    ("x > 0", "1 dW", "stopping tau in [0, 1]", False),
]


@pytest.mark.parametrize(("domain", "motion", "rule", "wrong"), HELD_OR_NOT)
def test_an_open_bound_that_noise_carries_the_state_to(domain: str, motion: str, rule: str, wrong: bool) -> None:
    payoff = "x(tau)" if "tau" in rule else "x(1)"
    lines = (f"state {domain}", "control a in [-1, 1], c >= 0", "noise W", f"dx = {motion}", rule, f"maximize E {payoff}")
    if not wrong:
        lowered(*lines)
        return
    found = mistakes(*lines)
    errors = [diagnostic for diagnostic in found if diagnostic.severity == "error"]
    assert {(d.code, place(d)) for d in errors} == {("HJB104", (1, 7))}
    assert len(errors) == (2 if "(" in domain else 1)
    assert "`x" in errors[0].message
    assert all(word in errors[0].help for word in ("in R", "exit", "reflect", "vanish"))


def test_an_open_bound_of_one_of_two_correlated_states() -> None:
    head = ("state x > 0, y in R", "noise W, B")
    tail = ("dx = 0.2*x dW + 0.1*x dB", "dy = -y dt + 1 dB", "evaluate E x(1)*y(1)")
    lowered(*head, *tail)
    cancelling = ("dW dB = -1 dt", "dx = 0.3 dW + 0.3 dB", "dy = -y dt + 1 dB", "evaluate E x(1)*y(1)")
    lowered(*head, *cancelling)
    assert only_mistake(*head, "dW dB = -0.5 dt", *cancelling[1:]).code == "HJB104"


@pytest.mark.parametrize(
    ("motion", "wrong"),
    [
        ("0.5*(-0.05 - x) dt + 0.1*sqrt(x) dW", True),
        ("0.5*(0.05 - x) dt + 0.4*sqrt(x) dW", False),
        ("(a - 2) dt + x dW", True),
        ("(a - 1/2) dt + x dW", False),
        ("-x dt + x dW", False),
    ],
)
def test_an_open_bound_that_the_drift_carries_the_state_to(motion: str, wrong: bool) -> None:
    lines = ("state x > 0", "control a in [-1, 1]", "noise W", f"dx = {motion}", "maximize E (x(1) - integral(0, 1) a^2 dt)")
    if not wrong:
        lowered(*lines)
        return
    mistake = only_mistake(*lines)
    assert mistake.code == "HJB104"
    assert "drift" in mistake.message

"""What has no equation is refused with a diagnostic that names the control and the remedy."""

from __future__ import annotations

import pytest

from hjbdsl.errors import HjbError
from hjbdsl.frontend.load import loads_problem
from hjbdsl.symbolic.derive import derive


def text(control, running, dynamics="dx = (x + a) dt + 0.3 dW", sense="minimize"):
    return (
        f"problem p\nparam rho = 0.1, q = 2\nstate x in R\ncontrol {control}\nnoise W\n{dynamics}\n"
        f"{sense} E integral(0, inf) exp(-rho*t)*({running}) dt\n"
    )


UNBOUNDED = [
    text("a in R", "x^2 + 0.5*a"),
    text("a in R", "x^2"),
    text("a >= 0", "x^2 + a"),
    text("a in R", "x^2 - a^2"),
    text("a in R", "x^2 - q*a^4"),
    text("a in R", "x + a^2", sense="maximize"),
    text("a in R, b in R", "x^2 + a^2 - b^2"),
    text("a in R, b in R", "x^2 + (a - b)^2 - 3*a*b"),
]


@pytest.mark.parametrize("source", UNBOUNDED)
def test_unbounded_hamiltonian(source):
    with pytest.raises(HjbError) as refusal:
        derive(loads_problem(source))
    (finding,) = refusal.value.diagnostics
    assert finding.code == "HJB114"
    assert finding.span.line == 4
    assert "`a`" in finding.message or "`b`" in finding.message
    assert "bound" in finding.help
    assert "cost" in finding.help


BOUNDED = [
    text("a in [-1, 1]", "x^2 + 0.5*a"),
    text("a >= 0", "x^2 + a", "dx = x dt + 0.3 dW"),
    text("a in R", "x^2", "dx = a dt + a dW"),
    text("a in R", "x^2 + a^4"),
    text("a in [0, 1]", "x^2 - a^2"),
]


@pytest.mark.parametrize("source", BOUNDED)
def test_bounded_hamiltonian(source):
    assert derive(loads_problem(source)).optimum.status == "symbolic"


def test_noisy_running_minimum():
    with pytest.raises(HjbError) as refusal:
        derive(
            loads_problem(
                "problem p\nstate x in R\ncontrol a in [-1, 1]\nnoise W\ndx = a dt + 0.1 dW\nmaximize running_min(0, 1) x\n"
            )
        )
    assert refusal.value.diagnostics[0].code in ("HJB117", "HJB118") or "noise" in str(refusal.value)


def test_jumps_that_the_control_moves_are_implicit_with_their_reason():
    source = text("a in [0, 1]", "x^2 + a^2", "jump N rate 1 mark J ~ {-1: 0.5, 1: 0.5}\ndx = a dt + 0.3 dW + a*J dN")
    optimum = derive(loads_problem(source)).optimum
    assert optimum.status == "implicit"
    assert "jump" in optimum.reason


def test_rate_of_a_jump_is_chosen_through_the_jump_difference():
    """max over a of -a^2/2 + a*DV: a* = DV."""
    source = text("a >= 0", "-a^2/2 - x^2", "jump N rate a\ndx = -x dt + 0.3 dW + 1 dN", "maximize")
    equation = derive(loads_problem(source))
    (difference,) = equation.jump_differences
    a = equation.problem.control_symbols[0]
    assert equation.optimum.candidates[0].controls[a] == difference

"""Random linear-quadratic problems over every axis: each ends in a residual-verified answer, a reason, or a diagnostic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hjbdsl.errors import HjbError
from hjbdsl.frontend.load import loads_problem
from hjbdsl.methods.closed_form import engine, linear_quadratic
from hjbdsl.model.solution import Accepted, Rejected
from hjbdsl.symbolic.derive import derive

numbers = st.integers(-20, 20).map(lambda k: k / 10)
positive = st.integers(1, 25).map(lambda k: k / 10)


@st.composite
def problems(draw) -> str:  # noqa: PLR0912 (one branch an axis)
    n, m = draw(st.integers(1, 3)), draw(st.integers(0, 2))
    states, controls = [f"x{i}" for i in range(n)], [f"u{i}" for i in range(m)]
    sense = draw(st.sampled_from(["minimize", "maximize"])) if m else "evaluate"
    form = draw(st.sampled_from(["finite", "infinite", "average", "risk"]))
    lines = ["state " + ", ".join(f"{x} in R" for x in states)]
    if m:
        lines.append("control " + ", ".join(f"{u} in R" for u in controls))
    adversary = m > 0 and draw(st.booleans())
    if adversary:
        lines.append("adversary v in R")
    lines.append("noise W, B")
    if draw(st.booleans()):
        lines.append(f"dW dB = {draw(st.sampled_from([-0.5, 0.3]))} dt")
    jump = form != "risk" and draw(st.booleans())
    if jump:
        law = draw(st.sampled_from(["normal(0.1, 0.2)", "exponential(3)", "{-0.2: 0.5, 0.3: 0.5}"]))
        lines.append(f"jump N rate {draw(positive)} mark J ~ {law}")
    modes = form in {"finite", "infinite"} and draw(st.booleans())
    if modes:
        lines += [
            "mode z in {g, b}",
            f"rate g -> b = {draw(positive)}, b -> g = {draw(positive)}",
            f"param k(z) = {{g: {draw(numbers)}, b: {draw(numbers)}}}",
        ]
    everything = states + controls
    for i, x in enumerate(states):
        terms = (
            [f"({draw(numbers)})*{y}" for y in everything]
            + ([f"({draw(numbers)})*v"] if adversary else [])
            + [f"({draw(numbers)})"]
        )
        if modes:
            terms.append(f"k(z)*{x}")
        noise = f"({draw(numbers)})" + (
            f" + 0.2*{draw(st.sampled_from(everything))}" if form != "risk" and draw(st.booleans()) else ""
        )
        shock = f" + (0.3*J*{draw(st.sampled_from(everything))} + 0.1) dN" if jump and i == 0 else ""
        lines.append(f"d{x} = ({' + '.join(terms)}) dt + ({noise}) d{draw(st.sampled_from(['W', 'B']))}{shock}")
    effort = draw(st.booleans()) and m > 0 and not adversary
    if effort:
        lines.append(f"explore u0 with temperature {draw(positive)}")
    cost = [f"{draw(positive)}*{x}^2" for x in states] + [f"{draw(positive)}*{u}^2" for u in controls]
    cost += [f"({draw(numbers)})*{draw(st.sampled_from(everything))}"]
    if draw(st.booleans()):
        cost.append(f"0.1*{draw(st.sampled_from(everything))}*{draw(st.sampled_from(everything))}")
    if adversary:
        cost.append(f"- {draw(st.sampled_from([4, 15]))}*v^2")
    rate = ("-" if sense == "maximize" else "") + "(" + " + ".join(cost).replace("+ -", "-") + ")"
    end = draw(st.sampled_from([0.5, 2]))
    final = f"{x}({end})^2" if (x := states[0]) and sense != "maximize" else f"-{states[0]}({end})^2"
    match form:
        case "finite":
            lines.append(f"{sense} E [ integral(0, {end}) exp(-0.2*t)*{rate} dt + exp(-0.2*{end})*({final}) ]")
        case "infinite":
            lines.append(f"{sense} E integral(0, inf) exp(-{draw(positive)}*t)*{rate} dt")
        case "average" if m:
            lines.append(f"{sense} average {rate}")
        case "risk" if m and not effort:
            lines.append(f"{sense} risk({draw(st.sampled_from([-0.3, 0.2]))}) [ integral(0, {end}) {rate} dt ]")
        case _:
            lines.append(f"{sense} E integral(0, {end}) {rate} dt")
    return "\n".join(lines) + "\n"


@pytest.mark.slow
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(problems())
def test_answer_reason_or_diagnostic(text: str) -> None:
    try:
        problem = derive(loads_problem(text))
        answer = engine.explain(problem, (("linear_quadratic", linear_quadratic.propose),)).answer
    except HjbError as error:
        assert error.diagnostics[0].message  # noqa: PT017 (either outcome is right)
        return
    if isinstance(answer, Rejected):
        assert "failed its proof" not in answer.reason, answer.reason
        return
    assert isinstance(answer, Accepted)
    assert answer.solution.evidence.residual < 1e-6
    point = answer.solution.function.evaluate(np.zeros(1), np.ones((1, problem.problem.dimension)), np.zeros(1, dtype=np.int64))
    assert np.isfinite(point.value[0])
    assert point.error[0] < 1e-5 * (1 + abs(point.value[0]))

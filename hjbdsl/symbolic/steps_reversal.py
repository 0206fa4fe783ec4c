"""The derivation under `reverse`: Fokker-Planck, time reversal, the HJB of V = -log p, the control, verification, score matching.

In: equation and the composition of the reverse-time control problem. Out: steps.
Sources: Anderson (1982), Stoch. Proc. Appl. 12; Pavon (1989); Berner, Richter, Ullrich (2024), TMLR; Song et al. (2021), ICLR.
"""

from __future__ import annotations

from hjbdsl.model.equation import HJBEquation, Step
from hjbdsl.model.problem import Notation
from hjbdsl.symbolic.composition import Composition
from hjbdsl.symbolic.definitions import named_parts
from hjbdsl.symbolic.dynamics_text import dynamics_lines
from hjbdsl.symbolic.ends_text import reversed_drift
from hjbdsl.symbolic.latex import latex_symbol
from hjbdsl.symbolic.letters import clock, ready_for_print
from hjbdsl.symbolic.terms.drift_diffusion import covariance
from hjbdsl.symbolic.text import text_symbol
from hjbdsl.symbolic.writing import writer_for


def _letters(equation: HJBEquation) -> tuple[Notation, Notation]:
    """The state's and the final time's letters."""
    reversal = equation.problem.reversal
    assert reversal is not None
    name = reversal.state
    end = writer_for(equation.problem, False, equation.gradient, equation.hessian, ()).write(reversal.end)
    return Notation(text_symbol(name), latex_symbol(name)), end


def reversal_steps(equation: HJBEquation, parts: Composition) -> tuple[Step, ...]:
    y, end = _letters(equation)
    problem, s = ready_for_print(equation.problem), clock(equation.problem)
    forward = writer_for(problem, False, parts.gradient, parts.hessian, ())
    lines = dynamics_lines(problem, forward, covariance(problem))
    start = Notation(f"{y.text}(0) ~ p₀", rf"{y.latex}(0) \sim p_0")
    density = Notation(
        f"∂_{s.text} p = -∇·(f p) + ½ Σ_ij ∂_i∂_j (A_ij p),  A = Σ Σᵀ",
        rf"\partial_{s.latex} p = -\nabla \cdot (f p) + \tfrac12 \sum_{{ij}} \partial_i \partial_j (A_{{ij}}\, p),"
        r" \qquad A = \Sigma \Sigma^\top",
    )
    backward = Notation(
        f"d{y.text} = [-f + ∇·A + A ∇log p_({end.text}-t)] dt + Σ dB,  f, A, Σ at time {end.text} - t",
        rf"d{y.latex} = \left[-f + \nabla \cdot A + A\, \nabla \log p_{{{end.latex}-t}}\right] dt + \Sigma\, dB,"
        rf" \qquad f, A, \Sigma \text{{ at time }} {end.latex} - t",
    )
    transform = Notation(
        f"V(t, {y.text}) = -log p_({end.text}-t)({y.text})",
        rf"V(t, {y.latex}) = -\log p_{{{end.latex}-t}}({y.latex})",
    )
    return (
        Step(
            "The forward process",
            "Data are turned into noise by the forward process.",
            (*lines, *named_parts(problem, lines), start),
        ),
        Step("Fokker-Planck", f"Its density p moves by the Fokker-Planck equation, in forward time {s.text}.", (density,)),
        Step(
            "Time reversal",
            f"Run backwards, t = {end.text} - {s.text}, the same paths are a diffusion with the same noise and a drift corrected "
            "by the score.",
            (backward,),
        ),
        Step(
            "The HJB equation of -log p",
            "Put p = e^(-V) into the Fokker-Planck equation in reverse time. The square of the gradient is a minimum over "
            "controls u of ½|u|² + u·Σᵀ∇V: a control problem whose value is V.",
            (transform, equation.pde, *reversed_drift(parts.problem, parts.writer)),
        ),
    )


def verification_step(equation: HJBEquation, _parts: Composition) -> Step:
    _, end = _letters(equation)
    words = (
        "For any control u the cost exceeds the value by half the expected square of its distance to the optimal one "
        f"(Itô's formula for V along the controlled path, then complete the square). Started from p_{end.text} the optimal "
        "control carries noise to data."
    )
    formulas = (
        Notation(
            f"u* = -Σᵀ∇V = Σᵀ∇log p_({end.text}-t)",
            rf"u^* = -\Sigma^\top \nabla V = \Sigma^\top \nabla \log p_{{{end.latex}-t}}",
        ),
        Notation(
            f"J(u) = V + ½ E ∫_0^{end.text} |u - u*|² dt",
            rf"J(u) = V + \tfrac12\, \mathbb{{E}} \int_0^{{{end.latex}}} \lVert u - u^* \rVert^2\, dt",
        ),
    )
    return Step("Verification", words, formulas)


def matching_step(equation: HJBEquation, _parts: Composition) -> Step:
    y, end = _letters(equation)
    words = (
        "Minimising the gap over networks u = Σᵀ s(t, y) needs the unknown score only through an expectation, which may be taken "
        "given the start y(0): denoising score matching, up to a constant that does not depend on the network."
    )
    formula = Notation(
        f"loss = ½ E ∫_0^{end.text} |Σᵀ ( s(t, {y.text}(t)) - ∇log p_t({y.text}(t) | {y.text}(0)) )|² dt",
        rf"\ell(s) = \tfrac12\, \mathbb{{E}} \int_0^{{{end.latex}}} \left\lVert \Sigma^\top \left( s(t, {y.latex}(t))"
        rf" - \nabla \log p_t({y.latex}(t) \mid {y.latex}(0)) \right) \right\rVert^2 dt",
    )
    return Step("Score matching", words, (formula,))

"""The middle of the derivation: transformed objectives, the limit h -> 0, the generator.

In: equation, composition. Out: one `Step` each, or None.
"""

from __future__ import annotations

from hjbdsl.model.equation import HJBEquation, Step
from hjbdsl.model.problem import ControlProblem, Notation
from hjbdsl.symbolic.composition import Composition
from hjbdsl.symbolic.equation_text import inequality_word, nonlocal_pieces
from hjbdsl.symbolic.kind import deterministic
from hjbdsl.symbolic.latex import latex_symbol
from hjbdsl.symbolic.letters import step_letter
from hjbdsl.symbolic.terms.notation import generator_pieces, risk_pieces
from hjbdsl.symbolic.text import text_symbol
from hjbdsl.symbolic.transform import risk_weight
from hjbdsl.symbolic.writing import join


def transformed_step(_equation: HJBEquation, parts: Composition) -> Step | None:
    """Risk: the exponential transform and the quadratic it leaves."""
    weight = risk_weight(parts.problem)
    if weight is None:
        return None
    theta = parts.writer.write(weight)
    second = "½ θ |Σᵀ∇V|²", r"\tfrac12 \theta \lVert \Sigma^\top \nabla V \rVert^2"
    pieces = risk_pieces(parts.problem, parts.writer, parts.covariance) or [Notation(*second)]
    sum_ = join(pieces)
    formula = Notation(
        f"φ = e^({theta.text} V),   L φ = {theta.text} φ ( L V + {sum_.text} )",
        rf"\varphi = e^{{{theta.latex} V}}, \qquad"
        rf" \mathcal{{L}} \varphi = {theta.latex}\, \varphi \left( \mathcal{{L}} V + {sum_.latex} \right)",
    )
    words = (
        f"Write the Bellman equation for φ = e^({theta.text} V), where it is an ordinary expectation (the Cole-Hopf transform). "
        "The square of V's increment does not vanish inside the exponential and leaves a quadratic in the gradient."
    )
    return Step("Risk sensitivity", words, (formula,))


def limit_step(equation: HJBEquation, parts: Composition) -> Step:
    h = step_letter(parts.problem).text
    words = f"Put the pieces together: V cancels on both sides. Divide by {h} and let {h} → 0."
    if parts.obstacle is not None:
        word = inequality_word(parts.problem)
        words += f" Where going on is optimal the first argument of {word} is zero, where stopping is the second: "
        words += "a variational inequality."
        if parts.obstacle.kind != "stop":
            words = (
                "Put the pieces together: where the extremum does not lie at the present moment V cancels; "
                f"divide by {h} and let {h} → 0. Elsewhere V is the present quantity itself. Both in one line, with {word}."
            )
    name = "The Hamilton-Jacobi equation" if deterministic(parts.problem) else "The Hamilton-Jacobi-Bellman equation"
    if not parts.problem.controls:
        name = "The equation (Feynman-Kac)" if parts.obstacle is None else "The variational inequality"
    if parts.problem.adversaries:
        name = "The Hamilton-Jacobi-Isaacs equation"
    if deterministic(parts.problem):
        words += " Without noise it is of first order; V solves it in the viscosity sense where it has kinks."
    return Step(name, words, (equation.pde,))


def generator_letter(problem: ControlProblem) -> Notation:
    """L, with the controls it depends on above it."""
    groups = (*problem.controls, *problem.adversaries)
    if not groups:
        return Notation("L", r"\mathcal{L}")
    text, latex = ", ".join(text_symbol(g.name) for g in groups), ", ".join(latex_symbol(g.name) for g in groups)
    return Notation(f"L^{text}" if len(text) == 1 else f"L^({text})", rf"\mathcal{{L}}^{{{latex}}}")


def generator_step(_equation: HJBEquation, parts: Composition) -> Step | None:
    pieces = generator_pieces(parts.problem, parts.writer, parts.covariance) + nonlocal_pieces(parts.problem, parts.writer)
    if not pieces:
        return None
    inner = join(pieces)
    mark = generator_letter(parts.problem)
    formula = Notation(f"{mark.text} V = {inner.text}", f"{mark.latex} V = {inner.latex}")
    parts_there = (
        ("drift times gradient", any(b != 0 for b in parts.problem.drift)),
        ("half the trace of covariance times Hessian", bool(parts.covariance)),
        ("the jumps", bool(parts.problem.jumps)),
        ("the changes of mode", bool(parts.problem.modes)),
    )
    *first, last = [words for words, there in parts_there if there] or ["nothing but the discount"]
    told = f"{', '.join(first)} and {last}" if first else last
    return Step("The generator", f"What the dynamics add to V per unit of time: {told}.", (formula,))

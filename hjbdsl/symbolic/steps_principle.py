"""The first part of the derivation: the problem, dynamic programming over one step h, and what each kind of randomness adds.

In: equation and composition. Out: one `Step` each, or None where the problem has no such part.
"""

from __future__ import annotations

import sympy as sp

from hjbdsl.model.equation import HJBEquation, Step
from hjbdsl.model.problem import Notation
from hjbdsl.symbolic.composition import Composition
from hjbdsl.symbolic.definitions import abbreviations, soft_reward, value_definition, value_name
from hjbdsl.symbolic.dynamics_text import correlation_lines, dynamics_lines, rate_lines
from hjbdsl.symbolic.equation_text import optimiser_word, soft_word
from hjbdsl.symbolic.kind import deterministic
from hjbdsl.symbolic.terms.notation import generator_pieces, jump_pieces, mode_pieces
from hjbdsl.symbolic.writing import Writer, bracketed, join


def problem_step(_equation: HJBEquation, parts: Composition) -> Step:
    problem, writer = parts.problem, parts.writer
    lines = [
        *dynamics_lines(problem, writer, parts.covariance),
        *correlation_lines(problem, writer),
        *rate_lines(problem, writer),
    ]
    verb = {"maximize": "largest", "minimize": "smallest", "evaluate": "expected"}[problem.objective.sense]
    back = ", discounted back to t" if problem.objective.discount != 0 and not parts.stationary else ""
    if problem.objective.form == "average":
        what = "η is the best long-run average; V(x), the relative value, is what a start at x is worth beyond it."
    else:
        what = f"V is the {verb} value of the objective for a process restarted at this point{back}."
    return Step(
        "The problem",
        f"The state moves as below. {what}",
        (*lines, value_definition(problem, writer), *abbreviations(problem, writer)),
    )


def _running(parts: Composition) -> Notation:
    objective = parts.problem.objective
    if objective.form in ("running_min", "running_max") or (objective.running == 0 and parts.problem.exploration is None):
        return Notation("", "")
    f = soft_reward(parts.problem, parts.writer)
    return Notation(f"{bracketed(f.text)} h", f"{bracketed(f.latex)}\\, h")


def _next_value(writer: Writer) -> Notation:
    return Notation("V(X_h)", "V(X_h)") if writer.stationary else Notation("V(t + h, X_{t+h})", "V(t + h, X_{t+h})")


def _factor(parts: Composition) -> Notation:
    rate = parts.problem.objective.discount
    if rate == 0:
        return Notation("", "")
    written = parts.writer.written("discount", rate)
    return Notation(f"e^(-{bracketed(written.text)} h) ", f"e^{{-{bracketed(written.latex)} h}}\\, ")


def _expect(parts: Composition, inner: Notation) -> Notation:
    if deterministic(parts.problem):
        return Notation(f"{{ {inner.text} }}", rf"\left\{{ {inner.latex} \right\}}")
    return Notation(f"E[ {inner.text} ]", rf"\mathbb{{E}}\left[ {inner.latex} \right]")


def principle_step(_equation: HJBEquation, parts: Composition) -> Step:
    """The discrete Bellman equation of this problem, in the form its objective asks for."""
    name = value_name(parts.problem, parts.writer)
    body = _principle(parts)
    formula = Notation(f"{name.text} = {body.text} + o(h)", f"{name.latex} = {body.latex} + o(h)")
    return Step("Dynamic programming over one step h", _principle_words(parts), (formula,))


def _principle(parts: Composition) -> Notation:
    problem = parts.problem
    word = soft_word(problem) if problem.exploration else optimiser_word(problem) or Notation("", "")
    running, factor, following = _running(parts), _factor(parts), _next_value(parts.writer)
    continued = Notation(factor.text + following.text, factor.latex + following.latex)
    if problem.objective.form == "average":
        f = soft_reward(problem, parts.writer)
        running = Notation(f"({bracketed(f.text)} - η) h", rf"({bracketed(f.latex)} - \eta) h")
    inner = join([p for p in (running, continued) if p.text])
    if problem.objective.form == "risk":
        theta = parts.writer.write(problem.objective.risk or sp.Integer(0))
        exponential = rf"\log \mathbb{{E}}\, e^{{{theta.latex} \left[ {inner.latex} \right]}}"
        text = f"{word.text}(1/{theta.text}) log E exp({theta.text} [ {inner.text} ])"
        return Notation(text, rf"{word.latex}\frac{{1}}{{{theta.latex}}} {exponential}")
    expected = _expect(parts, inner)
    best = Notation(word.text + expected.text, word.latex + expected.latex)
    if parts.obstacle is None:
        return best
    payoff = parts.writer.write(parts.obstacle.payoff)
    outer = {"running_min": "min", "running_max": "max"}.get(
        parts.obstacle.kind, "max" if problem.objective.sense == "maximize" else "min"
    )
    return Notation(f"{outer}( {payoff.text}, {best.text} )", rf"\{outer}\left( {payoff.latex},\; {best.latex} \right)")


def _principle_words(parts: Composition) -> str:
    problem = parts.problem
    words = ["The controller holds the control for a time h, collects what comes in, and goes on optimally from where the state"]
    words = [f"{words[0]} then is: the discrete Bellman equation."]
    if not problem.controls:
        words = ["Nothing is chosen: let a time h pass and take the expectation over where the state then is."]
    if problem.objective.discount != 0:
        words.append("The discount factor of a step of length h is e^(-rate h).")
    if problem.exploration is not None:
        words.append("The control is drawn from a density π, and every unit of time pays for its entropy.")
    if problem.adversaries:
        words.append("The adversary answers inside.")
    match problem.objective.form:
        case "risk":
            words.append("The certainty equivalent (1/theta) log E exp(theta ...) takes the expectation's place.")
        case "average":
            words.append("Every unit of time is charged the average η, so that nothing needs discounting.")
        case "running_min" | "running_max":
            words.append("The extremum over the whole path is the extremum of now and the rest.")
    if problem.stopping is not None:
        words.append("At every moment stopping at once is a choice too.")
    return " ".join(words)


def ito_step(_equation: HJBEquation, parts: Composition) -> Step | None:
    """Taylor's formula to second order with dW dW = dt."""
    problem, writer = parts.problem, parts.writer
    pieces = [] if parts.stationary else [Notation("∂_t V", r"\partial_t V")]
    pieces += generator_pieces(problem, writer, parts.covariance)
    if not pieces:
        return None
    inner = join(pieces)
    following = _next_value(writer)
    if not parts.covariance:
        formula = Notation(f"{following.text} = V + h [ {inner.text} ] + o(h)",
                           rf"{following.latex} = V + h \left[ {inner.latex} \right] + o(h)")  # fmt: skip
        return Step(
            "Taylor's formula", "Without noise the state moves by drift times h, and V changes to first order.", (formula,)
        )
    rules = [Notation("dW dW = dt,  dW dt = 0,  dt dt = 0", r"dW\,dW = dt, \qquad dW\,dt = 0, \qquad dt\,dt = 0")]
    if len(problem.noises) > 1:
        rules.append(Notation("dW_i dW_j = 0 for different noises that no statement correlates",
                              r"dW_i\,dW_j = 0 \quad \text{for different noises that no statement correlates}"))  # fmt: skip
    rules += correlation_lines(problem, writer)
    formula = Notation(f"E {following.text} = V + h [ {inner.text} ] + o(h)",
                       rf"\mathbb{{E}}\, {following.latex} = V + h \left[ {inner.latex} \right] + o(h)")  # fmt: skip
    words = (
        "Expand V to second order. A Brownian increment is of size √h, so its square counts as h while its mean is zero: "
        "the second derivatives of V stay, weighted by half the covariance of the noise."
    )
    return Step("Taylor and Itô", words, (*rules, formula))


def jump_step(_equation: HJBEquation, parts: Composition) -> Step | None:
    if not parts.problem.jumps:
        return None
    names = ", ".join(jump.name for jump in parts.problem.jumps)
    words = (
        f"A jump of {names} comes in a step h with probability rate times h, and two with o(h). "
        "It carries the state to a new place at once, so V there enters, not a derivative"
    )
    words += ": averaged over the mark." if any(j.mark is not None for j in parts.problem.jumps) else "."
    pieces = jump_pieces(parts.problem, parts.writer)
    return Step("Jumps", words, tuple(Notation(f"h · {p.text}", rf"h \cdot {p.latex}") for p in pieces))


def mode_step(_equation: HJBEquation, parts: Composition) -> Step | None:
    if not parts.problem.modes:
        return None
    names = ", ".join(chain.name for chain in parts.problem.modes)
    words = (
        f"The mode {names} leaves its present value in a step h with probability rate times h; V is one function for each mode."
    )
    pieces = mode_pieces(parts.problem)
    return Step("Modes", words, tuple(Notation(f"h · {p.text}", rf"h \cdot {p.latex}") for p in pieces))


def discount_step(_equation: HJBEquation, parts: Composition) -> Step | None:
    if parts.problem.objective.discount == 0 or parts.problem.objective.form == "risk":
        return None
    rate = parts.writer.written("discount", parts.problem.objective.discount)
    r, mark = bracketed(rate.text), bracketed(rate.latex)
    formula = Notation(f"e^(-{r} h) V = V - h {r} V + o(h)", f"e^{{-{mark} h}}\\, V = V - h\\, {mark}\\, V + o(h)")
    return Step("Discounting", "Over one step the discount takes away its rate times V.", (formula,))

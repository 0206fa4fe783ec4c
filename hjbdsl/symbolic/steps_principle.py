"""The first part of the derivation: the problem, dynamic programming over one step h, and what each kind of randomness adds.

In: equation and composition. Out: one `Step` each, or None where the problem has no such part.
"""

from __future__ import annotations

import sympy as sp

from hjbdsl.model.equation import HJBEquation, Step
from hjbdsl.model.problem import ControlProblem, Notation
from hjbdsl.symbolic.composition import Composition
from hjbdsl.symbolic.definitions import abbreviations, named_parts
from hjbdsl.symbolic.dynamics_text import correlation_lines, dynamics_lines, rate_lines
from hjbdsl.symbolic.equation_text import explored_group, optimiser_word, policy_letter, soft_word
from hjbdsl.symbolic.kind import deterministic
from hjbdsl.symbolic.latex import latex_symbol
from hjbdsl.symbolic.letters import average_letter, step_letter
from hjbdsl.symbolic.terms.notation import generator_pieces, jump_pieces, mode_pieces
from hjbdsl.symbolic.text import text_symbol
from hjbdsl.symbolic.value_text import soft_reward, value_definition, value_name
from hjbdsl.symbolic.writing import Writer, bracketed, divisor, factor, join


def problem_step(_equation: HJBEquation, parts: Composition) -> Step:
    problem, writer = parts.problem, parts.writer
    lines = [
        *dynamics_lines(problem, writer, parts.covariance),
        *correlation_lines(problem, writer),
        *rate_lines(problem, writer),
    ]
    back = ", discounted back to t" if problem.objective.discount != 0 and not parts.stationary else ""
    eta = average_letter(problem).text
    if problem.objective.form == "average":
        best = "the best long-run average" if problem.controls else "the long-run average"
        what = f"{eta} is {best}; V, the relative value, is what a start at one point rather than another is worth beyond it."
    else:
        what = f"V is {_worth(problem)} for a process restarted at this point{back}."
    lines += [value_definition(problem, writer), *abbreviations(problem, writer)]
    return Step("The problem", f"The state moves as below. {what}", (*lines, *named_parts(problem, lines)))


def _worth(problem: ControlProblem) -> str:
    if problem.adversaries:
        return "the value of the game"
    if not problem.controls and problem.stopping is None:
        return "the expected value of what is paid" if problem.objective.stochastic else "what the objective comes to"
    return f"the {'largest' if problem.objective.sense == 'maximize' else 'smallest'} value of the objective"


def _running(parts: Composition) -> Notation:
    objective = parts.problem.objective
    if objective.form in ("running_min", "running_max") or (objective.running == 0 and parts.problem.exploration is None):
        return Notation("", "")
    f = soft_reward(parts.problem, parts.writer)
    h = step_letter(parts.problem)
    return Notation(f"{factor(f.text)} {h.text}", f"{bracketed(f.latex)}\\, {h.latex}")


def _next_value(writer: Writer) -> Notation:
    """V a step later; X stands for all the states."""
    h = step_letter(writer.problem)
    later = h if writer.stationary else Notation(f"(t+{h.text})", f"t+{h.latex}")
    text = [] if writer.stationary else [f"t + {h.text}"]
    latex = [] if writer.stationary else [f"t + {h.latex}"]
    moving = [Notation("X", "X")] if writer.problem.states else []
    moving += [Notation(text_symbol(chain.name), latex_symbol(chain.name)) for chain in writer.problem.modes]
    text += [f"{name.text}_{later.text}" for name in moving]
    latex += [f"{name.latex}_{{{later.latex}}}" for name in moving]
    return Notation(f"V({', '.join(text)})", f"V({', '.join(latex)})")


def _factor(parts: Composition) -> Notation:
    rate = parts.problem.objective.discount
    if rate == 0:
        return Notation("", "")
    written = parts.writer.written("discount", rate)
    h = step_letter(parts.problem)
    return Notation(f"e^(-{factor(written.text)} {h.text}) ", f"e^{{-{bracketed(written.latex)} {h.latex}}}\\, ")


def _expect(parts: Composition, inner: Notation) -> Notation:
    if deterministic(parts.problem):
        return Notation(f"{{ {inner.text} }}", rf"\left\{{ {inner.latex} \right\}}")
    return Notation(f"E[ {inner.text} ]", rf"\mathbb{{E}}\left[ {inner.latex} \right]")


def principle_step(_equation: HJBEquation, parts: Composition) -> Step:
    """The discrete Bellman equation of this problem, in the form its objective asks for."""
    name = value_name(parts.problem, parts.writer)
    body = _principle(parts)
    h = step_letter(parts.problem)
    formula = Notation(f"{name.text} = {body.text} + o({h.text})", f"{name.latex} = {body.latex} + o({h.latex})")
    return Step(f"Dynamic programming over one step {h.text}", _principle_words(parts, h.text), (formula,))


def _principle(parts: Composition) -> Notation:
    problem = parts.problem
    word = soft_word(problem) if problem.exploration else optimiser_word(problem) or Notation("", "")
    running, fade, following = _running(parts), _factor(parts), _next_value(parts.writer)
    continued = Notation(fade.text + following.text, fade.latex + following.latex)
    if problem.objective.form == "average":
        f, eta, h = soft_reward(problem, parts.writer), average_letter(problem), step_letter(problem)
        gain = join([f, Notation(f"-{eta.text}", f"-{eta.latex}")])
        running = Notation(f"({gain.text}) {h.text}", rf"({gain.latex})\, {h.latex}")
    inner = join([p for p in (running, continued) if p.text])
    if problem.objective.form == "risk":
        theta = parts.writer.write(problem.objective.risk or sp.Integer(0))
        exponential = rf"\log \mathbb{{E}}\, e^{{{theta.latex} \left[ {inner.latex} \right]}}"
        text = f"{word.text}(1/{divisor(theta.text)}) log E exp({factor(theta.text)} [ {inner.text} ])"
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


def _principle_words(parts: Composition, h: str) -> str:
    problem = parts.problem
    comes = "collects what comes in" if problem.objective.sense == "maximize" else "pays what falls due"
    words = [f"The controller holds the control for a time {h}, {comes}, and goes on optimally from where the state"]
    if problem.objective.running == 0 or problem.objective.form in ("running_min", "running_max"):
        words = [f"The controller holds the control for a time {h} and goes on optimally from where the state"]
    words = [f"{words[0]} then is: the discrete Bellman equation."]
    if not problem.controls:
        chosen = "Nothing is chosen" if problem.stopping is None else "Nothing is chosen but the moment to stop"
        mean = "take the expectation over" if problem.objective.stochastic else "look at"
        words = [f"{chosen}: let a time {h} pass and {mean} where the state then is."]
    if problem.objective.discount != 0:
        words.append(f"The discount factor of a step of length {h} is e^(-rate {h}).")
    if problem.exploration is not None:
        kind = "probabilities" if explored_group(problem).bounds[0].is_finite_set else "a density"
        gain = "is rewarded for" if problem.objective.sense == "maximize" else "is charged the negative of"
        letter = policy_letter(problem).text
        words.append(f"The control is drawn from {kind} {letter}, and every unit of time {gain} its entropy.")
    if problem.adversaries:
        words.append("The adversary answers inside.")
    match problem.objective.form:
        case "risk":
            words.append("The certainty equivalent (1/theta) log E exp(theta ...) takes the expectation's place.")
        case "average":
            eta = average_letter(problem).text
            words.append(f"Every unit of time is charged the average {eta}, so that nothing needs discounting.")
        case "running_min" | "running_max":
            words.append("The extremum over the whole path is the extremum of now and the rest.")
    if problem.stopping is not None:
        words.append("Stopping at once competes with going on.")
    return " ".join(words)


def ito_step(_equation: HJBEquation, parts: Composition) -> Step | None:
    """Taylor's formula to second order with dW dW = dt."""
    problem, writer = parts.problem, parts.writer
    pieces = [] if parts.stationary else [Notation("∂_t V", r"\partial_t V")]
    pieces += generator_pieces(problem, writer, parts.covariance)
    if not pieces:
        return None
    inner, following = join(pieces), _next_value(writer)
    h = step_letter(problem)
    if not parts.covariance:
        formula = Notation(f"{following.text} = V + {h.text} [ {inner.text} ] + o({h.text})",
                           rf"{following.latex} = V + {h.latex} \left[ {inner.latex} \right] + o({h.latex})")  # fmt: skip
        words = f"Without noise the state moves by drift times {h.text}, and V changes to first order."
        return Step("Taylor's formula", words, (formula,))
    rules = [Notation("dW dW = dt,  dW dt = 0,  dt dt = 0", r"dW\,dW = dt, \qquad dW\,dt = 0, \qquad dt\,dt = 0")]
    if len(problem.noises) > 1:
        rules.append(Notation("dW_i dW_j = 0 for different noises that no statement correlates",
                              r"dW_i\,dW_j = 0 \quad \text{for different noises that no statement correlates}"))  # fmt: skip
    rules += correlation_lines(problem, writer)
    formula = Notation(f"E {following.text} = V + {h.text} [ {inner.text} ] + o({h.text})",
                       rf"\mathbb{{E}}\, {following.latex} = V + {h.latex}"
                       rf" \left[ {inner.latex} \right] + o({h.latex})")  # fmt: skip
    words = (
        f"Expand V to second order. A Brownian increment is of size √{h.text}, so its square counts as {h.text} "
        "while its mean is zero: the second derivatives of V stay, weighted by half the covariance of the noise."
    )
    return Step("Taylor and Itô", words, (*rules, formula))


def jump_step(_equation: HJBEquation, parts: Composition) -> Step | None:
    if not parts.problem.jumps:
        return None
    names, h = " or ".join(text_symbol(jump.name) for jump in parts.problem.jumps), step_letter(parts.problem)
    words = (
        f"A jump of {names} comes in a step {h.text} with probability rate times {h.text}, and two with o({h.text}). "
        "It carries the state to a new place at once, so V there enters, not a derivative"
    )
    words += ": averaged over the mark." if any(j.mark is not None for j in parts.problem.jumps) else "."
    pieces = jump_pieces(parts.problem, parts.writer)
    return Step("Jumps", words, tuple(Notation(f"{h.text} · {p.text}", rf"{h.latex} \cdot {p.latex}") for p in pieces))


def mode_step(_equation: HJBEquation, parts: Composition) -> Step | None:
    if not parts.problem.modes:
        return None
    names, h = ", ".join(text_symbol(chain.name) for chain in parts.problem.modes), step_letter(parts.problem)
    words = (
        f"The mode {names} leaves its present value in a step {h.text} with probability rate times {h.text}; "
        "V is one function for each mode."
    )
    pieces = mode_pieces(parts.problem, parts.writer)
    return Step("Modes", words, tuple(Notation(f"{h.text} · {p.text}", rf"{h.latex} \cdot {p.latex}") for p in pieces))


def discount_step(_equation: HJBEquation, parts: Composition) -> Step | None:
    if parts.problem.objective.discount == 0 or parts.problem.objective.form == "risk":
        return None
    rate = parts.writer.written("discount", parts.problem.objective.discount)
    h, r, mark = step_letter(parts.problem), factor(rate.text), bracketed(rate.latex)
    formula = Notation(f"e^(-{r} {h.text}) V = V - {r} {h.text} V + o({h.text})",
                       f"e^{{-{mark} {h.latex}}}\\, V = V - {mark} {h.latex}\\, V + o({h.latex})")  # fmt: skip
    return Step("Discounting", "Over one step the discount takes away its rate times V.", (formula,))

"""The value as it is written: V as the best expectation restarted at a point, with what is collected and what is paid at the end.

In: a problem and its `Writer`. Out: `Notation`.
"""

from __future__ import annotations

import re
from dataclasses import replace

import sympy as sp

from hjbdsl.model.problem import TIME, ControlProblem, Notation
from hjbdsl.symbolic.ends_text import surprise
from hjbdsl.symbolic.equation_text import entropic, optimiser_word, soft_word
from hjbdsl.symbolic.horizon import last_time
from hjbdsl.symbolic.latex import latex_symbol
from hjbdsl.symbolic.letters import average_letter, clock, inner_clock, words_apart
from hjbdsl.symbolic.text import text_symbol
from hjbdsl.symbolic.writing import Writer, bracketed, divisor, equal, factor, is_sum, join, parenthesised

_LONGEST_PAYOFF = 40
_NOW = Notation("t", "t")
_CLOCK = re.compile(r"(?<![\\\w])t(?!\w)")
"""The letter t, no part of a word or a command."""


def value_name(problem: ControlProblem, writer: Writer) -> Notation:
    """V(t, x, z) with the states and modes it depends on."""
    modes = [chain.name for chain in problem.modes]
    names = [*([] if writer.stationary else ["t"]), *(g.name for g in problem.states), *modes]
    return Notation(f"V({', '.join(map(text_symbol, names))})", f"V({', '.join(map(latex_symbol, names))})")


def value_definition(problem: ControlProblem, writer: Writer) -> Notation:
    """V as the best expectation restarted at (t, x), discounted back to t."""
    name = value_name(problem, writer)
    objective = problem.objective
    word = _best(problem)
    match objective.form:
        case "average":
            f = soft_reward(problem, writer)
            mean = rf"\lim_{{T \to \infty}} \frac1T\, \mathbb{{E}} \int_0^T {under_integral(f.latex)}\, dt"
            eta = average_letter(problem)
            text = f"{eta.text} = {word.text}lim 1/T E ∫_0^T {under_integral(f.text)} dt as T → ∞"
            return Notation(text, f"{eta.latex} = {word.latex}{mean}")
        case "running_min" | "running_max":
            extreme = objective.form.removeprefix("running_")
            s, end = clock(problem), writer.write(last_time(problem))
            quantity = _at(problem, writer, objective.running, s, Notation("l", "l"))
            text = f"{name.text} = {word.text}{extreme} over {s.text} in [t, {end.text}] of {bracketed(quantity.text)}"
            latex = rf"\{extreme}_{{t \le {s.latex} \le {end.latex}}} {bracketed(quantity.latex)}"
            return Notation(text, f"{name.latex} = {word.latex}{latex}")
        case _:
            inner = join(_payoffs(problem, writer))
            return equal(name, _expected(problem, writer, word, inner))


def _best(problem: ControlProblem) -> Notation:
    """max over controls (and the stopping time)."""
    word = soft_word(problem) if problem.exploration else optimiser_word(problem) or Notation("", "")
    if problem.stopping is None:
        return word
    best = "max" if problem.objective.sense == "maximize" else "min"
    letter, mark = text_symbol(problem.stopping.name), latex_symbol(problem.stopping.name)
    if word.text:
        return Notation(word.text.replace(" of ", f", {letter} of ", 1), word.latex.replace("}", f", {mark}}}", 1))
    return Notation(f"{best} over {letter} of ", rf"\{best}_{{{mark}}} ")


def _expected(problem: ControlProblem, writer: Writer, word: Notation, inner: Notation) -> Notation:
    if problem.objective.form == "risk":
        theta = writer.write(problem.objective.risk or sp.Integer(0))
        exponential = rf"\exp\left( {theta.latex} \left[ {inner.latex} \right] \right)"
        text = f"{word.text}(1/{divisor(theta.text)}) log E exp({factor(theta.text)} [ {inner.text} ])"
        return Notation(text, rf"{word.latex}\frac{{1}}{{{theta.latex}}} \log \mathbb{{E}} {exponential}")
    if not problem.objective.stochastic:
        return Notation(f"{word.text}[ {inner.text} ]", rf"{word.latex}\left[ {inner.latex} \right]")
    return Notation(f"{word.text}E[ {inner.text} ]", rf"{word.latex}\mathbb{{E}}\left[ {inner.latex} \right]")


def _payoffs(problem: ControlProblem, writer: Writer) -> list[Notation]:
    """The integral and what is paid at the end, at stopping and at exit."""
    objective = problem.objective
    start = Notation("0", "0") if writer.stationary else Notation("t", "t")
    end = _random_end(problem, writer)
    pieces: list[Notation] = []
    if objective.running != 0 or problem.exploration is not None:
        s = clock(problem)
        f = soft_reward(problem, writer, s)
        fade = _discount_factor(problem, writer, s)
        pieces.append(Notation(
            f"∫_{start.text}^{end.text} {fade.text}{under_integral(f.text)} d{s.text}".replace("  ", " "),
            rf"\int_{{{start.latex}}}^{{{end.latex}}} {fade.latex}{under_integral(f.latex)}\, d{s.latex}"))  # fmt: skip
    if problem.reversal is not None:
        return [*pieces, surprise(problem, f"({end.text})")]
    for value in dict.fromkeys((objective.stop_value, objective.exit_value, objective.terminal)):
        if value is not None and value != 0:
            amount = _paid(problem, writer, value, end)
            fade = _discount_factor(problem, writer, end)
            pieces.append(times_factor(fade, amount))
    return pieces or [Notation("0", "0")]


def times_factor(fade: Notation, amount: Notation) -> Notation:
    """The discount factor, if there is one, times what is paid."""
    if not fade.text:
        return amount
    if amount.text == "1":
        return Notation(fade.text.rstrip(), fade.latex.rstrip())
    return Notation(fade.text + bracketed(amount.text), fade.latex + bracketed(amount.latex))


def under_integral(written: str) -> str:
    """In parentheses where a sum, or a sign in front, would run into what stands before it; a reward of 1 needs no writing."""
    if written == "1":
        return ""
    return parenthesised(written) if is_sum(written) or written.startswith("-") else written


def _paid(problem: ControlProblem, writer: Writer, value: sp.Expr, end: Notation) -> Notation:
    """What is paid at `end`, in the file's own words with the time put to every state: log(x(T)), |x(T)|²."""
    objective = problem.objective
    places = (("terminal", objective.terminal), ("stop", objective.stop_value), ("exit", objective.exit_value))
    own = next((problem.notation[key,] for key, paid in places if paid == value and (key,) in problem.notation), None)
    if own is None:
        return _at(problem, writer, value, end, Notation("g", "g"))
    text, latex = own.text, own.latex
    for group in problem.states:
        letter, mark = re.escape(text_symbol(group.name)), re.escape(latex_symbol(group.name))
        text = re.sub(rf"(?<!\w){letter}(?![A-Za-z0-9_(])", lambda found: f"{found[0]}({end.text})", text)
        index = r"(?:_\{?\w+\}?)?" if group.shape else ""
        state = rf"(?<![\\A-Za-z_])(?<!_\{{){mark}{index}(?![A-Za-z_(])"
        latex = re.sub(state, lambda found: f"{found[0]}({end.latex})", latex)
    return Notation(text, latex)


def _at(problem: ControlProblem, writer: Writer, value: sp.Expr, end: Notation, letter: Notation) -> Notation:
    """`value` with the states at a time: log(x(T)); g(x(T)) for vectors and long expressions."""
    names = [g.name for g in problem.states]
    if writer.vector or sp.count_ops(value) > _LONGEST_PAYOFF:
        text = ", ".join(f"{text_symbol(n)}({end.text})" for n in names)
        latex = ", ".join(f"{latex_symbol(n)}({end.latex})" for n in names)
        return Notation(f"{letter.text}({text})", f"{letter.latex}({latex})")
    states = problem.state_symbols
    then = replace(
        writer,
        text_names={**writer.text_names, **{s: f"{text_symbol(s.name)}({end.text})" for s in states}},
        latex_names={**writer.latex_names, **{s: f"{latex_symbol(s.name)}({end.latex})" for s in states}},
    )
    return then.write(value)


def soft_reward(problem: ControlProblem, writer: Writer, at: Notation = _NOW) -> Notation:
    """f at time `at`; under `explore` its mean over the policy with the entropy's share."""
    running = problem.objective.running
    f = writer.written("running", running)
    if at != _NOW and TIME in running.free_symbols:
        f = Notation(_CLOCK.sub(at.text, f.text), _CLOCK.sub(at.latex, f.latex))
    return entropic(problem, writer, f) if problem.exploration else f


def _random_end(problem: ControlProblem, writer: Writer) -> Notation:
    rule = problem.stopping or problem.exit
    if rule is not None:
        return Notation(text_symbol(rule.name), latex_symbol(rule.name))
    return writer.write(last_time(problem))


def _discount_factor(problem: ControlProblem, writer: Writer, until: Notation) -> Notation:
    rate = problem.objective.discount
    if rate == 0:
        return Notation("", "")
    written = writer.written("discount", rate)
    if rate.free_symbols <= set(problem.values):
        gap = until if writer.stationary else Notation(f"({until.text} - t)", f"({until.latex} - t)")
        exponent = words_apart(f"{bracketed(written.latex)} {gap.latex}")
        return Notation(f"e^(-{factor(written.text)} {gap.text}) ", f"e^{{-{exponent}}} ")
    start, v = "0" if writer.stationary else "t", inner_clock(problem)
    return Notation(f"e^(-∫_{start}^{until.text} {bracketed(written.text)} d{v.text}) ",
                    rf"e^{{-\int_{start}^{{{until.latex}}} {bracketed(written.latex)}\, d{v.latex}}} ")  # fmt: skip

"""The equation as it is written: PDE, Q-function and advantage rate, as `Notation`.

In: the composed pieces and a `Writer`. Out: text and LaTeX. The user's own notation is used where the file gives it.
"""

from __future__ import annotations

from collections.abc import Mapping

import sympy as sp

from hjbdsl.model.equation import AVERAGE
from hjbdsl.model.problem import ControlProblem, Notation, VariableGroup
from hjbdsl.symbolic.derivatives import control_set, depends
from hjbdsl.symbolic.latex import latex_symbol
from hjbdsl.symbolic.letters import advantage_letter, q_function_letter
from hjbdsl.symbolic.terms.notation import generator_pieces, jump_pieces, mode_pieces, risk_pieces
from hjbdsl.symbolic.text import text_symbol
from hjbdsl.symbolic.writing import Writer, divisor, equal, join, minus, times


def running_piece(problem: ControlProblem, writer: Writer) -> list[Notation]:
    if problem.objective.form in ("running_min", "running_max") or problem.objective.running == 0:
        return []
    return [writer.written("running", problem.objective.running)]


def _over(word: str, groups: tuple[VariableGroup, ...]) -> Notation:
    text = ", ".join(text_symbol(g.name) for g in groups)
    letters = ", ".join(latex_symbol(g.name) for g in groups)
    return Notation(f"{word} over {text} of ", rf"\{word}_{{{letters}}} ")


def optimiser_word(problem: ControlProblem) -> Notation | None:
    r"""`max over pi, k of` and `\max_{\pi, k}`; for a game both, the controller outside; None without a control."""
    best, worst = ("max", "min") if problem.objective.sense == "maximize" else ("min", "max")
    words = [_over(word, groups) for word, groups in ((best, problem.controls), (worst, problem.adversaries)) if groups]
    return Notation("".join(w.text for w in words), "".join(w.latex for w in words)) if words else None


def policy_letter(problem: ControlProblem) -> Notation:
    """π for the random policy, unless the file has a pi of its own."""
    names = {s.name for s in (*problem.values, *problem.state_symbols, *problem.control_symbols)}
    return Notation("ϖ", r"\varpi") if "pi" in names else Notation("π", r"\pi")


def optimised(problem: ControlProblem, writer: Writer, inner: Notation) -> Notation:
    """max or min of `inner` over the controls; under `explore` the soft one, over policies, with the entropy's share."""
    word = optimiser_word(problem)
    if word is None:
        return inner
    if problem.exploration is None:
        return Notation(f"{word.text}{{ {inner.text} }}", rf"{word.latex}\left\{{ {inner.latex} \right\}}")
    return _soft(problem, writer, inner)


def _soft(problem: ControlProblem, writer: Writer, inner: Notation) -> Notation:
    word, averaged = soft_word(problem), entropic(problem, writer, inner)
    return Notation(f"{word.text}{{ {averaged.text} }}", rf"{word.latex}\left\{{ {averaged.latex} \right\}}")


def explored_group(problem: ControlProblem) -> VariableGroup:
    assert problem.exploration is not None
    explored = set(problem.exploration.controls)
    return next(g for g in problem.controls if not explored.isdisjoint(g.symbols))


def soft_word(problem: ControlProblem) -> Notation:
    """`max over π of`, the controls that are not explored outside."""
    best = "max" if problem.objective.sense == "maximize" else "min"
    group, policy = explored_group(problem), policy_letter(problem)
    others = tuple(g for g in problem.controls if g is not group)
    outer = _over(best, others) if others else Notation("", "")
    return Notation(f"{outer.text}{best} over {policy.text} of ", rf"{outer.latex}\{best}_{{{policy.latex}}} ")


def entropic(problem: ControlProblem, writer: Writer, inner: Notation) -> Notation:
    """The mean of `inner` over the policy with the entropy's share: ∫ [inner - l log π(a)] π(a) da, + under minimize."""
    exploration, group, policy = problem.exploration, explored_group(problem), policy_letter(problem)
    assert exploration is not None
    a, mark = text_symbol(group.name), latex_symbol(group.name)
    sign = "-" if problem.objective.sense == "maximize" else "+"
    rate = writer.write(exploration.temperature)
    ratio = Notation(f"{policy.text}({a})", rf"{policy.latex}({mark})")
    if exploration.prior is not None:
        ratio = Notation(f"({ratio.text}/{policy.text}₀({a}))", rf"\frac{{{ratio.latex}}}{{{policy.latex}_0({mark})}}")
    body = Notation(
        f"[{inner.text} {sign} {rate.text} log {ratio.text}] {policy.text}({a})",
        rf"\left[{inner.latex} {sign} {rate.latex} \log {ratio.latex}\right] {policy.latex}({mark})",
    )
    if group.bounds[0].is_finite_set:
        return Notation(f"Σ_{a} {body.text}", rf"\sum_{{{mark}}} {body.latex}")
    return Notation(f"∫ {body.text} d{a}", rf"\int {body.latex}\, d{mark}")


def discount_piece(problem: ControlProblem, writer: Writer) -> Notation | None:
    """r V outside the optimum; None without a discount, or where the controls set it (then it stands inside)."""
    if problem.objective.discount == 0 or controls_discount(problem):
        return None
    return times(writer.written("discount", problem.objective.discount), Notation("V", "V"))


def hamiltonian_notation(problem: ControlProblem, writer: Writer, covariance: Mapping[tuple[int, int], sp.Expr]) -> Notation:
    """f + L^a V as written."""
    pieces = running_piece(problem, writer) + generator_pieces(problem, writer, covariance)
    pieces += risk_pieces(problem, writer, covariance)
    return join(pieces + nonlocal_pieces(problem, writer))


def controls_discount(problem: ControlProblem) -> bool:
    return depends(problem.objective.discount, control_set(problem))


def nonlocal_pieces(
    problem: ControlProblem, writer: Writer, controls: Mapping[sp.Symbol, sp.Expr] | None = None
) -> list[Notation]:
    """Jumps, modes, and a discount that the controls set; at `controls` where they are given."""
    pieces = jump_pieces(problem, writer, controls) + mode_pieces(problem, writer, controls)
    if controls_discount(problem):
        rate = problem.objective.discount
        written = writer.write(rate.xreplace(dict(controls))) if controls else writer.written("discount", rate)
        pieces.append(minus(times(written, Notation("V", "V"))))
    return pieces


def time_derivative(writer: Writer) -> list[Notation]:
    return [] if writer.stationary else [Notation("∂_t V", r"\partial_t V")]


def equation_notation(problem: ControlProblem, writer: Writer, best: Notation, payoff: Notation | None) -> Notation:
    """The whole PDE around `best`, the optimised Hamiltonian; `payoff` is the obstacle's, if there is one."""
    discount = discount_piece(problem, writer)
    if payoff is None and problem.objective.form == "average":
        return equal(writer.write(AVERAGE), best)
    if payoff is None and writer.stationary and discount is not None:
        return equal(discount, best)
    left = join([*time_derivative(writer), best, *([minus(discount)] if discount else [])])
    return inequality(problem, left, payoff) if payoff is not None else equal(left, Notation("0", "0"))


def inequality_word(problem: ControlProblem) -> str:
    """max under maximize and running_max, min under minimize and running_min."""
    form = problem.objective.form
    return {"running_min": "min", "running_max": "max"}.get(form, "max" if problem.objective.sense == "maximize" else "min")


def inequality(problem: ControlProblem, continuation: Notation, payoff: Notation) -> Notation:
    """The variational inequality: continuation and payoff - V, one of them zero."""
    word = inequality_word(problem)
    gap = join([payoff, Notation("-V", "-V")])
    text = f"{word}( {continuation.text}, {gap.text} ) = 0"
    return Notation(text, rf"\{word}\left( {continuation.latex},\; {gap.latex} \right) = 0")


def advantage_notation(problem: ControlProblem, writer: Writer, inner: Notation) -> Notation | None:
    """q = f + V_t + L^a V - r V; None without a control."""
    if not problem.controls:
        return None
    discount = discount_piece(problem, writer)
    tail = [minus(discount)] if discount else [minus(writer.write(AVERAGE))] if problem.objective.form == "average" else []
    return equal(function_of(advantage_letter(problem), problem, writer), join([*time_derivative(writer), inner, *tail]))


def q_function_notation(problem: ControlProblem, writer: Writer, inner: Notation) -> Notation | None:
    """Q = (f + L^a V)/r for the stationary discounted form."""
    objective = problem.objective
    if not problem.controls or not writer.stationary or objective.discount == 0 or objective.form != "expectation":
        return None
    rate = writer.written("discount", objective.discount)
    right = Notation(f"[{inner.text}]/{divisor(rate.text)}", rf"\frac{{1}}{{{rate.latex}}} \left[ {inner.latex} \right]")
    return equal(function_of(q_function_letter(problem), problem, writer), right)


def function_of(letter: Notation, problem: ControlProblem, writer: Writer) -> Notation:
    """`q(t, x, a)`."""
    arguments = ["t"] if not writer.stationary else []
    modes = [chain.name for chain in problem.modes]
    chosen = [g.name for g in (*problem.controls, *problem.adversaries)]
    names = [*arguments, *(g.name for g in problem.states), *modes, *chosen]
    text, latex = ", ".join(map(text_symbol, names)), ", ".join(map(latex_symbol, names))
    return Notation(f"{letter.text}({text})", f"{letter.latex}({latex})")

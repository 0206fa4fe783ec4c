"""The equation as it is written: Hamiltonian, PDE, maximiser, Q-function and advantage rate, as `Notation`.

In: the composed pieces and a `Writer`. Out: text and LaTeX. The user's own notation is used where the file gives it.
"""

from __future__ import annotations

from collections.abc import Mapping

import sympy as sp

from hjbdsl.model.equation import AVERAGE, VALUE
from hjbdsl.model.problem import ControlProblem, Notation
from hjbdsl.symbolic.latex import latex_symbol
from hjbdsl.symbolic.terms.notation import generator_pieces, jump_pieces, mode_pieces
from hjbdsl.symbolic.text import text_symbol
from hjbdsl.symbolic.writing import Writer, join, times


def running_piece(problem: ControlProblem, writer: Writer) -> list[Notation]:
    if problem.objective.form in ("running_min", "running_max") or problem.objective.running == 0:
        return []
    return [problem.notation.get(("running",)) or writer.write(problem.objective.running)]


def optimiser_word(problem: ControlProblem) -> Notation | None:
    r"""`max over pi, k of` and `\max_{\pi, k}`; for a game both, the controller outside."""
    if not problem.controls and not problem.adversaries:
        return None
    best, worst = ("max", "min") if problem.objective.sense == "maximize" else ("min", "max")
    words = []
    for word, groups in ((best, problem.controls), (worst, problem.adversaries)):
        if groups:
            text = ", ".join(text_symbol(g.name) for g in groups)
            letters = ", ".join(latex_symbol(g.name) for g in groups)
            words.append(Notation(f"{word} over {text} of ", rf"\{word}_{{{letters}}} "))
    return Notation("".join(w.text for w in words), "".join(w.latex for w in words))


def optimised(word: Notation | None, inner: Notation) -> Notation:
    if word is None:
        return inner
    return Notation(f"{word.text}{{ {inner.text} }}", rf"{word.latex}\left\{{ {inner.latex} \right\}}")


def discount_piece(problem: ControlProblem, writer: Writer) -> Notation | None:
    """r V; None without a discount."""
    if problem.objective.discount == 0:
        return None
    rate = problem.notation.get(("discount",)) or writer.write(problem.objective.discount)
    return times(rate, Notation("V", "V"))


def hamiltonian_notation(
    problem: ControlProblem, writer: Writer, covariance: Mapping[tuple[int, int], sp.Expr], with_running: bool = True
) -> Notation:
    """f + L^a V as written."""
    pieces = running_piece(problem, writer) if with_running else []
    pieces += generator_pieces(problem, writer, covariance)
    pieces += jump_pieces(problem, writer)
    pieces += mode_pieces(problem)
    return join(pieces)


def time_derivative(writer: Writer) -> list[Notation]:
    return [] if writer.stationary else [Notation("∂_t V", r"\partial_t V")]


def equation_notation(
    problem: ControlProblem, writer: Writer, inner: Notation, word: Notation | None, obstacle: Notation | None
) -> Notation:
    """The whole PDE around the Hamiltonian `inner`; `word` is max, min or both; `obstacle` the payoff if there is one."""
    discount = discount_piece(problem, writer)
    average = problem.objective.form == "average"
    best = optimised(word, inner)
    if obstacle is not None:
        continuation = join([*time_derivative(writer), best, *([_minus(discount)] if discount else [])])
        return _inequality(problem, continuation, obstacle)
    if average:
        return _equal(writer.write(AVERAGE), best)
    if writer.stationary and discount is not None:
        return _equal(discount, best)
    left = join([*time_derivative(writer), best, *([_minus(discount)] if discount else [])])
    return _equal(left, Notation("0", "0"))


def _inequality(problem: ControlProblem, continuation: Notation, payoff: Notation) -> Notation:
    """max(continuation, payoff - V) = 0 under maximize and running_max, min under minimize and running_min."""
    form = problem.objective.form
    word = {"running_min": "min", "running_max": "max"}.get(form, "max" if problem.objective.sense == "maximize" else "min")
    gap = join([payoff, Notation("-V", "-V")])
    return Notation(
        f"{word}( {continuation.text}, {gap.text} ) = 0",
        rf"\{word}\left( {continuation.latex},\; {gap.latex} \right) = 0",
    )


def _minus(piece: Notation) -> Notation:
    return Notation(f"-{piece.text}", f"-{piece.latex}")


def _equal(left: Notation, right: Notation) -> Notation:
    return Notation(f"{left.text} = {right.text}", f"{left.latex} = {right.latex}")


def advantage_notation(problem: ControlProblem, writer: Writer, inner: Notation) -> Notation:
    """q = f + V_t + L^a V - r V."""
    discount = discount_piece(problem, writer)
    tail = [_minus(discount)] if discount else [_minus(writer.write(AVERAGE))] if problem.objective.form == "average" else []
    return _equal(_named("q", problem, writer), join([*time_derivative(writer), inner, *tail]))


def q_function_notation(problem: ControlProblem, writer: Writer, inner: Notation) -> Notation | None:
    """Q = (f + L^a V)/r for the stationary discounted form."""
    if not writer.stationary or problem.objective.discount == 0 or problem.objective.form != "expectation":
        return None
    rate = problem.notation.get(("discount",)) or writer.write(problem.objective.discount)
    right = Notation(f"({inner.text})/({rate.text})", rf"\frac{{{inner.latex}}}{{{rate.latex}}}")
    return _equal(_named("Q", problem, writer), right)


def _named(letter: str, problem: ControlProblem, writer: Writer) -> Notation:
    groups = [*problem.states, *problem.controls, *problem.adversaries]
    names = ([] if writer.stationary else ["t"]) + [g.name for g in groups]
    return Notation(
        f"{letter}({', '.join(text_symbol(n) for n in names)})", f"{letter}({', '.join(latex_symbol(n) for n in names)})"
    )


def value_symbol() -> sp.Symbol:
    return VALUE

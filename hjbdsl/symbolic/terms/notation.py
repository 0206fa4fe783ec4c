r"""The generator's terms as they are written: (A x + B u) . nabla V, tr(C C' nabla^2 V)/2, jumps and modes.

In: a problem, a `Writer`, the covariance. Out: the pieces of a sum.
"""

from __future__ import annotations

from collections.abc import Mapping

import sympy as sp

from hjbdsl.model.problem import ControlProblem, Notation, VariableGroup
from hjbdsl.symbolic.latex import latex_symbol
from hjbdsl.symbolic.text import text_symbol
from hjbdsl.symbolic.writing import Writer, is_sum, times


def generator_pieces(problem: ControlProblem, writer: Writer, covariance: Mapping[tuple[int, int], sp.Expr]) -> list[Notation]:
    """b . grad V and half the trace, by components for scalar states and in matrix notation for vectors."""
    pieces: list[Notation] = []
    offset = 0
    for group in problem.states:
        size = len(group.symbols)
        if any(problem.drift[offset + k] != 0 for k in range(size)):
            pieces.append(_drift_piece(problem, writer, group, offset))
        offset += size
    if writer.vector:
        return pieces + _trace_pieces(problem, writer, covariance)
    return pieces + _second_order(problem, writer, covariance)


def _drift_piece(problem: ControlProblem, writer: Writer, group: VariableGroup, offset: int) -> Notation:
    written = problem.notation.get(("drift", group.name))
    if not group.shape:
        derivative = _first_derivative(problem, writer, offset)
        drift = written or writer.write(problem.drift[offset])
        return derivative if problem.drift[offset] == 1 else times(drift, derivative)
    several = len(problem.states) > 1
    letters = (f"∇_{text_symbol(group.name)} V", rf"\nabla_{{{latex_symbol(group.name)}}} V") if several else ("∇V", r"\nabla V")
    drift = written or Notation(f"b_{group.name}", f"b_{{{latex_symbol(group.name)}}}")
    text = f"({drift.text})·{letters[0]}" if is_sum(drift.text) else f"{drift.text}·{letters[0]}"
    body = f"({drift.latex})" if is_sum(drift.latex) else drift.latex
    return Notation(text, rf"{body} \cdot {letters[1]}")


def _first_derivative(problem: ControlProblem, writer: Writer, index: int) -> Notation:
    symbol = sp.Symbol(f"dV[{index + 1}]", real=True)
    return Notation(writer.text_names[symbol], writer.latex_names[symbol])


def _second_order(problem: ControlProblem, writer: Writer, covariance: Mapping[tuple[int, int], sp.Expr]) -> list[Notation]:
    pieces = []
    for (i, j), entry in covariance.items():
        symbol = sp.Symbol(f"d2V[{i + 1},{j + 1}]", real=True)
        half = Notation("½ ", r"\tfrac12 ") if i == j else Notation("", "")
        number, rest = sp.factor_terms(entry).as_coeff_Mul()
        entry = number * rest
        if i == j and number.is_Integer and number % 2 == 0:
            half, entry = Notation("", ""), entry / 2
        coefficient = Notation("", "") if entry == 1 else writer.write(entry)
        derivative = Notation(writer.text_names[symbol], writer.latex_names[symbol])
        product = derivative if entry == 1 else times(coefficient, derivative)
        pieces.append(Notation(half.text + product.text, half.latex + product.latex))
    return pieces


def _trace_pieces(problem: ControlProblem, writer: Writer, covariance: Mapping[tuple[int, int], sp.Expr]) -> list[Notation]:
    """`½ σ² ΔV` for isotropic noise, else `½ tr(C C' ∇²V)` with the matrix as written."""
    if not covariance:
        return []
    diagonal = [covariance.get((i, i), sp.Integer(0)) for i in range(problem.dimension)]
    if all(i == j for i, j in covariance) and all(d == diagonal[0] for d in diagonal):
        scale = diagonal[0] / 2
        if scale == 1:
            return [Notation("ΔV", r"\Delta V")]
        number, rest = scale.as_coeff_Mul()
        if number == sp.Rational(1, 2):
            body = writer.write(rest) if rest != 1 else None
            return [
                Notation(
                    "½ " + (f"{body.text} " if body else "") + "ΔV",
                    r"\tfrac12 " + (f"{body.latex} " if body else "") + r"\Delta V",
                )
            ]
        return [times(writer.write(scale), Notation("ΔV", r"\Delta V"))]
    written = {key: value for key, value in problem.notation.items() if key[0] == "diffusion"}
    if len(problem.states) == 1 and len(written) == 1 and not problem.correlation:
        (matrix,) = written.values()
        text = f"({matrix.text})" if is_sum(matrix.text) else matrix.text
        body = f"({matrix.latex})" if is_sum(matrix.latex) else matrix.latex
        return [Notation(f"½ tr({text} {text}ᵀ ∇²V)", rf"\tfrac12 \operatorname{{tr}}({body}\,{body}^\top \nabla^2 V)")]
    correlated = ("Σ C Σᵀ", r"\Sigma C \Sigma^\top") if problem.correlation else ("Σ Σᵀ", r"\Sigma \Sigma^\top")
    return [Notation(f"½ tr({correlated[0]} ∇²V)", rf"\tfrac12 \operatorname{{tr}}({correlated[1]} \nabla^2 V)")]


def jump_pieces(problem: ControlProblem, writer: Writer) -> list[Notation]:
    """rate * (E V(x + d) - V), or the risk-sensitive exponential form."""
    pieces = []
    for jump in problem.jumps:
        rate = problem.notation.get(("rate", jump.name)) or writer.write(jump.rate)
        text_moves, latex_moves = _moves(problem, writer, jump)
        text = f"V({text_moves}) - V"
        latex = rf"V({latex_moves}) - V"
        if jump.mark is not None:
            text, latex = f"E[{text}]", rf"\mathbb{{E}}\left[{latex}\right]"
        else:
            text, latex = f"({text})", f"({latex})"
        pieces.append(times(rate, Notation(text, latex)))
    return pieces


def _moves(problem: ControlProblem, writer: Writer, jump) -> tuple[str, str]:
    texts, latexes = [], []
    for index, state in enumerate(problem.state_symbols):
        moved = state + jump.displacement[index] if index in jump.displacement else state
        if problem.dimension > 4 and index not in jump.displacement:
            continue
        texts.append(writer.text(moved))
        latexes.append(writer.latex(moved))
    return ", ".join(texts), ", ".join(latexes)


def mode_pieces(problem: ControlProblem, writer: Writer) -> list[Notation]:
    """sum over the other modes of rate (V_target - V)."""
    pieces = []
    for chain in problem.modes:
        letter, mark = text_symbol(chain.name), latex_symbol(chain.name)
        text = f"Σ_{letter}' λ_{letter}{letter}' (V(·, {letter}') - V)"
        latex = rf"\sum_{{{mark}' \ne {mark}}} \lambda_{{{mark} {mark}'}} \left(V(\cdot, {mark}') - V\right)"
        pieces.append(Notation(text, latex))
    return pieces

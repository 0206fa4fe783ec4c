r"""The generator's terms as they are written: (A x + B u) . nabla V, tr(C C' nabla^2 V)/2, jumps and modes.

In: a problem, a `Writer`, the covariance. Out: the pieces of a sum.
"""

from __future__ import annotations

from collections.abc import Mapping

import sympy as sp

from hjbdsl.model.problem import ControlProblem, Jump, ModeChain, Notation, VariableGroup
from hjbdsl.symbolic.derivatives import gradient_symbols
from hjbdsl.symbolic.latex import latex_symbol
from hjbdsl.symbolic.terms.drift_diffusion import gradient_square
from hjbdsl.symbolic.text import text_symbol
from hjbdsl.symbolic.transform import risk_weight
from hjbdsl.symbolic.writing import Writer, bracketed, divisor, factor, is_sum, times


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
    return pieces + _second_order(writer, covariance)


def _drift_piece(problem: ControlProblem, writer: Writer, group: VariableGroup, offset: int) -> Notation:
    written = problem.notation.get(("drift", group.name))
    if not group.shape:
        derivative = _first_derivative(writer, offset)
        drift = written or writer.write(problem.drift[offset])
        return derivative if problem.drift[offset] == 1 else times(drift, derivative)
    several = len(problem.states) > 1
    letters = (f"∇_{text_symbol(group.name)} V", rf"\nabla_{{{latex_symbol(group.name)}}} V") if several else ("∇V", r"\nabla V")
    drift = written or drift_name(problem, group, several)
    text = f"({drift.text})·{letters[0]}" if is_sum(drift.text) else f"{drift.text}·{letters[0]}"
    body = f"({drift.latex})" if is_sum(drift.latex) else drift.latex
    return Notation(text, rf"{body} \cdot {letters[1]}")


def drift_name(problem: ControlProblem, group: VariableGroup, several: bool) -> Notation:
    """`b(x, u)`, where the file's own notation is not at hand."""
    names = [g.name for g in (*problem.states, *problem.controls, *problem.adversaries)]
    text, latex = ", ".join(map(text_symbol, names)), ", ".join(map(latex_symbol, names))
    sub = (f"_{text_symbol(group.name)}", f"_{{{latex_symbol(group.name)}}}") if several else ("", "")
    return Notation(f"b{sub[0]}({text})", f"b{sub[1]}({latex})")


def _first_derivative(writer: Writer, index: int) -> Notation:
    symbol = sp.Symbol(f"dV[{index + 1}]", real=True)
    return Notation(writer.text_names[symbol], writer.latex_names[symbol])


def _second_order(writer: Writer, covariance: Mapping[tuple[int, int], sp.Expr]) -> list[Notation]:
    """½ A_ii V_ii and A_ij V_ij, whole numbers taken with the half."""
    pieces = []
    for (i, j), entry in covariance.items():
        symbol = sp.Symbol(f"d2V[{i + 1},{j + 1}]", real=True)
        derivative = Notation(writer.text_names[symbol], writer.latex_names[symbol])
        number, rest = sp.factor_terms(entry).as_coeff_Mul()
        if i == j and number == 1:
            half, coefficient = Notation("½ ", r"\tfrac12 "), _with_number(number, rest)
        else:
            half, coefficient = Notation("", ""), _with_number(number / (2 if i == j else 1), rest)
        product = derivative if coefficient == 1 else times(writer.write(coefficient), derivative)
        pieces.append(Notation(half.text + product.text, half.latex + product.latex))
    return pieces


def _with_number(number: sp.Expr, rest: sp.Expr) -> sp.Expr:
    """number * rest, the number inside the one sum among the factors, if there is one."""
    for part in sp.Mul.make_args(rest):
        if part.is_Add and number != 1:
            return sp.Mul(*(sp.Add(*(number * t for t in f.args)) if f == part else f for f in sp.Mul.make_args(rest)))
    return number * rest


def _trace_pieces(problem: ControlProblem, writer: Writer, covariance: Mapping[tuple[int, int], sp.Expr]) -> list[Notation]:
    """`½ σ² ΔV` for isotropic noise, else `½ tr(C C' ∇²V)` with the matrix as written."""
    if not covariance:
        return []
    diagonal = [covariance.get((i, i), sp.Integer(0)) for i in range(problem.dimension)]
    if all(i == j for i, j in covariance) and all(d == diagonal[0] for d in diagonal):
        return [_laplacian(writer, diagonal[0])]
    matrices = [value for key, value in problem.notation.items() if key[0] == "diffusion"]
    if len(problem.states) == 1 and len(matrices) == 1 and not problem.correlation:
        text, body = bracketed(matrices[0].text), bracketed(matrices[0].latex)
        return [Notation(f"½ tr({text} {text}ᵀ ∇²V)", rf"\tfrac12 \operatorname{{tr}}({body}\,{body}^\top \nabla^2 V)")]
    product = Notation("Σ C Σᵀ", r"\Sigma C \Sigma^\top") if problem.correlation else Notation("Σ Σᵀ", r"\Sigma \Sigma^\top")
    return [Notation(f"½ tr({product.text} ∇²V)", rf"\tfrac12 \operatorname{{tr}}({product.latex} \nabla^2 V)")]


def _laplacian(writer: Writer, variance: sp.Expr) -> Notation:
    number, rest = variance.as_coeff_Mul()
    symbol = Notation("ΔV", r"\Delta V")
    if number == 1:
        body = symbol if rest == 1 else times(writer.write(rest), symbol)
        return Notation(f"½ {body.text}", rf"\tfrac12 {body.latex}")
    return symbol if variance == 2 else times(writer.write(variance / 2), symbol)


def jump_pieces(problem: ControlProblem, writer: Writer, controls: Mapping[sp.Symbol, sp.Expr] | None = None) -> list[Notation]:
    """rate * (E V(x + d) - V), or the risk-sensitive exponential form; at `controls` where they are given."""
    chosen = dict(controls or {})
    pieces = []
    for jump in problem.jumps:
        own = problem.notation.get(("rate", jump.name))
        rate = (
            own
            if own is not None and chosen.keys().isdisjoint(jump.rate.free_symbols)
            else writer.write(jump.rate.xreplace(chosen))
        )
        text_moves, latex_moves = moved_arguments(problem, writer, jump, chosen)
        text = f"V({text_moves}) - V"
        latex = rf"V({latex_moves}) - V"
        weight = risk_weight(problem)
        if weight is not None:
            theta = writer.write(weight)
            text = f"(e^({factor(theta.text)} [{text}]) - 1)/{divisor(theta.text)}"
            latex = rf"\frac{{e^{{{theta.latex} [{latex}]}} - 1}}{{{theta.latex}}}"
        if jump.mark is not None:
            text, latex = f"E[{text}]", rf"\mathbb{{E}}\left[{latex}\right]"
        else:
            text, latex = f"({text})", f"({latex})"
        pieces.append(times(rate, Notation(text, latex)))
    return pieces


def risk_pieces(problem: ControlProblem, writer: Writer, covariance: Mapping[tuple[int, int], sp.Expr]) -> list[Notation]:
    """½ θ |Σ'∇V|², by components for scalar states."""
    weight = risk_weight(problem)
    if weight is None or not covariance:
        return []
    if not writer.vector:
        gradient = gradient_symbols(problem)
        return [writer.write(weight * square / 2) for square in gradient_square(covariance, gradient)]
    theta = writer.write(weight)
    diagonal = {covariance.get((i, i), sp.Integer(0)) for i in range(problem.dimension)}
    if len(diagonal) == 1 and all(i == j for i, j in covariance):
        (variance,) = diagonal
        body = writer.write(weight * variance)
        return [Notation(f"½ {body.text} |∇V|²", rf"\tfrac12 {body.latex} \lVert \nabla V \rVert^2")]
    gain = bracketed(theta.latex)
    return [Notation(f"½ {factor(theta.text)} |Σᵀ∇V|²", rf"\tfrac12 {gain} \lVert \Sigma^\top \nabla V \rVert^2")]


def moved_arguments(problem: ControlProblem, writer: Writer, jump: Jump, chosen: Mapping[sp.Symbol, sp.Expr]) -> tuple[str, str]:
    """The state after a jump, as arguments of V, in text and LaTeX."""
    texts, latexes = ([], []) if writer.stationary else (["t"], ["t"])
    for index, state in enumerate(problem.state_symbols):
        moved = state + jump.displacement[index].xreplace(dict(chosen)) if index in jump.displacement else state
        if problem.dimension > 4 and index not in jump.displacement:
            continue
        texts.append(writer.text(moved))
        latexes.append(writer.latex(moved))
    texts += [text_symbol(chain.name) for chain in problem.modes]
    latexes += [latex_symbol(chain.name) for chain in problem.modes]
    return ", ".join(texts), ", ".join(latexes)


def mode_pieces(problem: ControlProblem, writer: Writer, controls: Mapping[sp.Symbol, sp.Expr] | None = None) -> list[Notation]:
    """sum over the other modes of rate (V_target - V); a star says that controlled rates are those of the optimal control."""
    pieces = []
    for chain in problem.modes:
        letter, mark = text_symbol(chain.name), latex_symbol(chain.name)
        ruled = {a for rate in chain.rates.values() for a in rate.free_symbols} & set(problem.control_symbols)
        star = "*" if ruled and controls else ""
        text_rest, latex_rest = _others(problem, writer, chain)
        text = f"Σ_{letter}' λ{star}({letter}, {letter}') [V({text_rest}) - V]"
        rate = rf"\lambda{'^*' if star else ''}({mark}, {mark}')"
        latex = rf"\sum_{{{mark}' \ne {mark}}} {rate} \left[V({latex_rest}) - V\right]"
        pieces.append(Notation(text, latex))
    return pieces


def _others(problem: ControlProblem, writer: Writer, chain: ModeChain) -> tuple[str, str]:
    """The arguments of V after a change of mode: all as they were but the mode."""
    names = [*([] if writer.stationary else ["t"]), *(group.name for group in problem.states)]
    text = [*map(text_symbol, names), *(text_symbol(c.name) + ("'" if c is chain else "") for c in problem.modes)]
    latex = [*map(latex_symbol, names), *(latex_symbol(c.name) + ("'" if c is chain else "") for c in problem.modes)]
    return ", ".join(text), ", ".join(latex)

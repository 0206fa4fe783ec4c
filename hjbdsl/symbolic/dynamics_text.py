"""The dynamics as they are written: dx = (...) dt + ... dW + ... dN, correlations, rates of jumps and modes.

In: a problem and its `Writer`. Out: `Notation`s. The file's own notation is used where it is there.
"""

from __future__ import annotations

from collections.abc import Mapping

import sympy as sp

from hjbdsl.model.problem import ControlProblem, MarkLaw, Notation, VariableGroup
from hjbdsl.symbolic.latex import latex_symbol
from hjbdsl.symbolic.text import text_symbol
from hjbdsl.symbolic.writing import Writer, bracketed, join

_MOST_TRANSITIONS = 12


def dynamics_lines(problem: ControlProblem, writer: Writer, covariance: Mapping[tuple[int, int], sp.Expr]) -> list[Notation]:
    """One line a state group; lattice states move by their jumps alone."""
    lines, offset = [], 0
    for group in problem.states:
        lines.append(_line(problem, writer, group, offset, bool(covariance)))
        offset += len(group.symbols)
    return lines


def _line(problem: ControlProblem, writer: Writer, group: VariableGroup, offset: int, noisy: bool) -> Notation:
    size = len(group.symbols)
    pieces: list[Notation] = []
    if any(problem.drift[offset + k] != 0 for k in range(size)):
        written = problem.notation.get(("drift", group.name))
        if written is None:
            written = writer.write(problem.drift[offset]) if not group.shape else Notation("b(x, u)", "b(x, u)")
        pieces.append(_with_differential(written, Notation("dt", "dt")))
    pieces += _noise_pieces(problem, writer, group, offset) if noisy else []
    for jump in problem.jumps:
        moved = [jump.displacement[offset + k] for k in range(size) if offset + k in jump.displacement]
        if moved:
            own = problem.notation.get(("jump", group.name, jump.name))
            written = own or (writer.write(moved[0]) if not group.shape else Notation("δ", r"\delta"))
            pieces.append(_with_differential(written, _differential(jump.name)))
    right = join(pieces)
    return Notation(f"d{text_symbol(group.name)} = {right.text}", f"d{latex_symbol(group.name)} = {right.latex}")


def _noise_pieces(problem: ControlProblem, writer: Writer, group: VariableGroup, offset: int) -> list[Notation]:
    written = {key[2]: value for key, value in problem.notation.items() if key[0] == "diffusion" and key[1] == group.name}
    if written:
        return [_with_differential(value, _differential(name)) for name, value in written.items()]
    if not group.shape:
        entries = [(k, c) for (i, k), c in problem.diffusion.items() if i == offset]
        return [_with_differential(writer.write(c), _differential(problem.noises[k].name)) for k, c in entries]
    entries = [c for (i, _), c in problem.diffusion.items() if offset <= i < offset + len(group.symbols)]
    if not entries:
        return []
    diagonal = all(i - offset == k for (i, k) in problem.diffusion if offset <= i < offset + len(group.symbols))
    same = diagonal and all(c == entries[0] for c in entries)
    coefficient = writer.write(entries[0]) if same else Notation("Σ", r"\Sigma")
    return [_with_differential(coefficient, Notation("dW", "dW"))]


def _differential(name: str) -> Notation:
    return Notation(f"d{text_symbol(name)}", f"d{latex_symbol(name)}")


def _with_differential(coefficient: Notation, differential: Notation) -> Notation:
    if coefficient.text in ("1", "-1"):
        sign = coefficient.text.removesuffix("1")
        return Notation(sign + differential.text, sign + differential.latex)
    text, latex = bracketed(coefficient.text), bracketed(coefficient.latex)
    return Notation(f"{text} {differential.text}", rf"{latex}\, {differential.latex}")


def correlation_lines(problem: ControlProblem, writer: Writer) -> list[Notation]:
    lines = []
    for (k, m), rho in problem.correlation.items():
        first, second = (_differential(problem.noises[i].name) for i in (k, m))
        value = writer.write(rho)
        lines.append(Notation(f"{first.text} {second.text} = {bracketed(value.text)} dt",
                              rf"{first.latex}\,{second.latex} = {bracketed(value.latex)}\, dt"))  # fmt: skip
    return lines[:_MOST_TRANSITIONS]


def rate_lines(problem: ControlProblem, writer: Writer) -> list[Notation]:
    """Intensities of jumps with the law of the mark, and rates between modes."""
    lines = []
    for jump in problem.jumps:
        rate = problem.notation.get(("rate", jump.name)) or writer.write(jump.rate)
        law = _law(writer, jump.law)
        letter = _differential(jump.name)
        mark = Notation("", "")
        if jump.mark is not None:
            name = writer.write(jump.mark)
            mark = Notation(f", mark {name.text} ~ {law.text}", rf", \quad {name.latex} \sim {law.latex}")
        lines.append(Notation(f"P({letter.text} = 1) = {bracketed(rate.text)} dt{mark.text}",
                              rf"P({letter.latex} = 1) = {bracketed(rate.latex)}\, dt{mark.latex}"))  # fmt: skip
    for chain in problem.modes:
        for (source, target), rate in list(chain.rates.items())[:_MOST_TRANSITIONS]:
            a, b, r = chain.labels[source], chain.labels[target], writer.write(rate)
            left = rf"\lambda(\text{{{_plain(a)}}}, \text{{{_plain(b)}}})"
            lines.append(Notation(f"λ({a}, {b}) = {r.text}", f"{left} = {r.latex}"))
    return lines


def _plain(label: str) -> str:
    return label.replace("_", r"\_")


def _law(writer: Writer, law: MarkLaw) -> Notation:
    if law.kind == "discrete":
        cases = [(writer.write(v), writer.write(p)) for v, p in law.atoms]
        return Notation("{" + ", ".join(f"{v.text}: {p.text}" for v, p in cases) + "}",
                        r"\{" + ",\\; ".join(rf"{v.latex}: {p.latex}" for v, p in cases) + r"\}")  # fmt: skip
    arguments = [writer.write(a) for a in law.arguments]
    return Notation(f"{law.kind}({', '.join(a.text for a in arguments)})",
                    rf"\operatorname{{{law.kind}}}({', '.join(a.latex for a in arguments)})")  # fmt: skip

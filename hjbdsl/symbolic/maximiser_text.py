"""The maximiser as it is written: one line a control, its cases with their conditions, vectors as vectors.

In: the blocks' optima and a `Writer`. Out: `Notation`s.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sympy as sp

from hjbdsl.model.problem import ControlProblem, Notation, VariableGroup
from hjbdsl.symbolic.latex import latex_symbol
from hjbdsl.symbolic.optimum_blocks import BlockOptimum
from hjbdsl.symbolic.signs import decide
from hjbdsl.symbolic.text import text_symbol
from hjbdsl.symbolic.vectors import repeated, vector_condition
from hjbdsl.symbolic.writing import Writer

_MOST_COMPONENTS = 6
_CLIP = {"interior", "lower", "upper"}


def maximiser_notation(
    problem: ControlProblem,
    writer: Writer,
    blocks: Sequence[BlockOptimum],
    gradient: Sequence[sp.Symbol],
    hessian: Mapping[tuple[int, int], sp.Symbol],
) -> tuple[Notation, ...]:
    """`a* = ...` for every control whose block was solved, group by group."""
    block_of = {a: block for block in blocks if block.branches for a in block.branches[0].controls}
    lines: list[Notation] = []
    for group in (*problem.controls, *problem.adversaries):
        if not all(a in block_of for a in group.symbols):
            continue
        lines += _group_lines(writer, group, block_of, gradient, hessian)
    return tuple(lines)


def _group_lines(
    writer: Writer,
    group: VariableGroup,
    block_of: Mapping[sp.Symbol, BlockOptimum],
    gradient: Sequence[sp.Symbol],
    hessian: Mapping[tuple[int, int], sp.Symbol],
) -> list[Notation]:
    single = all(len(block_of[a].branches) == 1 for a in group.symbols)
    if group.shape and single:
        values = [block_of[a].branches[0].controls[a] for a in group.symbols]
        vector = repeated(writer, values, gradient, hessian)
        if vector is not None:
            return [_equation(group.name, vector)]
    whole = block_of[group.symbols[0]]
    if group.shape and all(block_of[a] is whole for a in group.symbols):
        cases = [
            (
                repeated(writer, [b.controls[a] for a in group.symbols], gradient, hessian),
                vector_condition(writer, b.where, gradient, hessian),
            )
            for b in whole.branches
        ]
        if all(value is not None for value, _ in cases):
            return [_equation(group.name, written_cases([(v, c) for v, c in cases if v is not None]))]
    lines = [_equation(a.name, _cases(writer, a, block_of[a])) for a in group.symbols[:_MOST_COMPONENTS]]
    if len(group.symbols) > _MOST_COMPONENTS:
        rest = f"{len(group.symbols) - _MOST_COMPONENTS} more components of {group.name}, alike"
        lines.append(Notation(f"... {rest}", rf"\ldots\ \text{{{rest}}}"))
    return lines


def _equation(name: str, value: Notation) -> Notation:
    letter, mark = text_symbol(name), starred(latex_symbol(name))
    return Notation(f"{letter}* = {value.text}", f"{mark} = {value.latex}")


def starred(latex: str) -> str:
    """`a^*`, `u_1^*`; a name that has an exponent of its own goes into brackets."""
    return f"({latex})^*" if "^" in latex else f"{latex}^*"


def _cases(writer: Writer, control: sp.Symbol, block: BlockOptimum) -> Notation:
    if len(block.branches) == 1:
        return writer.write(block.branches[0].controls[control])
    clipped = _clipped(writer, control, block)
    if clipped is not None:
        return clipped
    merged: list[tuple[sp.Expr, sp.Basic]] = []
    for branch in block.branches:
        value = branch.controls[control]
        if merged and merged[-1][0] == value:
            merged[-1] = (value, sp.Or(merged[-1][1], assumed(branch.where, block.second_order)))
        else:
            merged.append((value, assumed(branch.where, block.second_order)))
    return case_notation(writer, merged)


def _clipped(writer: Writer, control: sp.Symbol, block: BlockOptimum) -> Notation | None:
    """`max(L, min(U, m))` where the cases say no more than that: the inner point m, held at the bounds L and U."""
    branch_of = {branch.kind: branch for branch in block.branches}
    if len(branch_of) != len(block.branches) or "interior" not in branch_of or not branch_of.keys() <= _CLIP:
        return None
    inner = branch_of["interior"].controls[control]
    if any(len(branch.controls) != 1 for branch in block.branches) or inner.has(sp.Piecewise, sp.Min, sp.Max):
        return None
    written = writer.write(inner)
    for kind, relation, word in (("upper", sp.Ge, "min"), ("lower", sp.Le, "max")):
        branch = branch_of.get(kind)
        if branch is None:
            continue
        bound = branch.controls[control]
        if assumed(branch.where, block.second_order) != decide(writer.problem, relation(inner, bound)):
            return None
        end = writer.write(bound)
        written = Notation(f"{word}({end.text}, {written.text})", rf"\{word}\left({end.latex},\, {written.latex}\right)")
    return written


def case_notation(writer: Writer, cases: Sequence[tuple[sp.Expr, sp.Basic]]) -> Notation:
    """`{ a if p, b otherwise }`, the case with the longest condition last."""
    if len(cases) == 1:
        return writer.write(cases[0][0])
    ordered = _simplest_last([case for case in cases if case[1] != sp.false])
    return written_cases([(writer.write(value), writer.write(condition)) for value, condition in ordered])


def written_cases(cases: Sequence[tuple[Notation, Notation]]) -> Notation:
    """The cases in braces, the last one `otherwise`."""
    texts = [f"{v.text} if {c.text}" for v, c in cases[:-1]] + [f"{cases[-1][0].text} otherwise"]
    rows = [rf"{v.latex} & \text{{if }} {c.latex}" for v, c in cases[:-1]] + [rf"{cases[-1][0].latex} & \text{{otherwise}}"]
    joined = r" \\ ".join(rows)
    return Notation("{ " + ", ".join(texts) + " }", rf"\begin{{cases}} {joined} \end{{cases}}")


def assumed(condition: sp.Basic, known: Sequence[sp.Basic]) -> sp.Basic:
    """A condition where the second-order conditions `known` hold: they are stated once, not in every case."""
    return condition.xreplace(dict.fromkeys(known, sp.true) | {sp.Not(k): sp.false for k in known}) if known else condition


def _simplest_last(cases: list[tuple[sp.Expr, sp.Basic]]) -> list[tuple[sp.Expr, sp.Basic]]:
    """The case with the longest condition becomes the last, `otherwise`; the others keep their order."""
    if len(cases) == 1:
        return cases
    longest = max(range(len(cases)), key=lambda k: (sp.count_ops(cases[k][1]), k))
    return [c for k, c in enumerate(cases) if k != longest] + [cases[longest]]


def conditions_notation(writer: Writer, conditions: Sequence[sp.Basic]) -> tuple[Notation, ...]:
    return tuple(writer.write(condition) for condition in conditions if condition != sp.true)

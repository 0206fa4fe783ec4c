"""Boundary conditions as they are written. In: an equation and its `Writer`. Out: one `BoundaryLine` an end."""

from __future__ import annotations

from dataclasses import dataclass, replace

import sympy as sp

from hjbdsl.model.equation import BoundaryCondition, HJBEquation
from hjbdsl.model.problem import Notation
from hjbdsl.symbolic.latex import latex_symbol
from hjbdsl.symbolic.text import text_symbol
from hjbdsl.symbolic.writing import Writer


@dataclass(frozen=True, slots=True)
class BoundaryLine:
    """`where` is the place (x = 0), `statement` what holds there; the reason is in `condition.why`."""

    condition: BoundaryCondition
    where: Notation
    statement: Notation


def boundary_lines(equation: HJBEquation, writer: Writer) -> tuple[BoundaryLine, ...]:
    lines = []
    for condition, place in _merged(equation):
        if place is not None:
            lines.append(BoundaryLine(condition, place, _statement(condition, writer, place)))
            continue
        state = equation.problem.state_symbols[condition.state]
        end, name = writer.write(condition.location), writer.write(state)
        where = Notation(f"{name.text} = {end.text}", f"{name.latex} = {end.latex}")
        if condition.location in (sp.oo, -sp.oo):
            where = Notation(f"{name.text} → {end.text}", rf"{name.latex} \to {end.latex}")
        lines.append(BoundaryLine(condition, where, _statement(condition, writer, name)))
    return tuple(lines)


def _merged(equation: HJBEquation) -> list[tuple[BoundaryCondition, Notation | None]]:
    """Both infinite ends of a state, and of all components of a vector, as one line: `x → ±∞`, `|x| → ∞`."""
    infinite = {(c.state, c.side) for c in equation.boundaries if c.kind == "growth"}
    result: list[tuple[BoundaryCondition, Notation | None]] = []
    offset = 0
    for group in equation.problem.states:
        members = range(offset, offset + len(group.symbols))
        offset += len(group.symbols)
        ends = [c for c in equation.boundaries if c.state in members]
        unbounded = [i for i in members if {(i, "lower"), (i, "upper")} <= infinite]
        whole = bool(group.shape) and len(unbounded) == len(group.symbols)
        for condition in ends:
            if condition.state not in unbounded:
                result.append((condition, None))
            elif condition.side == "lower" and (not whole or condition.state == members[0]):
                state = group.name if whole else group.symbols[condition.state - members[0]].name
                text, latex = text_symbol(state), latex_symbol(state)
                where = Notation(f"{text} → ±∞", rf"{latex} \to \pm\infty")
                if whole:
                    where = Notation(f"|{text}| → ∞", rf"\lVert {latex} \rVert \to \infty")
                ended = "the process has ended" in condition.why
                why = "the process has ended before" if ended else f"{text} has no end"
                result.append((replace(condition, why=why), where))
    return result


def _statement(condition: BoundaryCondition, writer: Writer, state: Notation) -> Notation:
    amount = writer.write(condition.amount) if condition.amount is not None else Notation("", "")
    match condition.kind:
        case "value" | "absorbing":
            return Notation(f"V = {amount.text}", f"V = {amount.latex}")
        case "slope":
            return Notation(f"∂V/∂{state.text} = {amount.text}", rf"\partial_{{{state.latex}}} V = {amount.latex}")
        case "reflect":
            return Notation(f"∂V/∂{state.text} = 0", rf"\partial_{{{state.latex}}} V = 0")
        case "outflow":
            return Notation("no condition (outflow)", r"\text{no condition (outflow)}")
        case "constrain":
            return Notation("state constraint", r"\text{state constraint}")
        case "periodic":
            return Notation("periodic", r"\text{periodic}")
        case "natural":
            return Notation("no condition", r"\text{no condition}")
        case "growth":
            if "the process has ended" in condition.why:
                return Notation("V as at exit", r"V \text{ as at exit}")
            return Notation("V grows no faster than the data", r"V \text{ grows no faster than the data}")
    raise ValueError(f"no such boundary condition: {condition.kind}")

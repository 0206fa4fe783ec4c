"""Boundary conditions as they are written. In: an equation and its `Writer`. Out: one `BoundaryLine` an end."""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from hjbdsl.model.equation import BoundaryCondition, HJBEquation
from hjbdsl.model.problem import Notation
from hjbdsl.symbolic.writing import Writer


@dataclass(frozen=True, slots=True)
class BoundaryLine:
    """`where` is the place (x = 0), `statement` what holds there; the reason is in `condition.why`."""

    condition: BoundaryCondition
    where: Notation
    statement: Notation


def boundary_lines(equation: HJBEquation, writer: Writer) -> tuple[BoundaryLine, ...]:
    lines = []
    for condition in equation.boundaries:
        state = equation.problem.state_symbols[condition.state]
        place, name = writer.write(condition.location), writer.write(state)
        where = Notation(f"{name.text} = {place.text}", f"{name.latex} = {place.latex}")
        if condition.location in (sp.oo, -sp.oo):
            where = Notation(f"{name.text} → {place.text}", rf"{name.latex} \to {place.latex}")
        lines.append(BoundaryLine(condition, where, _statement(condition, writer, name)))
    return tuple(lines)


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
            return Notation("growth of the data", r"\text{growth of the data}")
    raise ValueError(f"no such boundary condition: {condition.kind}")

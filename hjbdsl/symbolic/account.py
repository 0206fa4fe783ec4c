"""What `hjb derive` shows of an equation, as headed lines of notation: the same content for text, LaTeX, HTML and JSON.

In: `HJBEquation`. Out: `Account`.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from hjbdsl.model.equation import BoundaryCondition, HJBEquation
from hjbdsl.model.problem import ControlProblem, Notation
from hjbdsl.symbolic.composition import working_problem
from hjbdsl.symbolic.definitions import hamiltonian_definition, policy_notation, value_definition
from hjbdsl.symbolic.horizon import last_time, terminal_value
from hjbdsl.symbolic.maximiser_text import conditions_notation
from hjbdsl.symbolic.writing import Writer, writer_for


@dataclass(frozen=True, slots=True)
class Entry:
    """One heading with its formulas; `remark` is a sentence below them."""

    key: str
    heading: str
    formulas: tuple[Notation, ...]
    remark: str = ""


@dataclass(frozen=True, slots=True)
class BoundaryLine:
    condition: BoundaryCondition
    where: Notation
    statement: Notation


@dataclass(frozen=True, slots=True)
class Account:
    entries: tuple[Entry, ...]
    boundaries: tuple[BoundaryLine, ...]


def writer_of(equation: HJBEquation) -> Writer:
    """The writer of the equation's own control problem (the reverse-time one under `reverse`)."""
    problem = working_problem(equation.problem)
    return writer_for(problem, equation.stationary, equation.gradient, equation.hessian, equation.jump_differences)


def account(equation: HJBEquation) -> Account:
    writer = writer_of(equation)
    entries = [
        Entry("value", "Value", (value_definition(writer.problem, writer),)),
        Entry("equation", "HJB equation" if writer.problem.controls else "Equation", (equation.pde,)),
        Entry("hamiltonian", "Hamiltonian", (hamiltonian_definition(writer.problem, writer, equation.covariance),)),
        *_optimum_entries(equation, writer),
        *_end_entries(writer),
    ]
    if equation.q_function is not None:
        entries.append(Entry("q_function", "Q-function", (equation.q_function,)))
    if equation.advantage is not None:
        entries.append(Entry("advantage", "Advantage rate", (equation.advantage,)))
    return Account(tuple(e for e in entries if e.formulas or e.remark), _boundary_lines(equation, writer))


def _optimum_entries(equation: HJBEquation, writer: Writer) -> list[Entry]:
    optimum = equation.optimum
    if optimum.status == "none":
        return []
    word = "Maximiser" if writer.problem.objective.sense == "maximize" else "Minimiser"
    if writer.problem.adversaries:
        word = "Saddle point"
    remark = f"Not explicit: {optimum.reason}; it is found numerically." if optimum.status == "implicit" else ""
    entries = [Entry("maximiser", "Mean policy" if equation.policy else word, equation.maximiser, remark)]
    if equation.policy is not None:
        entries.append(Entry("policy", "Optimal policy", policy_notation(equation.policy, writer)))
    entries.append(Entry("second_order", "Second order", conditions_notation(writer, optimum.second_order)))
    if optimum.isaacs:
        entries.append(Entry("isaacs", "Isaacs condition", (), f"max min = min max: {optimum.isaacs}."))
    if equation.reduced_pde is not None:
        entries.append(Entry("reduced", "Reduced PDE", (equation.reduced_pde,)))
    return entries


def _end_entries(writer: Writer) -> list[Entry]:
    problem = writer.problem
    entries = []
    end = last_time(problem)
    if end != sp.oo:
        entries.append(Entry("terminal", "At the end", (_terminal(problem, writer, end),)))
    if problem.exit is not None:
        value = problem.objective.exit_value
        paid = writer.written("exit", value if value is not None else sp.Integer(0))
        condition = writer.write(problem.exit.condition)
        line = Notation(f"V = {paid.text} where {condition.text}", rf"V = {paid.latex} \quad\text{{where }} {condition.latex}")
        entries.append(Entry("exit", "At exit", (line,)))
    return entries


def _terminal(problem: ControlProblem, writer: Writer, end: sp.Expr) -> Notation:
    value = terminal_value(problem)
    time = writer.write(end)
    arguments = ", ".join(g.name for g in problem.states)
    if problem.reversal is not None and problem.objective.terminal is None:
        written = Notation(f"-log p₀({arguments})", rf"-\log p_0({arguments})")
    else:
        written = writer.written("terminal", value if value is not None else sp.Integer(0))
    return Notation(f"V({time.text}, {arguments}) = {written.text}", f"V({time.latex}, {arguments}) = {written.latex}")


def _boundary_lines(equation: HJBEquation, writer: Writer) -> tuple[BoundaryLine, ...]:
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

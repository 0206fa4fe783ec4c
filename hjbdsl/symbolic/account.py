"""What `hjb derive` shows of an equation, as headed lines of notation: the same content for text, LaTeX, HTML and JSON.

In: `HJBEquation`. Out: `Account`.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.problem import Notation
from hjbdsl.symbolic.boundary_text import BoundaryLine, boundary_lines
from hjbdsl.symbolic.composition import working_problem
from hjbdsl.symbolic.definitions import abbreviations, hamiltonian_definition, named_parts, policy_notation
from hjbdsl.symbolic.dynamics_text import rate_lines
from hjbdsl.symbolic.ends_text import data_law, exit_notation, reversed_drift, terminal_notation
from hjbdsl.symbolic.horizon import last_time
from hjbdsl.symbolic.maximiser_text import conditions_notation
from hjbdsl.symbolic.value_text import value_definition
from hjbdsl.symbolic.writing import Writer, writer_for


@dataclass(frozen=True, slots=True)
class Entry:
    """One heading with its formulas; `remark` is a sentence below them."""

    key: str
    heading: str
    formulas: tuple[Notation, ...]
    remark: str = ""


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
        Entry("with", "With", tuple(_definitions(equation, writer))),
        Entry("equation", "HJB equation" if writer.problem.controls else "Equation", (equation.pde,)),
        Entry("hamiltonian", "Hamiltonian", (hamiltonian_definition(writer.problem, writer, equation.covariance),)),
        *_optimum_entries(equation, writer),
        *_end_entries(writer),
    ]
    if equation.q_function is not None:
        entries.append(Entry("q_function", "Q-function", (equation.q_function,)))
    if equation.advantage is not None:
        entries.append(Entry("advantage", "Advantage rate", (equation.advantage,)))
    return Account(tuple(e for e in entries if e.formulas or e.remark), boundary_lines(equation, writer))


def _definitions(equation: HJBEquation, writer: Writer) -> list[Notation]:
    """What the equation speaks of without saying it: functions and names of the file, rates of jumps and modes, the law of the
    data."""
    problem = writer.problem
    lines = [*abbreviations(problem, writer), *rate_lines(problem, writer)]
    if problem.reversal is not None:
        return [*lines, *data_law(problem, writer), *reversed_drift(problem, writer)]
    return [*lines, *named_parts(problem, [equation.pde, value_definition(problem, writer), *lines])]


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
    entries.append(Entry("where", "Where", _domain(equation, writer)))
    if optimum.isaacs:
        entries.append(Entry("isaacs", "Isaacs condition", (), f"max min = min max: {optimum.isaacs}."))
    if equation.reduced_pde is not None:
        entries.append(Entry("reduced", "Reduced PDE", (equation.reduced_pde,)))
    return entries


def _domain(equation: HJBEquation, writer: Writer) -> tuple[Notation, ...]:
    """What a sole candidate needs of V beyond the second-order conditions."""
    optimum = equation.optimum
    if len(optimum.candidates) != 1:
        return ()
    known = set(optimum.second_order)
    needed = [c for c in sp.And.make_args(optimum.candidates[0].where) if c not in known]
    return conditions_notation(writer, needed)


def _end_entries(writer: Writer) -> list[Entry]:
    problem = writer.problem
    entries = []
    if last_time(problem) != sp.oo:
        entries.append(Entry("terminal", "At the end", (terminal_notation(problem, writer),)))
    if problem.exit is not None:
        entries.append(Entry("exit", "At exit", (exit_notation(problem, writer),)))
    return entries

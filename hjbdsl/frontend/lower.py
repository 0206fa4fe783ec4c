"""Stage 2: from the syntax tree to the symbolic problem, every name resolved and every shape checked.

In: the statements of a file (includes merged in). Out: `ControlProblem`, or findings. Each statement is read in an attempt of its
own, so that all mistakes of a file are found in one run.
"""

from __future__ import annotations

from collections.abc import Iterable

import sympy as sp

from hjbdsl.errors import Diagnostic, Span
from hjbdsl.frontend import ast
from hjbdsl.frontend.assemble import assembled
from hjbdsl.frontend.checks import read_check, read_hint
from hjbdsl.frontend.context import EVERYTHING, Context
from hjbdsl.frontend.current_value import read_objective
from hjbdsl.frontend.dynamics import layout, read_dynamics
from hjbdsl.frontend.evaluate import Reader
from hjbdsl.frontend.findings import Findings
from hjbdsl.frontend.lowering import Lowering
from hjbdsl.frontend.naming import check_definitions, declare_all, forgive
from hjbdsl.frontend.parameters import ParameterTable
from hjbdsl.frontend.randomness import mark_symbol, read_chains, read_correlation, read_mark_law, read_noises, read_rate
from hjbdsl.frontend.region import read_region_item
from hjbdsl.frontend.reversal import read_reversal
from hjbdsl.frontend.rules import read_boundary, read_constraint, read_exit, read_exploration, read_stopping
from hjbdsl.frontend.scope import ParameterName, RuleTime, Scope
from hjbdsl.frontend.unused import report_unused
from hjbdsl.frontend.variables import declare_groups, groups_of
from hjbdsl.frontend.variants import check_variant
from hjbdsl.frontend.wellposed import check_wellposed
from hjbdsl.model.problem import (
    ControlProblem,
    ExitRule,
    Objective,
    Source,
)


def lower(statements: tuple[ast.Statement, ...], findings: Findings, source: Source,
          syntax: Iterable[Diagnostic]) -> ControlProblem | None:  # fmt: skip
    """The problem, or None where findings hold an error."""
    bad = tuple(syntax)
    scope = Scope(findings)
    reader = Reader(scope, ParameterTable(scope, findings))
    work = Lowering(statements, findings, scope, reader, bool(bad), source.path)
    declare_all(statements, scope)
    forgive(scope, bad)
    check_definitions(scope)
    _read_parameters(work)
    declare_groups(reader)
    _read_randomness(work)
    _read_motion(work)
    _read_rules(work)
    _read_objective(work)
    _read_the_rest(work)
    if findings.errors or bad or work.objective is None:
        return None
    report_unused(scope, findings)
    problem = assembled(work, source)
    check_wellposed(problem, statements, reader.partial_operations, findings)
    return problem


def _read_parameters(work: Lowering) -> None:
    for name, entity in list(work.scope.entities.items()):
        if isinstance(entity, ParameterName) and entity.declaration.mode is None and name not in work.reader.parameters.arrays:
            with work.findings.attempt():
                work.reader.parameters.load(entity.declaration, work.reader)
    for name, entity in list(work.scope.entities.items()):
        if isinstance(entity, ParameterName) and entity.declaration.mode is not None:
            used = name in work.scope.used, entity.declaration.mode.id in work.scope.used
            read = False
            with work.findings.attempt():
                mode = entity.declaration.mode
                call = ast.Call(name, (mode,), entity.declaration.span, entity.declaration.span)
                work.reader.value(call, Context("a parameter", frozenset({"mode"})))
                read = True
            if not read:
                work.scope.broken.add(name)
            for word, before in zip((name, entity.declaration.mode.id), used, strict=True):
                if not before:
                    work.scope.used.discard(word)
    for name in work.scope.broken & set(work.scope.entities):
        del work.scope.entities[name]


def _read_randomness(work: Lowering) -> None:
    work.noises = read_noises(work.reader)
    work.chains = read_chains(work.all(ast.Rates), work.reader)
    for jump in work.all(ast.Jump):
        with work.findings.attempt():
            law = read_mark_law(jump, work.reader)
            work.laws[jump.name.id], work.marks[jump.name.id] = law, mark_symbol(jump, law, work.reader)
        with work.findings.attempt():
            work.rates[jump.name.id] = read_rate(jump, work.reader)
    for statement in work.all(ast.Correlation):
        with work.findings.attempt():
            entries = read_correlation(statement, work.noises, work.reader)
            twice = set(entries) & set(work.correlation)
            if twice:
                work.findings.report("HJB020", "this correlation is given twice", "keep one", statement.first.span)
            work.correlation.update(entries)
            work.origins.setdefault("correlation", statement.value.span)


def _read_motion(work: Lowering) -> None:
    states = layout(groups_of(work.reader, "state"))
    for statement in work.all(ast.Dynamics):
        with work.findings.attempt():
            read_dynamics(statement, states, work.noises, work.marks, work.reader, work.motion)
    for name, group in states.groups.items():
        if name not in work.motion.statements and f"d{name}" not in work.scope.broken and f"d{name}" not in work.scope.used:
            remedy = f"write `d{name} = ... dt + ... dW`"
            work.findings.report("HJB024", f"the state `{name}` has no equation", remedy, group.span)
    if not states.groups and not work.chains and not work.syntax_errors and not work.findings.errors:
        work.findings.report("HJB024", "the file declares no state", "write `state x in R` and `dx = ... dt`", _file_span(work))
    work.origins.update({f"d{name}": span for name, span in work.motion.places.items()})


def _read_rules(work: Lowering) -> None:
    stopping, exit = work.sole(ast.Stopping, "stopping rule"), work.sole(ast.Exit, "exit rule")
    if stopping is not None:
        work.origins["stopping"] = stopping.span
        with work.findings.attempt():
            work.stopping = read_stopping(stopping, work.reader)
    if exit is not None:
        work.origins["exit"] = exit.condition.span
        with work.findings.attempt():
            work.exit = read_exit(exit, work.reader, sp.oo)
    for statement in work.all(ast.SubjectTo):
        for expression in statement.constraints:
            with work.findings.attempt():
                work.constraints.append(read_constraint(expression, work.reader))
    for boundary in work.all(ast.Boundary):
        with work.findings.attempt():
            work.boundaries.append(read_boundary(boundary, work.reader))


def _read_objective(work: Lowering) -> None:
    statement = work.sole(ast.Objective, "objective")
    discount_statement = work.sole(ast.Discount, "discount")
    reverse, data = work.sole(ast.Reverse, "reversal"), work.sole(ast.Data, "law of the data")
    discount = sp.S.Zero
    if discount_statement is not None:
        work.origins["discount"] = discount_statement.rate.span
        with work.findings.attempt():
            discount = work.reader.scalar(discount_statement.rate, Context("the discount rate", EVERYTHING))
        _refuse_needless_discount(work, discount_statement, statement, reverse)
    if reverse is not None:
        _read_reversal(work, reverse, data, statement)
        return
    if data is not None and not work.syntax_errors:
        work.findings.report("HJB057", "the data are not used", f"write `reverse {data.state.id} on [0, T]`", data.span)
    if statement is None:
        if not work.syntax_errors:
            remedy = "write `maximize E integral(0, T) f dt`, `minimize ...` or `evaluate ...`"
            work.findings.report("HJB050", "the file states no objective", remedy, _file_span(work))
        return
    work.origins["objective"] = statement.span
    rules = {n: e for n, e in work.scope.entities.items() if isinstance(e, RuleTime)}
    intervals = [rule.interval for rule in work.all(ast.Stopping)]
    intervals += [rule.interval for rule in work.all(ast.Exit) if rule.interval is not None]
    with work.findings.attempt():
        work.objective = read_objective(statement, rules, intervals, discount, work.reader)
    if work.objective is not None and work.exit is not None:
        exit = work.exit
        latest = work.objective.end if exit.latest == sp.oo else exit.latest
        work.exit = ExitRule(exit.name, exit.condition, latest, exit.span)


def _refuse_needless_discount(work: Lowering, discount: ast.Discount, objective: ast.Objective | None,
                              reverse: ast.Reverse | None) -> None:  # fmt: skip
    """A discount is refused where the objective gives it no meaning, rather than dropped."""
    if reverse is not None:
        message, remedy = "`reverse` derives an objective of its own, without a discount", "remove the `discount` statement"
    elif objective is not None and objective.form == "average":
        message = "a long-run average is not discounted"
        remedy = "remove the `discount` statement, or write `integral(0, inf) f dt` in place of `average f`"
    elif objective is not None and objective.form in ("running_min", "running_max"):
        message = f"`{objective.form}` is not discounted: it is the extreme value on the way, not an integral"
        remedy = f"remove the `discount` statement, or put the factor into the quantity under `{objective.form}`"
    else:
        return
    work.findings.report("HJB050", message, remedy, discount.span)


def _read_reversal(work: Lowering, reverse: ast.Reverse, data: ast.Data | None, objective: ast.Objective | None) -> None:
    work.origins["objective"] = reverse.span
    if data is not None:
        work.origins["data"] = data.law.span
    if objective is not None:
        work.findings.report("HJB050", "`reverse` derives its own objective", "remove one of the two", objective.span)
    entering = sorted({k for _, k in work.motion.diffusion_entries()})
    with work.findings.attempt():
        work.reversal = read_reversal(reverse, data, [work.noises.components[k] for k in entering], work.reader)
        end = work.reversal.end
        work.objective = Objective(
            "minimize", "expectation", sp.S.Zero, sp.S.Zero, None, None, sp.S.Zero, end, None, True, reverse.span
        )
    if work.reversal is None:
        work.scope.broken.add("reverse")


def _read_the_rest(work: Lowering) -> None:
    explore = work.sole(ast.Explore, "exploration")
    if explore is not None:
        with work.findings.attempt():
            work.exploration = read_exploration(explore, work.reader)
    for region in work.all(ast.Region):
        for item in region.items:
            with work.findings.attempt():
                group, ranges = read_region_item(item, work.reader)
                if group.name in work.region:
                    work.findings.report("HJB020", f"the region of `{group.name}` is given twice", "keep one", item.span)
                work.region[group.name] = ranges
    statements = work.all(ast.Objective)
    average = any(statement.form == "average" for statement in statements)
    for check in work.all(ast.Check):
        with work.findings.attempt():
            work.checks.append(read_check(check, average, work.reversal, work.reader))
    for variant in work.all(ast.Variant):
        check_variant(variant, work.scope)
    hint = work.sole(ast.Solve, "hint")
    if hint is not None:
        with work.findings.attempt():
            work.hint = read_hint(hint, work.reader)


def _file_span(work: Lowering) -> Span:
    header = next(iter(work.all(ast.ProblemHeader)), None)
    return header.span if header is not None else Span(work.path, 1, 1)

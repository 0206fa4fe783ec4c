"""Well-posedness, as far as the symbols decide it: the discount, the exit, the correlations, real coefficients.

In: the lowered problem. Out: findings HJB101-HJB108. Every error reported is certain; what needs the equation (an
unbounded Hamiltonian, a value that is infinite) is found later.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import sympy as sp

from hjbdsl.errors import Span
from hjbdsl.frontend import ast
from hjbdsl.frontend.arithmetic import as_float
from hjbdsl.frontend.context import PartialOperation
from hjbdsl.frontend.definite import is_positive_semidefinite
from hjbdsl.frontend.divergence import certainly_diverges
from hjbdsl.frontend.findings import Findings
from hjbdsl.frontend.interval import Interval, enclosure, truth
from hjbdsl.frontend.open_bounds import report_open_bounds
from hjbdsl.frontend.ranges import state_ranges
from hjbdsl.frontend.realness import report_unreal
from hjbdsl.frontend.walk import nodes
from hjbdsl.model.problem import TIME, ControlProblem

MOST_LATTICE_POINTS = 2000


def check_wellposed(problem: ControlProblem, statements: tuple[ast.Statement, ...],
                    operations: Mapping[sp.Expr, PartialOperation], findings: Findings) -> None:  # fmt: skip
    _exit(problem, findings)
    _correlation(problem, findings)
    _discount(problem, statements, findings)
    _lattice(problem, findings)
    _expectation(problem, findings)
    _choices(problem, findings)
    report_unreal(problem, operations, findings)
    if not findings.errors:
        report_open_bounds(problem, findings)


def _exit(problem: ControlProblem, findings: Findings) -> None:
    """The exit set must meet the state's domain, and must not be all of it."""
    if problem.exit is None:
        return
    box = state_ranges(problem)
    condition = problem.numeric(problem.exit.condition)
    outcome = False if _contradicts_itself(condition, box) else truth(condition, box)
    span = problem.origins.get("exit", problem.exit.span)
    name = problem.exit.name
    if outcome is False:
        remedy = "widen the state's domain or change the condition"
        findings.report(
            "HJB102", f"the exit `{name}` can never happen: no state of the domain satisfies its condition", remedy, span
        )
    elif outcome is True:
        message = f"the exit `{name}` happens at once: every state of the domain satisfies its condition"
        findings.report("HJB102", message, "turn the condition round", span)


def _contradicts_itself(condition: sp.Basic, box: Mapping[sp.Symbol, Interval]) -> bool:
    """Whether comparisons of the same expression, joined by `and`, leave it no value: x > 1 and x < 0."""
    if isinstance(condition, sp.Or):
        return all(_contradicts_itself(part, box) for part in condition.args)
    if not isinstance(condition, sp.And):
        return False
    ranges: dict[sp.Expr, Interval] = {}
    for relation in condition.args:
        if isinstance(relation, sp.Gt | sp.Ge | sp.Lt | sp.Le | sp.Eq) and relation.rhs.is_number:
            low, high = ranges.setdefault(relation.lhs, enclosure(relation.lhs, box))
            bound = as_float(relation.rhs)
            above, below = isinstance(relation, sp.Gt | sp.Ge | sp.Eq), isinstance(relation, sp.Lt | sp.Le | sp.Eq)
            ranges[relation.lhs] = (max(low, bound) if above else low, min(high, bound) if below else high)
    return any(low > high for low, high in ranges.values())


def _correlation(problem: ControlProblem, findings: Findings) -> None:
    """Numeric correlations together must be positive semidefinite."""
    entries = {key: problem.numeric(value) for key, value in problem.correlation.items()}
    if len(entries) < 2 or not all(value.is_number for value in entries.values()):
        return
    noises = sorted({k for key in entries for k in key})
    matrix = [[1.0 if k == j else as_float(entries.get((min(k, j), max(k, j)), sp.S.Zero)) for j in noises] for k in noises]
    if not is_positive_semidefinite(matrix):
        names = ", ".join(f"`{problem.noises[k].name}`" for k in noises)
        message = f"the correlations of {names} contradict one another: their matrix is not positive semidefinite"
        span = problem.origins.get("correlation", problem.objective.span)
        findings.report("HJB105", message, "make them smaller in absolute value", span)


def _discount(problem: ControlProblem, statements: tuple[ast.Statement, ...], findings: Findings) -> None:
    """An integral to infinity of what certainly never dies out needs a positive discount. What is not certain here, as a
    portfolio's consumption without discount, is decided with the equation."""
    objective = problem.objective
    if objective.form != "expectation" or objective.end != sp.oo or problem.stopping or problem.exit or objective.running == 0:
        return
    rate = problem.numeric(objective.discount)
    if not rate.is_number or as_float(rate) > 0 or TIME in objective.running.free_symbols or not certainly_diverges(problem):
        return
    span = _integral_span(statements) or objective.span
    if rate == 0:
        message = (
            "an integral to infinity without a discount: no control keeps the running term from adding up, the value is infinite"
        )
        remedy = "write `exp(-rho*t)*` before the integrand, a finite horizon, or `average` for the long-run average"
    else:
        message = f"the discount rate is {as_float(rate):g}, and no control keeps the running term small: the value is infinite"
        remedy = "give the rate another sign, or use a finite horizon"
    findings.report("HJB103", message, remedy, span)


def _integral_span(statements: tuple[ast.Statement, ...]) -> Span | None:
    for statement in statements:
        if isinstance(statement, ast.Objective):
            return next((node.span for node in nodes(statement.body) if isinstance(node, ast.Integral)), None)
    return None


def _lattice(problem: ControlProblem, findings: Findings) -> None:
    """A jump with a positive rate must not leave a finite set."""
    lattice = problem.lattice_states
    count = math.prod(len(problem.state_bounds[i].points) for i in lattice)
    if not lattice or count > MOST_LATTICE_POINTS:
        return
    symbols = [problem.state_symbols[i] for i in lattice]
    sets = [tuple(point.xreplace(dict(problem.values)) for point in problem.state_bounds[i].points) for i in lattice]
    for jump in problem.jumps:
        moves = {i: problem.numeric(jump.displacement.get(i, sp.S.Zero)) for i in lattice}
        rate = problem.numeric(jump.rate)
        for place in itertools.product(*sets):
            here = dict(zip(symbols, place, strict=True))
            landing = [value + moves[i].xreplace(here) for i, value in zip(lattice, place, strict=True)]
            left = next(
                (
                    k
                    for k, (value, points) in enumerate(zip(landing, sets, strict=True))
                    if value.is_number and value not in points
                ),
                None,
            )
            if left is not None and rate.xreplace(here) != 0:
                message = (
                    f"the jump `{jump.name}` leaves the set of `{symbols[left]}`: from {place[left]} it goes to {landing[left]}"
                )
                remedy = f"let its rate vanish there, as in `rate lam*indicator({symbols[left]} != {place[left]})`"
                findings.report("HJB106", message, remedy, jump.span)
                break


def _choices(problem: ControlProblem, findings: Findings) -> None:
    """`evaluate` chooses nothing; `maximize` and `minimize` choose something."""
    span = problem.origins.get("objective", problem.objective.span)
    groups = (*problem.controls, *problem.adversaries)
    if problem.objective.sense == "evaluate" and (groups or problem.stopping):
        name = groups[0].name if groups else problem.stopping.name if problem.stopping else ""
        message = f"`evaluate` has nothing to choose, but `{name}` is declared"
        findings.report("HJB050", message, "write `maximize` or `minimize`, or fix the choice with `let`", span)
    if problem.objective.sense != "evaluate" and not groups and problem.stopping is None and problem.reversal is None:
        findings.warn("HJB108", "there is nothing to choose: no control and no stopping time", "write `evaluate`", span)


def _expectation(problem: ControlProblem, findings: Findings) -> None:
    random = bool(problem.diffusion or problem.modes or problem.jumps)
    if random and problem.objective.form == "expectation" and not problem.objective.stochastic:
        span = problem.origins.get("objective", problem.objective.span)
        findings.warn("HJB107", "the process is random but the objective has no `E`", "write `E` after the first word", span)

"""The diagnostic of a problem whose value is infinite, shown by a finite-horizon value that grows without bound.

In: an equation, an invariant ansatz and the growth rate or the time of explosion. Out: an `HjbError`: HJB120 at the declaration
of the discount parameter, HJB121 at that of the horizon.
"""

from __future__ import annotations

from hjbdsl.errors import Diagnostic, HjbError
from hjbdsl.methods.closed_form.ansatz.basis import Ansatz
from hjbdsl.methods.closed_form.family import ill_posed
from hjbdsl.model.equation import HJBEquation

CODE, ESCAPE = "HJB120", "HJB121"


def infinite_value(equation: HJBEquation, ansatz: Ansatz, rate: float) -> HjbError:
    """`rate` at which the finite-horizon value grows; the discount must exceed its present number by more than that."""
    problem = equation.problem
    discount = problem.objective.discount
    names = [s.name for s in sorted(discount.free_symbols, key=str) if s.name in problem.origins]
    degree = ansatz.scaling.degree if ansatz.scaling is not None else None
    curvature = sorted(s.name for s in degree.free_symbols) if degree is not None else []
    subject = f" with {', '.join(f'`{c}` = {_value(equation, c)}' for c in curvature)}" if curvature else ""
    if len(names) == 1 and discount.is_Symbol:
        threshold = float(problem.numeric(discount)) + rate
        here = float(problem.numeric(discount))
        message = (
            f"the value is infinite: discounting at `{names[0]}` = {here:g}{subject} is slower than the "
            f"growth of the reward; the finite-horizon value grows like exp({rate:.4g}*T)"
        )
        change = f", or change {' or '.join(f'`{c}`' for c in curvature)}" if curvature else ""
        return ill_posed(problem, CODE, names[0], message, f"raise `{names[0]}` above {threshold:.6g}{change}")
    message = f"the value is infinite: the finite-horizon value grows like exp({rate:.4g}*T){subject}"
    remedy = f"discount faster by more than {rate:.4g} a unit of time"
    if names:
        return ill_posed(problem, CODE, names[0], message, remedy)
    span = problem.objective.span
    return HjbError((Diagnostic(CODE, message, remedy, span, problem.source.line(span)),))


def problem_grows(equation: HJBEquation) -> bool:
    """Whether an exploding positive value is an infinite one: under `maximize` and `evaluate`."""
    return equation.problem.objective.sense != "minimize"


def escaped(equation: HJBEquation, to_go: float) -> HjbError:
    """HJB121 at the horizon: the coefficients of V are finite only for `to_go` before the end."""
    problem = equation.problem
    names = [s.name for s in sorted(problem.objective.end.free_symbols, key=str) if s.name in problem.origins]
    horizon = float(problem.numeric(problem.objective.end))
    subject = f"`{names[0]}` = {horizon:g}" if names else f"{horizon:g}"
    message = f"the value is infinite: its coefficients explode at time-to-go {to_go:.6g}, within the horizon {subject}"
    remedy = f"shorten the horizon below {to_go:.6g}"
    if names:
        return ill_posed(problem, ESCAPE, names[0], message, remedy)
    span = problem.objective.span
    return HjbError((Diagnostic(ESCAPE, message, remedy, span, problem.source.line(span)),))


def _value(equation: HJBEquation, name: str) -> str:
    problem = equation.problem
    return next(f"{float(v):g}" for s, v in problem.values.items() if s.name == name)

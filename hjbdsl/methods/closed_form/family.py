"""The interface of a closed-form family, one file each: propose a value function, or say why it does not apply.

A proposal is never trusted: `verify` puts it into the equation. A family therefore gives exact derivatives, not only values.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import sympy as sp
from numpy.typing import NDArray

from hjbdsl.errors import Diagnostic, HjbError
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.problem import ControlProblem
from hjbdsl.model.solution import Array, Formula, Rejected, ValueFunction


@dataclass(frozen=True, slots=True)
class Derivatives:
    """At k points: value (k,), time V_t (k,) (zeros where stationary), gradient (k, n), hessian (k, n, n) (lattice states:
    zeros)."""

    value: Array
    time: Array
    gradient: Array
    hessian: Array


class ExactFunction(ValueFunction):
    """A value function with exact derivatives. Implementations are final dataclasses of plain data (they are pickled)."""

    @abstractmethod
    def derivatives(self, t: Array, x: Array, mode: NDArray[Any]) -> Derivatives:
        """Value and derivatives at k points, to the accuracy the family claims (never by finite differences)."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a family proposes.

    function    the value function, evaluated numerically
    symbolic    joint mode -> V(t, x) as an expression in the problem's symbols, where there is a formula (else None);
                the verifier then tries to prove the residual zero identically
    controls    joint mode -> {control symbol: expression}, beside `symbolic`
    formula     for the reader; None where only numbers exist
    statements  what the family itself has established: which root and why, transversality, second order, how an
                ODE was integrated and checked
    conditions  feasibility conditions already checked by the family, name -> positive number
    average     the long-run average, for average problems; `average_symbolic` the same as an expression, beside `symbolic`
    accuracy    absolute accuracy claimed for V over the region (integrator or quadrature tolerance); 0 for a formula
    problem     the control problem it is verified in, where that is not the equation's own (the one a time reversal stands for)
    """

    family: str
    function: ExactFunction
    symbolic: Mapping[tuple[int, ...], sp.Expr] | None = None
    controls: Mapping[tuple[int, ...], Mapping[sp.Symbol, sp.Expr]] | None = None
    formula: Formula | None = None
    statements: tuple[str, ...] = ()
    average: float | None = None
    accuracy: float = 0.0
    warnings: tuple[str, ...] = field(default=())
    problem: ControlProblem | None = None
    average_symbolic: sp.Expr | None = None


Family = Callable[[HJBEquation], Proposal | Rejected]
"""`propose(equation)`. Raises `HjbError` (see `ill_posed`) where the family applies and shows that the problem has no finite
value."""


def ill_posed(problem: ControlProblem, code: str, name: str, message: str, remedy: str) -> HjbError:
    """The diagnostic of a problem that has no answer, pointing at the declaration of `name` (a key of `problem.origins`)."""
    span = problem.origins[name]
    return HjbError((Diagnostic(code, message, remedy, span, problem.source.line(span)),))

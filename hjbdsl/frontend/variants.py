"""Variants: other values for parameters, chosen on the command line.

In: `variant patient: rho = 0.02`. Out: findings where a name is no parameter.
"""

from __future__ import annotations

from hjbdsl.frontend import ast
from hjbdsl.frontend.findings import closest
from hjbdsl.frontend.scope import ParameterName, Scope


def check_variant(statement: ast.Variant, scope: Scope) -> None:
    parameters = [name for name, entity in scope.entities.items() if isinstance(entity, ParameterName)]
    for name, _ in statement.assignments:
        if name.id in parameters or name.id in scope.broken:
            continue
        near = closest(name.id, parameters)
        remedy = f"did you mean `{near}`?" if near else "a variant gives parameters other values"
        message = f"the variant `{statement.name.id}` sets `{name.id}`, which is no parameter"
        scope.findings.report("HJB062", message, remedy, name.span)

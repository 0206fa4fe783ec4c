"""What the user wrote, set for the eye: filled in below."""

from __future__ import annotations

from collections.abc import Mapping

from hjbdsl.frontend import ast
from hjbdsl.frontend.scope import Scope
from hjbdsl.model.problem import Notation, Objective


def notations(statements: tuple[ast.Statement, ...], objective: Objective, scope: Scope) -> Mapping[tuple[str, ...], Notation]:
    return {}

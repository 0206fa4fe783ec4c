r"""The objective as a person writes it: \max_{\pi, c} \mathbb{E}\left[\int_0^T ... \,dt + g(x(T))\right].

In: `ast.Objective` and the scope. Out: `Notation`.
"""

from __future__ import annotations

from hjbdsl.frontend import ast
from hjbdsl.frontend.notation_latex import LatexPrinter
from hjbdsl.frontend.notation_latex import name as latex
from hjbdsl.frontend.notation_text import PRODUCT, SUM, TextPrinter, precedence
from hjbdsl.frontend.scope import RuleTime, Scope, VariableName
from hjbdsl.model.names import unicode_name
from hjbdsl.model.problem import Notation


def objective_notation(statement: ast.Objective, scope: Scope, printer: LatexPrinter) -> Notation:
    text, typeset = _body_text(statement), _body_latex(statement, printer)
    if statement.sense == "evaluate":
        return Notation(text, typeset)
    own, against = ("max", "min") if statement.sense == "maximize" else ("min", "max")
    controls = [n for n, e in scope.entities.items() if isinstance(e, VariableName) and e.role == "control"]
    controls += [n for n, e in scope.entities.items() if isinstance(e, RuleTime) and e.rule == "stopping"]
    adversaries = [n for n, e in scope.entities.items() if isinstance(e, VariableName) and e.role == "adversary"]
    for operator, names in ((against, adversaries), (own, controls)):
        if names:
            text = f"{operator} over {', '.join(unicode_name(n) for n in names)} of {text}"
            typeset = rf"\{operator}_{{{', '.join(latex(n) for n in names)}}} {typeset}"
    return Notation(text, typeset)


def _body_text(statement: ast.Objective) -> str:
    printer = TextPrinter(blackboard=True)
    body = printer.show(statement.body)
    ends = "" if statement.high is None else f"0 ≤ t ≤ {printer.show(statement.high)}"
    match statement.form:
        case "average":
            return f"lim 1/T E ∫₀^T {printer.show(statement.body, PRODUCT)} dt"
        case "risk":
            theta = printer.show(statement.parameter, PRODUCT) if statement.parameter is not None else "θ"
            return f"1/{theta} log E exp({theta} [{body}])"
        case "running_min" | "running_max":
            return f"{statement.form[-3:]} over {ends} of {body}"
    bare = precedence(statement.body) > SUM or isinstance(statement.body, ast.Integral)
    return body if not statement.stochastic else f"E {body}" if bare else f"E[{body}]"


def _body_latex(statement: ast.Objective, printer: LatexPrinter) -> str:
    body = printer.show(statement.body)
    match statement.form:
        case "average":
            integrand = printer.show(statement.body, PRODUCT)
            return rf"\lim_{{T \to \infty}} \frac{{1}}{{T}} \, \mathbb{{E}} \int_{{0}}^{{T}} {integrand} \,dt"
        case "risk":
            theta = printer.show(statement.parameter, PRODUCT) if statement.parameter is not None else r"\theta"
            return rf"\frac{{1}}{{{theta}}} \log \mathbb{{E}} \exp\left({theta} \left[{body}\right]\right)"
        case "running_min" | "running_max":
            high = printer.show(statement.high) if statement.high is not None else "T"
            return rf"\{statement.form[-3:]}_{{0 \le t \le {high}}} {printer.show(statement.body, PRODUCT)}"
    return rf"\mathbb{{E}}\left[{body}\right]" if statement.stochastic else body

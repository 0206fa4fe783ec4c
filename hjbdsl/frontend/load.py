"""The entry of the front end: from a path or a text to a checked problem.

In: a `.hjb` file, overrides of parameters, the name of a variant. Out: `ControlProblem`, or one `HjbError` with
every diagnostic of the run.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace

from hjbdsl.budget import BudgetExceeded, time_budget
from hjbdsl.errors import Diagnostic, HjbError, Span, UsageError
from hjbdsl.frontend import ast
from hjbdsl.frontend.findings import Findings, closest
from hjbdsl.frontend.include import Includes
from hjbdsl.frontend.lower import lower
from hjbdsl.frontend.parse import parse_recovering, parse_text
from hjbdsl.frontend.source import read_text
from hjbdsl.model.problem import ControlProblem, Source

SECONDS = 6.0


def load_problem(path: str | os.PathLike[str], overrides: Mapping[str, str] = {}, variant: str | None = None) -> ControlProblem:
    """The problem of a file.

    `overrides` maps parameter names to expressions of the language, as in {"gamma": "3"}; they win over `variant`.
    Raises HjbError with all diagnostics, UsageError for an unknown parameter or variant.
    """
    return loads_problem(read_text(path), os.fspath(path), overrides, variant)


def loads_problem(
    text: str,
    path: str = "<string>",
    overrides: Mapping[str, str] = {},
    variant: str | None = None,
    included: Mapping[str, str] = {},
) -> ControlProblem:
    """As `load_problem`, from a text; includes are relative to `path`. `included` holds texts by path, each taken for
    the file there."""
    findings = Findings({})
    try:
        with time_budget(SECONDS):
            return _loaded(text, path, overrides, variant, findings, included)
    except BudgetExceeded:
        message, remedy = f"the file takes more than {SECONDS:g} s to read", "simplify its longest expression"
    except RecursionError:
        message, remedy = "an expression is nested too deeply", "shorten the chain of brackets or definitions"
    raise HjbError((*findings.errors, Diagnostic("HJB040", message, remedy, Span(path, 1, 1))))


def _loaded(text: str, path: str, overrides: Mapping[str, str], variant: str | None, findings: Findings,
            included: Mapping[str, str]) -> ControlProblem:  # fmt: skip
    file, mistakes = parse_recovering(text, path)
    findings.files[path] = file.lines
    includes = Includes(findings, {path: text}, list(mistakes), included)
    statements = includes.expanded(file, (os.path.realpath(path),))
    statements = _with_overrides(statements, _variant(statements, variant), overrides, bool(includes.syntax))
    source = Source(path, findings.files, _digest(includes.texts, overrides, variant), dict(overrides), variant)
    problem = lower(statements, findings, source, includes.syntax)
    if problem is None or findings.errors:
        found = sorted((*includes.syntax, *findings.diagnostics), key=lambda d: _place(d, path))
        raise HjbError(tuple(found))
    return replace(problem, warnings=findings.sorted())


def _place(diagnostic: Diagnostic, path: str) -> tuple[bool, str, int, int]:
    span = diagnostic.span
    return (False, "", 0, 0) if span is None else (span.file != path, span.file, span.line, span.column)


def _digest(texts: Mapping[str, str], overrides: Mapping[str, str], variant: str | None) -> str:
    digest = hashlib.sha256()
    for part in (*texts.values(), *(f"{name}={value}" for name, value in sorted(overrides.items())), variant or ""):
        digest.update(part.encode())
        digest.update(b"\0")
    return digest.hexdigest()


def _variant(statements: tuple[ast.Statement, ...], name: str | None) -> dict[str, ast.Expr]:
    """The assignments of the variant asked for."""
    variants = [statement for statement in statements if isinstance(statement, ast.Variant)]
    if name is None:
        return {}
    for statement in variants:
        if statement.name.id == name:
            return {target.id: value for target, value in statement.assignments}
    near = closest(name, [statement.name.id for statement in variants])
    known = ", ".join(f"`{statement.name.id}`" for statement in variants) or "none"
    raise UsageError(f"no variant `{name}`: " + (f"did you mean `{near}`?" if near else f"the file has {known}"))


def _with_overrides(statements: tuple[ast.Statement, ...], chosen: Mapping[str, ast.Expr], overrides: Mapping[str, str],
                    incomplete: bool) -> tuple[ast.Statement, ...]:  # fmt: skip
    """The statements with the values of parameters replaced before anything is evaluated."""
    values = {**chosen, **{name: _expression(name, text) for name, text in overrides.items()}}
    names = [d.name for s in statements if isinstance(s, ast.Param) for d in s.declarations]
    for name in overrides:
        if name not in names and not incomplete:
            near = closest(name, names)
            raise UsageError(f"no parameter `{name}`" + (f": did you mean `{near}`?" if near else ""))
    return tuple(
        ast.Param(tuple(replace(d, value=values[d.name]) if d.name in values else d for d in s.declarations), s.span)
        if isinstance(s, ast.Param)
        else s
        for s in statements
    )


def _expression(name: str, text: str) -> ast.Expr:
    """The value of `--set name=text`, read by the grammar of the language."""
    try:
        file = parse_text(f"param {name} = {text}", "<override>")
    except HjbError as error:
        raise UsageError(f"`{name}={text}`: {error.diagnostics[0].message}") from None
    match file.statements:
        case (ast.Param((ast.ParamDecl(value=value),)),) if not isinstance(value, ast.ModeTable):
            return value
    raise UsageError(f"`{name}={text}` is not one value")

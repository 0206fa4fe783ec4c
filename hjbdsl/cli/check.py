"""`hjb check FILE...`: every mistake of every file, in one run."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from hjbdsl.cli.answers import Question, answer
from hjbdsl.cli.options import AS_JSON, FILES, NO_CACHE, QUIET, SETTINGS, VARIANT, existing, overrides
from hjbdsl.errors import HjbError

if TYPE_CHECKING:
    from hjbdsl.model.problem import ControlProblem

_EXIT_FILE = 3


@click.command()
@FILES
@SETTINGS
@VARIANT
@AS_JSON
@QUIET
@NO_CACHE
def run(
    files: tuple[str, ...],
    settings: tuple[str, ...],
    variant: str | None,
    as_json: bool,
    quiet: bool,
    no_cache: bool,
) -> int:
    """Read, resolve, derive, and look for what makes a problem ill-posed. Reports every mistake with its line and remedy."""
    results = []
    for path in files:
        question = Question.ask(existing(path), overrides(settings), variant)
        try:
            result, _ = answer(question, "check", (), _check, not no_cache)
        except HjbError as error:
            result = {"ok": False, "diagnostics": [d.as_json() for d in error.diagnostics]}
            result["text"] = str(error)
        results.append({"file": path, **result})
    if as_json:
        _print_json(results)
    else:
        _print_text(results, quiet)
    return 0 if all(result["ok"] for result in results) else _EXIT_FILE


def _check(problem: ControlProblem) -> dict[str, Any]:
    from hjbdsl import pipeline  # noqa: PLC0415 (sympy: only where something has to be worked out)

    equation = pipeline.derive(problem, pipeline.DERIVING_SECONDS_OF_CHECK)
    warnings = (*problem.warnings, *pipeline.well_posed(equation))
    return {
        "ok": True,
        "problem": problem.name,
        "kind": equation.kind,
        "dimension": problem.dimension,
        "states": [group.name for group in problem.states],
        "controls": [group.name for group in (*problem.controls, *problem.adversaries)],
        "diagnostics": [warning.as_json() for warning in warnings],
        "text": "\n\n".join(warning.render() for warning in warnings),
    }


def _print_json(results: list[dict[str, Any]]) -> None:
    shown = [{name: value for name, value in result.items() if name != "text"} for result in results]
    whole = shown[0] if len(shown) == 1 else {"ok": all(r["ok"] for r in shown), "files": shown}
    click.echo(json.dumps(whole, ensure_ascii=False))


def _print_text(results: list[dict[str, Any]], quiet: bool) -> None:
    for result in results:
        if not result["ok"]:
            click.echo(result["text"])
            count = sum(d["severity"] == "error" for d in result["diagnostics"])
            click.echo(f"\n{result['file']}: {count} error{'s' if count != 1 else ''}")
            continue
        if result["text"] and not quiet:
            print(result["text"], file=sys.stderr)
        states, controls = ", ".join(result["states"]), ", ".join(result["controls"]) or "none"
        kind = result["kind"].replace("_", " ")
        click.echo(f"{result['file']}: ok    {kind}, dimension {result['dimension']}, states {states}, controls {controls}")

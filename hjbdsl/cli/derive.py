"""`hjb derive FILE`: the equation, and on request every step to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from hjbdsl.cli.answers import Question, answer
from hjbdsl.cli.options import FILE, NO_CACHE, OUTPUT, QUIET, SETTINGS, VARIANT, existing, overrides, write_text
from hjbdsl.errors import UsageError

if TYPE_CHECKING:
    from hjbdsl.model.problem import ControlProblem

_TEXT = "text"
_FORMATS = (_TEXT, "latex", "html", "json")


@click.command()
@FILE
@click.option("--format", "form", default=_TEXT, metavar="text|latex|html|json", help="How to set it.")
@click.option("--steps", is_flag=True, help="The whole derivation, from the discrete Bellman equation.")
@OUTPUT
@SETTINGS
@VARIANT
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
@QUIET
@NO_CACHE
def run(
    file: str,
    form: str,
    steps: bool,
    output: str | None,
    settings: tuple[str, ...],
    variant: str | None,
    as_json: bool,
    quiet: bool,
    no_cache: bool,
) -> int:
    """The HJB equation, Hamiltonian, maximiser, reduced equation and boundary conditions."""
    if as_json and form not in (_TEXT, "json"):
        raise UsageError(f"--json and --format {form} contradict each other; keep one")
    form = "json" if as_json else form
    if form not in _FORMATS:
        raise UsageError(f"--format is one of {', '.join(_FORMATS)}, not `{form}`")
    question = Question.ask(existing(file), overrides(settings), variant)

    def work(problem: ControlProblem) -> dict[str, Any]:
        from hjbdsl import pipeline  # noqa: PLC0415 (sympy: only where something has to be worked out)

        return {
            "text": pipeline.set_equation(pipeline.derive(problem), form, steps),
            "warnings": [] if quiet else [warning.render() for warning in problem.warnings],
        }

    made, _ = answer(question, "derive", (form, steps, quiet), work, not no_cache)
    for warning in made["warnings"]:
        click.echo(warning, err=True)
    text = made["text"].rstrip("\n") + "\n"
    if output is not None:
        write_text(output, text)
    else:
        click.echo(text, nl=False)
    return 0

"""`hjb compile FILE --method grid -o solver.py`: the solver of one problem as a program of its own."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from hjbdsl.cli.answers import Question, answer
from hjbdsl.cli.options import (
    FILE,
    FORCE,
    NO_CACHE,
    OUTPUT,
    QUIET,
    SETTINGS,
    VARIANT,
    existing,
    overrides,
    refuse_overwriting,
    write_text,
)
from hjbdsl.errors import UsageError

if TYPE_CHECKING:
    from hjbdsl.model.problem import ControlProblem

_EXIT_NOT_CONVERGED = 1


@click.command()
@FILE
@click.option("--method", default="grid", metavar="grid|neural", help="Which solver to write.")
@OUTPUT
@FORCE
@SETTINGS
@VARIANT
@QUIET
@NO_CACHE
def run(
    file: str,
    method: str,
    output: str | None,
    force: bool,
    settings: tuple[str, ...],
    variant: str | None,
    quiet: bool,
    no_cache: bool,
) -> int:
    """Write a standalone program that solves this problem and prints a table as `hjb solve` does. For a grid the problem is
    solved once on the way: that settles the meshes."""
    if output is not None:
        if not output.endswith(".py"):
            raise UsageError("programs are Python: give -o a name that ends in .py")
        refuse_overwriting(output, force)
    question = Question.ask(existing(file), overrides(settings), variant)

    def work(problem: ControlProblem) -> dict[str, Any]:
        from hjbdsl import uses  # noqa: PLC0415 (sympy: only where something has to be worked out)

        made = uses.compile_solver(problem, method, not no_cache)
        return {"source": made.source, "needs": made.needs, "status": made.status}

    made, _ = answer(question, "compile", (method,), work, not no_cache)
    if output is None:
        click.echo(made["source"], nl=False)
    else:
        write_text(output, made["source"])
        if not quiet:
            print(f"{output}: run it with `python {output}`; it needs {made['needs']}", file=sys.stderr)
    if made["status"] == "not_converged":
        print("warning: the answer of this method did not converge; the program says so too", file=sys.stderr)
        return _EXIT_NOT_CONVERGED
    return 0

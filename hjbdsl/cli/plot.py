"""`hjb plot RESULT|FILE`: value, policy, paths and evidence as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hjbdsl.cli.answers import Question
from hjbdsl.cli.options import NoCache, Quiet, Settings, Variant, existing, overrides
from hjbdsl.errors import UsageError
from hjbdsl.io.extras import PICTURES, require

SUBJECTS = ("value", "policy", "paths", "convergence", "density")
_DEFAULT = "value,policy"
_ENDINGS = (".png", ".svg", ".pdf")


def run(
    file: Annotated[str, typer.Argument(metavar="RESULT|FILE", help="A result of `hjb solve -o result.nc`, or a .hjb file.")],
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE.png|svg|pdf", help="Write to this file; else NAME.png.")
    ] = None,
    what: Annotated[
        str, typer.Option("--what", metavar="SUBJECT,...", help=f"What to show: {', '.join(SUBJECTS)}, or all that there is.")
    ] = _DEFAULT,
    method: Annotated[str, typer.Option("--method", metavar="auto|NAME", help="Which method solves a .hjb file.")] = "auto",
    seed: Annotated[int, typer.Option("--seed", help="Seed of everything random.")] = 0,
    settings: Settings = None,
    variant: Variant = None,
    quiet: Quiet = False,
    no_cache: NoCache = False,
) -> int:
    """Draw a result, or solve a file and draw that."""
    require(PICTURES, "pictures")
    subjects = _subjects(what)
    target = output or _default_name(file)
    if not target.lower().endswith(_ENDINGS):
        raise UsageError(f"`{target}`: pictures are written as png, svg or pdf; give -o a name with such an ending")
    from hjbdsl import pipeline, uses  # noqa: PLC0415 (sympy: only where something has to be worked out)
    from hjbdsl.io.netcdf import is_result  # noqa: PLC0415

    if file != "-" and is_result(existing(file)):
        if settings or variant is not None or method != "auto":
            raise UsageError("--set, --variant and --method belong to a .hjb file; a result has its answer already")
        answer = uses.stored(file)
    else:
        question = Question.ask(file, overrides(settings), variant)
        answer = pipeline.worked_out(question.load(), pipeline.Request(method, seed=seed), cached=not no_cache)
    uses.draw(answer, subjects, target, seed)
    if not quiet:
        typer.echo(target)
    return 0


def _subjects(what: str) -> tuple[str, ...]:
    if what.strip() == "all":
        return ()
    wanted = tuple(dict.fromkeys(part.strip() for part in what.split(",") if part.strip()))
    for subject in wanted:
        if subject not in SUBJECTS:
            raise UsageError(f"--what is one of {', '.join(SUBJECTS)} or all, not `{subject}`")
    if not wanted:
        raise UsageError(f"--what is empty; name one of {', '.join(SUBJECTS)}")
    return wanted


def _default_name(file: str) -> str:
    return "plot.png" if file == "-" else f"{Path(file).stem}.png"

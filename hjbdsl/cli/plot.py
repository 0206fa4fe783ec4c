"""`hjb plot RESULT|FILE`: value, policy, paths and evidence as a picture."""

from __future__ import annotations

from pathlib import Path

import click

from hjbdsl.cli.answers import Question
from hjbdsl.cli.options import NO_CACHE, QUIET, SEED, SETTINGS, VARIANT, existing, overrides
from hjbdsl.errors import UsageError
from hjbdsl.io.extras import PICTURES, require

SUBJECTS = ("value", "policy", "paths", "convergence", "density")
_DEFAULT = "value,policy"
_ENDINGS = (".png", ".svg", ".pdf")


@click.command()
@click.argument("file", metavar="RESULT|FILE", help="A result of `hjb solve -o result.nc`, or a .hjb file.")
@click.option("-o", "--output", metavar="FILE.png|svg|pdf", help="Write to this file; else NAME.png.")
@click.option(
    "--what", default=_DEFAULT, metavar="SUBJECT,...", help=f"What to show: {', '.join(SUBJECTS)}, or all that there is."
)
@click.option("--method", default="auto", metavar="auto|NAME", help="Which method solves a .hjb file.")
@SEED
@SETTINGS
@VARIANT
@QUIET
@NO_CACHE
def run(
    file: str,
    output: str | None,
    what: str,
    method: str,
    seed: int,
    settings: tuple[str, ...],
    variant: str | None,
    quiet: bool,
    no_cache: bool,
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
        click.echo(target)
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

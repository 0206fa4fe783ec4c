"""`hjb simulate FILE|RESULT`: paths under the optimal policy, and what they earn beside V."""

from __future__ import annotations

import json
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import click

from hjbdsl.cli.answers import Question
from hjbdsl.cli.options import AS_JSON, NO_CACHE, QUIET, SEED, SETTINGS, VARIANT, existing, overrides
from hjbdsl.cli.points import parse_point
from hjbdsl.errors import UsageError

if TYPE_CHECKING:
    from hjbdsl.pipeline import Answer

_DISAGREES = 1
_MOST_PATHS = 10_000_000
_RECORDED = 256

SUBJECT = click.argument("file", metavar="FILE|RESULT", help="A .hjb file, or a result of `hjb solve -o result.nc`.")
START = click.option("--from", "start", metavar="POINT", help='Where the paths start, as in --from "x=1.5"; else mid-region.')
DT = click.option("--dt", type=float, help="The time step; else one that suits the problem.")
HORIZON = click.option("--horizon", type=float, help="How long, where the problem has no end.")
METHOD = click.option("--method", default="auto", metavar="auto|NAME", help="Which method solves a .hjb file.")


@click.command()
@SUBJECT
@click.option("--paths", default=2000, metavar="N", help="How many paths.")
@START
@DT
@HORIZON
@SEED
@click.option("-o", "--output", metavar="FILE.npz|nc|parquet", help="Write the paths to this file.")
@METHOD
@SETTINGS
@VARIANT
@AS_JSON
@QUIET
@NO_CACHE
def run(
    file: str,
    paths: int,
    start: str | None,
    dt: float | None,
    horizon: float | None,
    seed: int,
    output: str | None,
    method: str,
    settings: tuple[str, ...],
    variant: str | None,
    as_json: bool,
    quiet: bool,
    no_cache: bool,
) -> int:
    """Simulate the controlled process and hold what it earns against V."""
    started = time.perf_counter()
    checked(paths, dt, horizon)
    point = parse_point(start) if start is not None else None
    if output is not None:
        from hjbdsl.io.paths_file import ready_to_write  # noqa: PLC0415 (numpy: only where a file is asked for)

        ready_to_write(output)
    from hjbdsl import uses  # noqa: PLC0415 (sympy: only where something has to be worked out)
    from hjbdsl.io.trial import trial_object, trial_text  # noqa: PLC0415
    from hjbdsl.simulation.trial import Settings as TrialSettings  # noqa: PLC0415

    with progress(quiet or as_json):
        worked = solved(file, method, seed, overrides(settings), variant, no_cache)
        wanted = TrialSettings(paths, dt, horizon, seed, record=paths if output is not None else min(paths, _RECORDED))
        trial = uses.simulated(worked, point, wanted)
        if output is not None and trial.paths is not None:
            from hjbdsl.io.paths_file import write_paths  # noqa: PLC0415

            write_paths(worked.equation, trial.paths, output)
    result = trial_object(worked.equation, trial, worked.solution.method, worked.solution.status) | {"output": output}
    seconds = time.perf_counter() - started
    if as_json:
        click.echo(json.dumps(result | {"seconds": round(seconds, 3)}, ensure_ascii=False, allow_nan=False))
    else:
        click.echo(trial_text(result, seconds))
    return 0 if trial.verdict == "agrees" else _DISAGREES


def checked(paths: int, dt: float | None, horizon: float | None) -> None:
    """Raises `UsageError` for numbers that make no simulation."""
    if not 1 < paths <= _MOST_PATHS:
        raise UsageError(f"--paths wants a whole number from 2 to {_MOST_PATHS}")
    for name, value in (("--dt", dt), ("--horizon", horizon)):
        if value is not None and not 0 < value < float("inf"):
            raise UsageError(f"{name} wants a positive number")


def solved(file: str, method: str, seed: int, changes: dict[str, str], variant: str | None, no_cache: bool) -> Answer:
    """The solution that a result file holds, or that of a `.hjb` file. Raises `UsageError`, and what solving raises."""
    from hjbdsl import pipeline, uses  # noqa: PLC0415 (sympy: only where something has to be worked out)
    from hjbdsl.io.netcdf import is_result  # noqa: PLC0415

    if file != "-" and is_result(existing(file)):
        if changes or variant is not None or method != "auto":
            raise UsageError("--set, --variant and --method belong to a .hjb file; a result has its answer already")
        return uses.stored(file)
    question = Question.ask(existing(file), changes, variant)
    return pipeline.worked_out(question.load(), pipeline.Request(method, seed=seed), cached=not no_cache)


def progress(quiet: bool) -> AbstractContextManager[Any]:
    """A line on stderr that says how far the work is; nothing off a terminal."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        return nullcontext()
    from hjbdsl.cli.show import progress_bar  # noqa: PLC0415 (rich: on a terminal only)

    return progress_bar()

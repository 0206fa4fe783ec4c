"""`hjb simulate FILE|RESULT`: paths under the optimal policy, and what they earn beside V."""

from __future__ import annotations

import json
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hjbdsl.cli.answers import Question
from hjbdsl.cli.options import AsJson, NoCache, Quiet, Settings, Variant, existing, overrides
from hjbdsl.cli.points import parse_point
from hjbdsl.errors import UsageError

if TYPE_CHECKING:
    from hjbdsl.pipeline import Answer

_DISAGREES = 1
_MOST_PATHS = 10_000_000
_RECORDED = 256

Subject = Annotated[str, typer.Argument(metavar="FILE|RESULT", help="A .hjb file, or a result of `hjb solve -o result.nc`.")]
From = Annotated[
    str | None, typer.Option("--from", metavar="POINT", help='Where the paths start, as in --from "x=1.5"; else mid-region.')
]
Paths = Annotated[int, typer.Option("--paths", metavar="N", help="How many paths.")]
Dt = Annotated[float | None, typer.Option("--dt", help="The time step; else one that suits the problem.")]
Horizon = Annotated[float | None, typer.Option("--horizon", help="How long, where the problem has no end.")]
Method = Annotated[str, typer.Option("--method", metavar="auto|NAME", help="Which method solves a .hjb file.")]
Seed = Annotated[int, typer.Option("--seed", help="Seed of everything random.")]


def run(
    file: Subject,
    paths: Paths = 2000,
    start: From = None,
    dt: Dt = None,
    horizon: Horizon = None,
    seed: Seed = 0,
    output: Annotated[
        str | None, typer.Option("--output", "-o", metavar="FILE.npz|nc|parquet", help="Write the paths to this file.")
    ] = None,
    method: Method = "auto",
    settings: Settings = None,
    variant: Variant = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    no_cache: NoCache = False,
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
        typer.echo(json.dumps(result | {"seconds": round(seconds, 3)}, ensure_ascii=False, allow_nan=False))
    else:
        typer.echo(trial_text(result, seconds))
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

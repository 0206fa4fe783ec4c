"""`hjb solve FILE`: the answer, with its evidence."""

from __future__ import annotations

import json
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import click

from hjbdsl.cli.answers import Question, answer
from hjbdsl.cli.options import (
    AS_JSON,
    FILE,
    NO_CACHE,
    OUTPUT_RESULT,
    QUIET,
    SEED,
    SETTINGS,
    VARIANT,
    existing,
    overrides,
    write_text,
)
from hjbdsl.cli.points import parse_point
from hjbdsl.cli.show import show
from hjbdsl.errors import UsageError
from hjbdsl.io.extras import TABLES, require

if TYPE_CHECKING:
    from hjbdsl.model.problem import ControlProblem

_EXIT_CHECK_FAILED = 1


@click.command()
@FILE
@click.option("--method", default="auto", metavar="auto|NAME", help="Which method to use.")
@click.option("--at", multiple=True, metavar="POINT", help='Where to give values, as in --at "t=0,x=1"; may be repeated.')
@click.option("--tol", type=float, help="Accuracy of V that is wanted; missing it is a failure.")
@SEED
@OUTPUT_RESULT
@click.option("--device", default="cpu", metavar="cpu|cuda", help="Where networks are trained.")
@click.option("--checkpoint", metavar="FILE", help="Keep the training here.")
@click.option("--resume", is_flag=True, help="Go on from the checkpoint.")
@click.option("--explain", is_flag=True, help="Say for each method why it was taken or rejected.")
@SETTINGS
@VARIANT
@AS_JSON
@QUIET
@NO_CACHE
def run(
    file: str,
    method: str,
    at: tuple[str, ...],
    tol: float | None,
    seed: int,
    output: str | None,
    device: str,
    checkpoint: str | None,
    resume: bool,
    explain: bool,
    settings: tuple[str, ...],
    variant: str | None,
    as_json: bool,
    quiet: bool,
    no_cache: bool,
) -> int:
    """Value function and optimal control, with a proof or an error; then the checks of the file."""
    started = time.perf_counter()
    points = [parse_point(text) for text in at or ()]
    if tol is not None and not tol > 0:
        raise UsageError("--tol wants a positive number")
    as_table = output is not None and output.endswith(".nc")
    if output is not None and not as_table and not output.endswith(".json"):
        raise UsageError("results are written as NetCDF or JSON: give -o a name that ends in .nc or .json")
    if as_table:
        require(TABLES, "result files")
    training = _training(device, checkpoint, resume)
    question = Question.ask(existing(file), overrides(settings), variant)
    options = (method, json.dumps(points), tol, seed, json.dumps(training))

    with _progress(quiet or as_json) as status:

        def work(problem: ControlProblem) -> dict[str, Any]:
            from hjbdsl import pipeline, uses  # noqa: PLC0415 (sympy: only where something has to be worked out)

            request = pipeline.Request(method, tol, seed, training)
            worked = pipeline.worked_out(problem, request, points, not no_cache, started, status)
            if output is not None and as_table:
                status("tabulating")
                uses.save(worked, output)
            return worked.result

        # a table is made from the solution itself, which the shelf of answers does not hold
        result, cached = answer(question, "solve", options, work, not no_cache and not as_table)
    result |= {"cached": cached}
    if not explain:
        result.pop("explain", None)
    if output is not None and not as_table:
        write_text(output, json.dumps(result, ensure_ascii=False, indent=1) + "\n")
    if as_json:
        click.echo(json.dumps(result, ensure_ascii=False, allow_nan=False))
    else:
        show(result, time.perf_counter() - started, quiet)
    return 0 if _holds(result, tol) else _EXIT_CHECK_FAILED


def _training(device: str, checkpoint: str | None, resume: bool) -> dict[str, float | str]:
    """The options of a training that differ from their defaults."""
    if device not in ("cpu", "cuda"):
        raise UsageError("--device is cpu or cuda")
    if resume and checkpoint is None:
        raise UsageError("--resume wants the --checkpoint to go on from")
    kept: dict[str, float | str] = {} if device == "cpu" else {"device": device}
    if checkpoint is not None:
        kept["checkpoint"] = checkpoint
    return kept | ({"resume": 1.0} if resume else {})


def _holds(result: dict[str, Any], tol: float | None) -> bool:
    """Whether the method converged, every check passed, and every value is as accurate as was asked."""
    if result["status"] == "not_converged" or not all(check["passed"] for check in result["checks"]):
        return False
    return tol is None or all(entry["error"] is not None and entry["error"] <= tol for entry in result["value"])


def _progress(quiet: bool) -> AbstractContextManager[Any]:
    """A line on stderr that says how far the work is; nothing off a terminal."""
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        return nullcontext(lambda _stage: None)
    from hjbdsl.cli.show import progress_bar  # noqa: PLC0415 (rich: on a terminal only)

    return progress_bar()

"""`hjb sample FILE -n 10000 -o samples.npy`: draws from a generative problem."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import click

from hjbdsl.cli.answers import Question
from hjbdsl.cli.options import (
    AS_JSON,
    FILE,
    FORCE,
    NO_CACHE,
    QUIET,
    SEED,
    SETTINGS,
    VARIANT,
    existing,
    overrides,
    refuse_overwriting,
)
from hjbdsl.cli.points import parse_point
from hjbdsl.cli.simulate import progress
from hjbdsl.errors import UsageError

if TYPE_CHECKING:
    from hjbdsl.model.samples import Samples

_ENDINGS = (".npy", ".npz", ".csv", ".parquet")
_MOST = 10_000_000


@click.command()
@FILE
@click.option("-n", "--count", default=1000, help="How many samples.")
@click.option("-o", "--output", metavar="FILE", help="Write them to this .npy, .npz, .csv or .parquet file.")
@click.option(
    "--sampler",
    metavar="em|heun|exponential|ode|pc|time_reversed|path_integral",
    help="How the reverse process is run (exponential), or the end of a control problem drawn (time_reversed).",
)
@click.option("--from", "start", metavar="POINT", help='Where a controlled process starts: --from "x=[0,0]".')
@click.option("--steps", type=int, help="Steps of the sampler.")
@click.option("--method", default="auto", metavar="auto|NAME", help="Which method finds the score.")
@click.option("--likelihood", is_flag=True, help="Log-densities too, by the probability flow.")
@click.option("--tilt", metavar="EXPR", help="Steer by this terminal reward: draw from p_0 exp(EXPR).")
@SEED
@FORCE
@SETTINGS
@VARIANT
@AS_JSON
@QUIET
@NO_CACHE
def run(
    file: str,
    count: int,
    output: str | None,
    sampler: str | None,
    start: str | None,
    steps: int | None,
    method: str,
    likelihood: bool,
    tilt: str | None,
    seed: int,
    force: bool,
    settings: tuple[str, ...],
    variant: str | None,
    as_json: bool,
    quiet: bool,
    no_cache: bool,
) -> int:
    """Run the time-reversed process from noise to data, with the exact score or a learned one; or, without `reverse`, draw the
    state in which a control that enters as the noise does ends."""
    started = time.perf_counter()
    if not 0 < count <= _MOST or (steps is not None and not 0 < steps <= _MOST):
        raise UsageError(f"-n and --steps want whole numbers from 1 to {_MOST}")
    _check_output(output, likelihood, force)
    question = Question.ask(existing(file), overrides(settings), variant)
    problem = question.load()
    from hjbdsl import uses  # noqa: PLC0415 (sympy: only where something has to be worked out)
    from hjbdsl.model.samples import SampleRequest  # noqa: PLC0415

    point = parse_point(start) if start is not None else None
    wanted = SampleRequest(count, sampler, steps, seed, likelihood, method, tilt, point)
    with progress(quiet or as_json):
        samples = uses.sample(problem, wanted, not no_cache)
    if output is not None:
        _write(output, samples)
    described: dict[str, Any] = {**samples.described, "output": output, "seconds": round(time.perf_counter() - started, 3)}
    if as_json:
        click.echo(json.dumps(described, ensure_ascii=False, allow_nan=False))
    elif not quiet:
        _show(described)
    return 0 if samples.trusted else 1


def _check_output(output: str | None, likelihood: bool, force: bool) -> None:
    if output is None:
        return
    if not output.lower().endswith(_ENDINGS):
        raise UsageError(f"samples are written as {', '.join(_ENDINGS)}: give -o a name that ends in one of them")
    if likelihood and output.lower().endswith(".npy"):
        raise UsageError("a .npy file holds one array: give -o a .npz, .csv or .parquet file for --likelihood")
    refuse_overwriting(output, force)


def _write(output: str, samples: Samples) -> None:
    import numpy as np  # noqa: PLC0415 (loaded by now)

    columns = dict(zip(samples.columns, samples.rows.T, strict=True))
    if samples.log_density is not None:
        columns["log_density"] = samples.log_density
    try:
        match output.lower().rpartition(".")[2]:
            case "npy":
                np.save(output, samples.rows)
            case "npz":
                arrays: dict[str, Any] = {samples.state: samples.rows}
                if samples.log_density is not None:
                    arrays["log_density"] = samples.log_density
                np.savez(output, **arrays)
            case "csv":
                table = np.column_stack(list(columns.values()))
                np.savetxt(output, table, delimiter=",", header=",".join(columns), comments="", fmt="%.10g")
            case _:
                _write_parquet(output, columns)
    except OSError as error:
        raise UsageError(f"cannot write `{output}`: {error.strerror}") from error


def _write_parquet(output: str, columns: dict[str, Any]) -> None:
    try:
        import pyarrow  # noqa: PLC0415 (an extra: data)
        from pyarrow import parquet  # noqa: PLC0415
    except ImportError:
        raise UsageError("parquet needs pyarrow: pip install 'hjbdsl[data]', or give -o a .npy file") from None
    parquet.write_table(pyarrow.table(columns), output)


def _show(described: dict[str, Any]) -> None:
    plural, evaluated = "s" if described["count"] > 1 else "", described.get("evaluated", "the score")
    click.echo(f"{described['title'] or described['problem']}\n")
    click.echo(f"{described['count']} sample{plural} by `{described['sampler']}` in {described['steps']} steps: "
               f"{described['evaluations']} evaluations of {evaluated} ({described['score']})")  # fmt: skip
    for name, mean, deviation in zip(described["columns"], described["mean"], described["deviation"], strict=True):
        click.echo(f"  {name:<10} mean {mean:>10.4g}   deviation {deviation:>10.4g}")
    for line in (*described["statements"], *(f"warning: {text}" for text in described["warnings"])):
        click.echo(line)
    if described["output"]:
        click.echo(f"written to {described['output']}")

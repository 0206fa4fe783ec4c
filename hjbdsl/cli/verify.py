"""`hjb verify FILE|RESULT`: a two-sided bracket of the value, the residual of the equation, and a verdict."""

from __future__ import annotations

import json
import time

import click

from hjbdsl.cli.options import AS_JSON, NO_CACHE, QUIET, SEED, SETTINGS, VARIANT, overrides
from hjbdsl.cli.points import parse_point
from hjbdsl.cli.simulate import DT, HORIZON, METHOD, SUBJECT, checked, progress, solved

_REFUTED = 1
_RECORDED = 64


@click.command()
@SUBJECT
@click.option(
    "--at", multiple=True, metavar="POINT", help='Where to verify, as in --at "t=0,x=1"; may be repeated; else mid-region.'
)
@click.option("--paths", default=4000, metavar="N", help="How many paths.")
@DT
@HORIZON
@SEED
@METHOD
@SETTINGS
@VARIANT
@AS_JSON
@QUIET
@NO_CACHE
def run(
    file: str,
    at: tuple[str, ...],
    paths: int,
    dt: float | None,
    horizon: float | None,
    seed: int,
    method: str,
    settings: tuple[str, ...],
    variant: str | None,
    as_json: bool,
    quiet: bool,
    no_cache: bool,
) -> int:
    """Hold an answer against simulation and against its equation."""
    started = time.perf_counter()
    checked(paths, dt, horizon)
    points = [parse_point(text) for text in at or ()]
    from hjbdsl import uses  # noqa: PLC0415 (sympy: only where something has to be worked out)
    from hjbdsl.io.verification import verification_text  # noqa: PLC0415
    from hjbdsl.simulation.trial import Settings as TrialSettings  # noqa: PLC0415

    with progress(quiet or as_json):
        worked = solved(file, method, seed, overrides(settings), variant, no_cache)
        result = uses.verified(worked, points, TrialSettings(paths, dt, horizon, seed, record=_RECORDED))
    seconds = time.perf_counter() - started
    if as_json:
        click.echo(json.dumps(result | {"seconds": round(seconds, 3)}, ensure_ascii=False, allow_nan=False))
    else:
        click.echo(verification_text(result, seconds))
    return 0 if result["verdict"] == "holds" else _REFUTED

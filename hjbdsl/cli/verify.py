"""`hjb verify FILE|RESULT`: a two-sided bracket of the value, the residual of the equation, and a verdict."""

from __future__ import annotations

import json
import time
from typing import Annotated

import typer

from hjbdsl.cli.options import AsJson, NoCache, Quiet, Settings, Variant, overrides
from hjbdsl.cli.points import parse_point
from hjbdsl.cli.simulate import Dt, Horizon, Method, Paths, Seed, Subject, checked, progress, solved

_REFUTED = 1
_RECORDED = 64


def run(
    file: Subject,
    at: Annotated[
        list[str] | None,
        typer.Option("--at", metavar="POINT", help='Where to verify, as in --at "t=0,x=1"; may be repeated; else mid-region.'),
    ] = None,
    paths: Paths = 4000,
    dt: Dt = None,
    horizon: Horizon = None,
    seed: Seed = 0,
    method: Method = "auto",
    settings: Settings = None,
    variant: Variant = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    no_cache: NoCache = False,
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
        typer.echo(json.dumps(result | {"seconds": round(seconds, 3)}, ensure_ascii=False, allow_nan=False))
    else:
        typer.echo(verification_text(result, seconds))
    return 0 if result["verdict"] == "holds" else _REFUTED

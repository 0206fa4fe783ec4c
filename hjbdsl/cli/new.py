"""`hjb new NAME`: a started file, which passes `hjb check` as it is."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click

from hjbdsl.cli.options import FORCE, QUIET, refuse_overwriting, write_text
from hjbdsl.errors import HjbError, UsageError
from hjbdsl.frontend.parse import parse_text

_STARTED = """\
problem {name} "one state, one control: say here what is decided"

param   alpha = -0.5 "drift of the state", beta = 1 "effect of the control"
param   q = 1 "cost of being off", r = 0.1 "cost of control"
param   sigma = 0.3 "volatility", rho = 0.1 "discount rate"

state   x in R "what moves"
control a in R "what is chosen"  # bounded: a in [-1, 1]
noise   W

dx = (alpha*x + beta*a) dt + sigma dW

minimize E integral(0, inf) exp(-rho*t)*(q*x^2 + r*a^2) dt

region  x in [-2, 2]  # where the answer must be accurate
"""


@click.command()
@click.argument("name", metavar="NAME", help="Name of the problem; the file is NAME.hjb.")
@FORCE
@QUIET
def run(
    name: str,
    force: bool,
    quiet: bool,
) -> int:
    """Write NAME.hjb, a small complete problem to change into your own."""
    path = Path(name if name.endswith(".hjb") else f"{name}.hjb")
    problem = re.sub(r"[^A-Za-z0-9_]", "_", path.stem)
    if not re.match(r"[A-Za-z]", problem):
        raise UsageError(f"a problem's name starts with a letter; `{path.stem}` does not")
    started = _STARTED.format(name=problem)
    _refuse_reserved(problem, started, str(path))
    refuse_overwriting(str(path), force)
    write_text(str(path), started)
    if not quiet:
        shown = shlex.quote(str(path))
        click.echo(f"{shown} written; next: hjb check {shown}, hjb derive {shown} --steps, hjb solve {shown}")
    return 0


def _refuse_reserved(name: str, started: str, path: str) -> None:
    """The grammar itself is asked whether the name may stand after `problem`."""
    try:
        parse_text(started, path)
    except HjbError:
        raise UsageError(f"`{name}` is a reserved word of the language; choose another name") from None

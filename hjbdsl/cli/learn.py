"""`hjb learn FILE --dt D`: value and policy from transitions alone, beside what the model says."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from hjbdsl.cli.answers import Question, answer
from hjbdsl.cli.options import AS_JSON, FILE, NO_CACHE, QUIET, SEED, SETTINGS, VARIANT, existing, overrides
from hjbdsl.cli.points import parse_point
from hjbdsl.cli.simulate import progress
from hjbdsl.errors import UsageError
from hjbdsl.io.store import file_digest

if TYPE_CHECKING:
    from hjbdsl.model.problem import ControlProblem

_NOT_CONVERGED = 1
_MOST_STEPS = 100_000_000


@click.command()
@FILE
@click.option("--dt", type=float, required=True, help="The time between two transitions; the control is held meanwhile.")
@click.option(
    "--algorithm", default="q", metavar="q|td", help="Martingale conditions, or the plain target of Q-learning to compare."
)
@click.option("--steps", type=int, metavar="N", help="How many transitions; 200000 if nothing is said.")
@click.option("--episodes", type=int, metavar="N", help="In how many episodes, from all over the region.")
@click.option("--off-policy", is_flag=True, help="All actions from one wide behaviour, none from what was learned.")
@click.option("--env", metavar="ID", help="A Gymnasium environment in the place of the file: a name, or module:Class.")
@click.option("--data", metavar="F.npz|parquet", help="Recorded transitions in the place of the file.")
@click.option("--mean-reward", is_flag=True, help="Recorded rewards are means over the step, not rates at its start.")
@click.option("--degree", type=int, metavar="N", help="Of the polynomials; else as high as the data calls for.")
@click.option("--around", metavar="ACTION", help='Where to try first, as in --around "pi=0.5,k=0.05".')
@click.option("--play", default=20, metavar="N", help="Episodes to play in the environment with what was learned.")
@SEED
@SETTINGS
@VARIANT
@AS_JSON
@QUIET
@NO_CACHE
def run(
    file: str,
    dt: float,
    algorithm: str,
    steps: int | None,
    episodes: int | None,
    off_policy: bool,
    env: str | None,
    data: str | None,
    mean_reward: bool,
    degree: int | None,
    around: str | None,
    play: int,
    seed: int,
    settings: tuple[str, ...],
    variant: str | None,
    as_json: bool,
    quiet: bool,
    no_cache: bool,
) -> int:
    """Learn V and the advantage rate q from (x, a, r, x'), by martingale conditions in continuous time."""
    started = time.perf_counter()
    _checked(dt, algorithm, steps, episodes, degree, env, data)
    first = _components(around)
    question = Question.ask(existing(file), overrides(settings), variant)
    from hjbdsl.io.lesson_text import lesson_text  # noqa: PLC0415

    options = (dt, algorithm, steps, episodes, off_policy, seed, degree, sorted(first.items()), data, mean_reward)

    def work(problem: ControlProblem) -> dict[str, Any]:
        from hjbdsl import uses  # noqa: PLC0415 (sympy: only where something has to be worked out)
        from hjbdsl.methods.model_free.lesson import Lesson  # noqa: PLC0415

        kind: Literal["q", "td"] = "q" if algorithm == "q" else "td"
        return uses.learned(
            problem,
            Lesson(dt, kind, steps, episodes, off_policy, seed, degree, first, env, data, mean_reward, play),
            not no_cache,
        )

    # an environment is code of somebody else's, which may have changed
    cached = not no_cache and env is None
    recorded = file_digest(data) if data is not None and Path(data).is_file() else ""
    with progress(quiet or as_json):
        result, known = answer(question, "learn", (*options, recorded), work, cached)
    seconds = time.perf_counter() - started
    if as_json:
        click.echo(json.dumps(result | {"seconds": round(seconds, 3), "cached": known}, ensure_ascii=False, allow_nan=False))
    else:
        click.echo(lesson_text({**result, "warnings": []} if quiet else result, seconds))
    return _NOT_CONVERGED if result["status"] == "not_converged" else 0


def _components(around: str | None) -> dict[str, float]:
    """The stated action by component, `u[1]` for a vector's first. Raises `UsageError`."""
    result: dict[str, float] = {}
    for name, value in (parse_point(around) if around is not None else {}).items():
        if isinstance(value, str):
            raise UsageError(f"--around wants numbers; `{value}` is none")
        entries = {name: value} if isinstance(value, float) else {f"{name}[{i + 1}]": v for i, v in enumerate(value)}
        result |= entries
    return result


def _checked(
    dt: float, algorithm: str, steps: int | None, episodes: int | None, degree: int | None, env: str | None, data: str | None
) -> None:
    if not 0 < dt < float("inf"):
        raise UsageError("--dt wants a positive number")
    if algorithm not in ("q", "td"):
        raise UsageError(f"there is no algorithm `{algorithm}`; there are q and td")
    if env is not None and data is not None:
        raise UsageError("transitions come from --env or from --data, not from both")
    if steps is not None and not 1 < steps <= _MOST_STEPS:
        raise UsageError(f"--steps wants a whole number from 2 to {_MOST_STEPS}")
    if episodes is not None and episodes < 1:
        raise UsageError("--episodes wants a positive whole number")
    if degree is not None and not 1 <= degree <= 12:
        raise UsageError("--degree wants a whole number from 1 to 12")

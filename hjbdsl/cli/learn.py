"""`hjb learn FILE --dt D`: value and policy from transitions alone, beside what the model says."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from hjbdsl.cli.answers import Question, answer
from hjbdsl.cli.options import AsJson, File, NoCache, Quiet, Settings, Variant, existing, overrides
from hjbdsl.cli.points import parse_point
from hjbdsl.cli.simulate import progress
from hjbdsl.errors import UsageError
from hjbdsl.io.store import file_digest

if TYPE_CHECKING:
    from hjbdsl.model.problem import ControlProblem

_NOT_CONVERGED = 1
_MOST_STEPS = 100_000_000

Dt = Annotated[float, typer.Option("--dt", help="The time between two transitions; the control is held meanwhile.")]
Algorithm = Annotated[
    str, typer.Option("--algorithm", metavar="q|td", help="Martingale conditions, or the plain target of Q-learning to compare.")
]
Steps = Annotated[int | None, typer.Option("--steps", metavar="N", help="How many transitions; 200000 if nothing is said.")]
Episodes = Annotated[int | None, typer.Option("--episodes", metavar="N", help="In how many episodes, from all over the region.")]
OffPolicy = Annotated[bool, typer.Option("--off-policy", help="All actions from one wide behaviour, none from what was learned.")]
Env = Annotated[
    str | None,
    typer.Option("--env", metavar="ID", help="A Gymnasium environment in the place of the file: a name, or module:Class."),
]
Data = Annotated[
    str | None, typer.Option("--data", metavar="F.npz|parquet", help="Recorded transitions in the place of the file.")
]
Mean = Annotated[bool, typer.Option("--mean-reward", help="Recorded rewards are means over the step, not rates at its start.")]
Degree = Annotated[
    int | None, typer.Option("--degree", metavar="N", help="Of the polynomials; else as high as the data calls for.")
]
Around = Annotated[
    str | None, typer.Option("--around", metavar="ACTION", help='Where to try first, as in --around "pi=0.5,k=0.05".')
]
Play = Annotated[int, typer.Option("--play", metavar="N", help="Episodes to play in the environment with what was learned.")]


def run(
    file: File,
    dt: Dt,
    algorithm: Algorithm = "q",
    steps: Steps = None,
    episodes: Episodes = None,
    off_policy: OffPolicy = False,
    env: Env = None,
    data: Data = None,
    mean_reward: Mean = False,
    degree: Degree = None,
    around: Around = None,
    play: Play = 20,
    seed: Annotated[int, typer.Option("--seed", help="Seed of everything random.")] = 0,
    settings: Settings = None,
    variant: Variant = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    no_cache: NoCache = False,
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
        typer.echo(json.dumps(result | {"seconds": round(seconds, 3), "cached": known}, ensure_ascii=False, allow_nan=False))
    else:
        typer.echo(lesson_text({**result, "warnings": []} if quiet else result, seconds))
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

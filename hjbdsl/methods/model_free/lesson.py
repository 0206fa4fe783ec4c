"""How to learn: everything that a person may say of it. No library is needed to say it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from hjbdsl.errors import UsageError

Algorithm = Literal["q", "td"]


@dataclass(frozen=True, slots=True)
class Lesson:
    """`dt`: the time between transitions; `algorithm`: martingale conditions, or the plain target of Q-learning; `steps`: how
    many transitions (None: as the source suits); `episodes`: in how many pieces (None: by the step); `off_policy`: all of them
    under one wide behaviour; `degree` of the class (None: what the data calls for); `around`: controls, by component, near
    which the first actions are drawn.

    Where transitions come from: a simulator of the file, or the Gymnasium environment `env`, or the file `data` (`mean_reward`:
    its rewards are means over the step, not rates at its start). `play`: episodes to play in the environment afterwards.

    Raises `UsageError` for what cannot be."""

    dt: float
    algorithm: Algorithm = "q"
    steps: int | None = None
    episodes: int | None = None
    off_policy: bool = False
    seed: int = 0
    degree: int | None = None
    around: Mapping[str, float] = field(default_factory=dict)
    env: str | None = None
    data: str | None = None
    mean_reward: bool = False
    play: int = 20

    def __post_init__(self) -> None:
        wrong = {
            "dt must be a positive number": not 0 < self.dt < float("inf"),
            "the algorithm is q or td": self.algorithm not in ("q", "td"),
            "steps must be at least 2": self.steps is not None and self.steps < 2,
            "episodes must be at least 1": self.episodes is not None and self.episodes < 1,
            "the degree is from 1 to 12": self.degree is not None and not 1 <= self.degree <= 12,
            "transitions come from an environment or from data, not from both": self.env is not None and self.data is not None,
        }
        for reason, applies in wrong.items():
            if applies:
                raise UsageError(reason)

    def as_asked(self) -> dict[str, object]:
        """The options, for the record."""
        source = "environment" if self.env is not None else "data" if self.data is not None else "simulator"
        return {
            "algorithm": self.algorithm, "dt": self.dt, "seed": self.seed, "source": source, "env": self.env, "data": self.data,
            "policy_of_data": "off" if self.off_policy or self.data is not None else "on",
        }  # fmt: skip

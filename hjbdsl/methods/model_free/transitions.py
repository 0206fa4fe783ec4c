"""What a learner sees: transitions (x, a, r, x') of one time step, and nothing of the process behind them.

In: arrays from a simulator, an environment or a file. Out: `Transitions`, checked, with rewards turned so that more is better.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hjbdsl.errors import UsageError
from hjbdsl.model.solution import Array

Reward = Literal["rate", "mean"]


@dataclass(frozen=True, slots=True)
class Transitions:
    """k transitions of `dt` each, under a control that is held fixed over the step.

    t (k,), x (k, n), mode (k,), a (k, m): where a step starts; x_next, mode_next: where it ends; r (k,): the reward rate, at
    the start of the step (`reward` "rate") or its mean over the step ("mean"); done (k,): the step has reached the end of the
    problem; payoff (k,): what is paid there. `mirrored`: rows 2 i and 2 i + 1 start alike, and their noise has opposite signs.
    """

    dt: float
    t: Array
    x: Array
    mode: NDArray[np.int64]
    a: Array
    r: Array
    x_next: Array
    mode_next: NDArray[np.int64]
    done: NDArray[np.bool_]
    payoff: Array
    reward: Reward = "rate"
    mirrored: bool = False

    def __len__(self) -> int:
        return len(self.r)

    def rows(self, rows: slice | NDArray[np.int64] | NDArray[np.bool_]) -> Transitions:
        """Some of the transitions."""
        return Transitions(
            self.dt, self.t[rows], self.x[rows], self.mode[rows], self.a[rows], self.r[rows], self.x_next[rows],
            self.mode_next[rows], self.done[rows], self.payoff[rows], self.reward, self.mirrored,
        )  # fmt: skip

    def with_rewards(self, r: Array, payoff: Array) -> Transitions:
        return replace(self, r=r, payoff=payoff)


def joined(parts: list[Transitions]) -> Transitions:
    """Several batches of the same step as one."""

    def column(name: str) -> Any:
        return np.concatenate([getattr(part, name) for part in parts])

    return Transitions(
        parts[0].dt, column("t"), column("x"), column("mode"), column("a"), column("r"), column("x_next"), column("mode_next"),
        column("done"), column("payoff"), parts[0].reward, parts[0].mirrored,
    )  # fmt: skip


def transitions(
    dt: float,
    x: Array,
    a: Array,
    r: Array,
    x_next: Array,
    *,
    t: Array | None = None,
    mode: NDArray[np.int64] | None = None,
    mode_next: NDArray[np.int64] | None = None,
    done: NDArray[np.bool_] | None = None,
    payoff: Array | None = None,
    reward: Reward = "rate",
) -> Transitions:
    """`Transitions` from arrays; a scalar state or control may be (k,). Raises `UsageError` that names the array at fault."""
    if not (np.isfinite(dt) and dt > 0):
        raise UsageError(f"the time step dt = {dt:g} is not a positive number")
    r = _reals("r", r).reshape(-1) if np.size(r) == len(r) else _wrong("r", r, "(k,)")
    k = len(r)
    if k == 0:
        raise UsageError("there are no transitions in the data")
    zeros = np.zeros(k)
    first = np.zeros(k, dtype=np.int64) if mode is None else _labels("mode", mode, k)
    return Transitions(
        dt,
        zeros if t is None else _column("t", t, k),
        _table("x", x, k),
        first,
        _table("a", a, k),
        r,
        _table("x_next", x_next, k),
        first if mode_next is None else _labels("mode_next", mode_next, k),
        np.zeros(k, dtype=bool) if done is None else _column("done", done, k) != 0,
        zeros if payoff is None else _column("payoff", payoff, k),
        reward,
    )


def _reals(name: str, value: object) -> Array:
    try:
        array = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        raise UsageError(f"the array `{name}` does not hold numbers") from None
    bad = np.argwhere(~np.isfinite(array))
    if bad.size:
        raise UsageError(
            f"the array `{name}` holds {array[tuple(bad[0])]} in row {bad[0][0]}; every entry must be a finite number"
        )
    return array


def _table(name: str, value: object, k: int) -> Array:
    array = _reals(name, value)
    if array.ndim == 1:
        array = array[:, None]
    if array.ndim != 2 or len(array) != k:
        _wrong(name, array, f"({k}, components), one row for each of the {k} rewards")
    return array


def _column(name: str, value: object, k: int) -> Array:
    array = _reals(name, value)
    return array.reshape(k) if array.size == k else _wrong(name, array, f"({k},)")


def _labels(name: str, value: object, k: int) -> NDArray[np.int64]:
    array = _column(name, value, k)
    if np.any(array != np.round(array)) or np.any(array < 0):
        raise UsageError(f"the array `{name}` must hold the numbers of the modes, 0, 1, ... in order of declaration")
    return array.astype(np.int64)


def _wrong(name: str, value: object, wanted: str) -> Array:
    raise UsageError(f"the array `{name}` has shape {np.asarray(value).shape}; it must be {wanted}")

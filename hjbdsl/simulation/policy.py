"""Policies: what is done at a time, state and mode.

In: a value function, or any function of the place. Out: `Policy`, asked by the simulation at every step. A random policy draws
from the noise that it is given, so that coupled simulations draw alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hjbdsl.model.solution import Array, ValueFunction
from hjbdsl.simulation.compiled import Modes

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Decision:
    """At k places: control (k, m), controls then adversaries; `stop` (k,) where to stop; `bonus` (k,) what a random policy
    earns on top of the reward rate (temperature times entropy, with the sign of the objective); `value` (k,) and `gradient` (k,
    n) of the claimed V, where the policy knows one."""

    control: Array
    stop: Mask | None = None
    bonus: Array | None = None
    value: Array | None = None
    gradient: Array | None = None

    def rows(self, rows: NDArray[np.int64] | Mask) -> Decision:
        parts = (self.control, self.stop, self.bonus, self.value, self.gradient)
        return Decision(*(None if part is None else part[rows] for part in parts))  # type: ignore[arg-type]


class Policy(Protocol):
    """`claimed` is the value function behind the policy, or None. Calling it decides at t (k,), x (k, n), mode (k,); `uniform`
    (k, m) are independent uniform numbers for random policies."""

    @property
    def claimed(self) -> ValueFunction | None: ...

    def __call__(self, t: Array, x: Array, mode: Modes, uniform: Array) -> Decision: ...


@dataclass(frozen=True, slots=True)
class ValuePolicy:
    """The policy that a value function gives: its control, or the mean of it where the policy is random."""

    function: ValueFunction

    @property
    def claimed(self) -> ValueFunction | None:
        return self.function

    def __call__(self, t: Array, x: Array, mode: Modes, uniform: Array) -> Decision:  # noqa: ARG002 (nothing is random)
        at = self.function.evaluate(t, x, mode)
        return Decision(at.control, at.stop, None, at.value, at.gradient)


@dataclass(frozen=True, slots=True)
class GivenPolicy:
    """Any function (t, x, mode) -> controls (k, m), or -> (controls, stop mask). With `claimed`, a value function whose
    gradient serves as control variate."""

    function: Callable[[Array, Array, Modes], Array | tuple[Array, Mask]]
    claimed: ValueFunction | None = None

    def __call__(self, t: Array, x: Array, mode: Modes, uniform: Array) -> Decision:  # noqa: ARG002 (nothing is random)
        answer = self.function(t, x, mode)
        control, stop = answer if isinstance(answer, tuple) else (answer, None)
        control = np.asarray(control, dtype=float).reshape(len(t), -1)
        if self.claimed is None:
            return Decision(control, stop)
        at = self.claimed.evaluate(t, x, mode)
        return Decision(control, stop, None, at.value, at.gradient)

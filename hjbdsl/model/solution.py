"""The last stage's result: an answer, what it is worth, and how to evaluate it anywhere.

Arrays throughout: `t` has shape (k,), `x` shape (k, n) in the order of `ControlProblem.state_symbols`, `mode` shape (k,) of
indices into `ControlProblem.mode_tuples()` (zeros without modes); controls have shape (k, m), controls then adversaries.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hjbdsl.model.problem import Notation

Array = NDArray[np.float64]
Status = Literal["proved", "converged", "bracketed", "not_converged"]


@dataclass(frozen=True, slots=True)
class PointValues:
    """Values at k points. `error` bounds |value - exact|; `control` is the mean where the policy is random, `spread` its standard
    deviation; `stop` says where stopping is optimal; `lower`, `upper`, `confidence` for Monte-Carlo brackets."""

    value: Array
    error: Array
    gradient: Array
    control: Array
    spread: Array | None = None
    stop: NDArray[np.bool_] | None = None
    lower: Array | None = None
    upper: Array | None = None
    confidence: float | None = None


class ValueFunction(ABC):
    """A solved value function. Implementations are final and hold plain data, so that they pickle."""

    @abstractmethod
    def evaluate(self, t: Array, x: Array, mode: NDArray[np.int64]) -> PointValues:
        """Value, gradient and optimal control at k points (stationary problems ignore `t`)."""

    def control_error(self, t: Array, x: Array, mode: NDArray[np.int64]) -> Array | None:  # noqa: ARG002 (of the interface)
        """How far the control of `evaluate` may lie from the optimal one, (k, m), NaN where nothing is claimed; None where
        nothing is claimed anywhere, as of a formula, which holds to rounding."""
        return None


@dataclass(frozen=True, slots=True)
class Formula:
    """A closed form for the reader. `value` and `controls`: by name ("V", "V[good]" by mode; "pi", "u"); `where` explains
    the letters it uses, each with its number; `conditions` are the feasibility conditions, each with the number that shows it
    holds."""

    value: Mapping[str, Notation]
    controls: Mapping[str, Notation]
    where: tuple[tuple[Notation, Notation, float], ...] = ()
    conditions: tuple[tuple[Notation, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why the answer should be believed. `kind` symbolic: the residual vanishes identically, or at sampled points where sympy
    could not simplify (then `statements` says so). `numbers` holds what else was measured: order, band, domain sensitivity."""

    kind: Literal["symbolic", "grid_convergence", "monte_carlo_bracket"]
    residual: float
    statements: tuple[str, ...]
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Solution:
    """What a method returns. `method` is its contract name (closed_form, grid, neural, ...), `family` which of its rooms did
    it (such as "linear-quadratic: Riccati equation"); `average` is the long-run average of average problems, `average_error`
    its error.

    `tables` holds what else the method found, as arrays by name: "free_boundary" (k, 4), a row (t, discrete state, x, error);
    "law" (times, discrete states, *nodes), the density under the optimal policy, with "law_times" (times,), "law_mass" (times,)
    what has not stopped or left, and "law_nodes_0", ... the nodes on each continuous axis; "stopped" (times, discrete states,
    *nodes) in two dimensions, with "stopped_times", "stopped_nodes_0", .... A stationary thing has one time, 0. "level_nodes"
    (levels, axes) and "level_differences" (levels - 1,): mean change of V over the region from one level to the next.
    """

    method: str
    family: str
    status: Status
    function: ValueFunction
    evidence: Evidence
    formula: Formula | None = None
    average: float | None = None
    average_error: float | None = None
    warnings: tuple[str, ...] = ()
    tables: Mapping[str, NDArray[np.generic]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Accepted:
    solution: Solution


@dataclass(frozen=True, slots=True)
class Rejected:
    """The method or family does not apply. `reason` is one line for `--explain`."""

    reason: str

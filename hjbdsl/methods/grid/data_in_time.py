"""Where in time the data of an equation change, at once or fast: there steps must be short, before any march can tell.

In: an equation whose value depends on time. Out: the times at which a condition on time alone turns, and times from 0 to the end
between which nothing changes by more than a share of its range. A march that steps over a pulse sees no error there.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Iterator

import numpy as np
import sympy as sp
from sympy.core.relational import Relational

from hjbdsl.methods.grid.time_mesh import GRADIENT
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.problem import TIME
from hjbdsl.model.solution import Array
from hjbdsl.numeric.compile import compile_expressions
from hjbdsl.numeric.state_space import anywhere

_MOMENTS = 4096
"""Times at which the data are looked at: what lasts shorter is seen only where a condition on time says when."""
_PLACES = 16
_SHARE = 1 / 16
"""Of its range, what changes in a step."""
_AT_ONCE = 1e-3
"""Steps, as a share of the horizon, where a condition turns."""
_ABRUPT = 5e-3
"""A step that the data want, as a share of the horizon, beside which V may turn sharply."""
_BESIDE = 1e-12
_BISECTIONS = 60


class DataInTime:
    """`turns`: times in (0, end) at which a condition on time alone turns, ascending. `longest`: of a step, at the middles of
    `_MOMENTS` equal parts of (0, end); None where the data do not change with time."""

    def __init__(self, equation: HJBEquation, end: float):
        self.end = end
        moving = [part for part in _data(equation) if TIME in part.free_symbols]
        self.turns = _turns(moving, end)
        self.longest: Array | None = None
        change = np.zeros(_MOMENTS)
        for part in moving:
            change = np.maximum(change, _change(equation, part, end))
        edges = np.linspace(0.0, end, _MOMENTS + 1)
        turning = np.clip(np.searchsorted(edges, self.turns) - 1, 0, _MOMENTS - 1)
        change[turning] = 0.0
        if change.any() or turning.size:
            part = end / _MOMENTS
            self.longest = np.minimum(part * _SHARE / np.maximum(change, _SHARE / _MOMENTS), end)
            self.longest[turning] = np.minimum(self.longest[turning], _AT_ONCE * end)

    def followed(self, times: Array, most: int) -> Array:
        """`times` from 0 to the end, with as many more as the data want, up to about `most`."""
        if self.longest is None:
            return times
        part = self.end / _MOMENTS
        middles = part * (np.arange(_MOMENTS) + 0.5)
        usual = np.diff(times)[np.clip(np.searchsorted(times, middles) - 1, 0, times.size - 2)]
        fewest = float(np.sum(part / usual))
        longest, wanted = self.longest, np.inf
        while True:
            length = _gradual(np.minimum(usual, longest), GRADIENT * part)
            before, wanted = wanted, float(np.sum(part / length))
            if wanted <= max(most, fewest) or wanted > 0.95 * before:
                break
            longest = 1.5 * longest
        passed = np.concatenate([[0.0], np.cumsum(part / length)])
        count = max(times.size - 1, int(np.ceil(passed[-1])))
        return np.interp(np.linspace(0.0, passed[-1], count + 1), passed, np.linspace(0.0, self.end, _MOMENTS + 1))

    @property
    def abrupt(self) -> bool:
        """Whether the data change so fast, or at once, that V may turn sharply in time."""
        return self.turns.size > 0 or (self.longest is not None and float(self.longest.min()) < _ABRUPT * self.end)

    def turning(self, times: Array, side: float) -> Array:
        """`times`, ascending or descending, with one put at each turn, just after it (`side` 1) or before (-1): the nearest, or
        one more where that stands at another turn."""
        falling = times[0] > times[-1]
        result, held = [float(time) for time in (times[::-1] if falling else times)], {0.0, self.end}
        for turn in self.turns:
            place = float(turn) + side * _BESIDE * self.end
            after = bisect(result, place)
            nearest = after if result[after] - place < place - result[after - 1] else after - 1
            if result[nearest] in held:
                result.insert(after, place)
            else:
                result[nearest] = place
            held.add(place)
        return np.array(result[::-1] if falling else result)


def data_of_rows(equation: HJBEquation) -> Iterator[sp.Basic]:
    """Everything written that the rows of an equation without jumps hold, numbers put in."""
    problem, objective = equation.problem, equation.problem.objective
    parts: list[object] = [problem.drift[axis] for axis in problem.continuous_states]
    parts += [*equation.covariance.values(), objective.running, objective.discount, objective.exit_value]
    parts += [rate for chain in problem.modes for rate in chain.rates.values()]
    parts += [value for parameter in problem.mode_parameters for value in parameter.values]
    parts += [condition.amount for condition in equation.boundaries] + ([problem.exit.condition] if problem.exit else [])
    yield from (problem.numeric(sp.sympify(part)) for part in parts if part is not None)


def _data(equation: HJBEquation) -> Iterator[sp.Basic]:
    """The same with jumps, and what stopping pays."""
    problem = equation.problem
    yield from data_of_rows(equation)
    for jump in problem.jumps:
        yield from (problem.numeric(sp.sympify(part)) for part in (jump.rate, *jump.displacement.values()))
    if equation.obstacle is not None:
        yield problem.numeric(sp.sympify(equation.obstacle.payoff))


def _turns(parts: list[sp.Basic], end: float) -> Array:
    found: set[float] = set()
    moments = np.linspace(0.0, end, _MOMENTS + 1)
    for condition in set().union(*(part.atoms(Relational) for part in parts)):
        if condition.free_symbols != {TIME}:
            continue
        gap = compile_expressions([TIME], [sp.sympify(condition.lhs - condition.rhs)])
        held = gap(moments)[0] > 0.0
        for k in np.flatnonzero(held[1:] != held[:-1]):
            low, high = moments[k], moments[k + 1]
            for _ in range(_BISECTIONS):
                middle = 0.5 * (low + high)
                low, high = (middle, high) if bool(gap(middle)[0] > 0.0) == held[k] else (low, middle)
            found.add(float(high))
    inner = sorted(time for time in found if 1e-9 * end < time < (1.0 - 1e-9) * end)
    return np.array([time for k, time in enumerate(inner) if k == 0 or time - inner[k - 1] > 1e-9 * end])


def _change(equation: HJBEquation, part: sp.Basic, end: float) -> Array:
    """How much a datum changes over each part of (0, end), relative to its range in time, at random places: (_MOMENTS,)."""
    symbols = sorted(part.free_symbols - {TIME}, key=str)
    places = anywhere(equation.problem, symbols, end, np.random.default_rng(5), (1, _PLACES))
    values = compile_expressions([TIME, *symbols], [part])(np.linspace(0.0, end, _MOMENTS + 1)[:, None], *places)[0]
    values = np.broadcast_to(values, (_MOMENTS + 1, values.shape[1]))
    values = values[:, np.isfinite(values).all(axis=0)]
    if not values.size or np.ptp(values, axis=0).max() == 0.0:
        return np.zeros(_MOMENTS)
    return np.asarray(np.abs(np.diff(values, axis=0)).max(axis=1) / np.ptp(values, axis=0).max())


def _gradual(length: Array, slope: float) -> Array:
    """The largest lengths up to `length` that change by at most `slope` from one to the next."""
    steps = slope * np.arange(length.size)
    ahead = np.minimum.accumulate(length - steps) + steps
    return np.asarray(np.minimum.accumulate((ahead + steps)[::-1])[::-1] - steps)


__all__ = ["DataInTime", "data_of_rows"]

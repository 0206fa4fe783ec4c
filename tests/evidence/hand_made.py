"""Problems and value functions written out by hand, so that these tests need no front end and no method."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from hjbdsl.errors import Span
from hjbdsl.model.problem import Bounds, CheckStatement, ControlProblem, ModeChain, Objective, Source, VariableGroup
from hjbdsl.model.solution import Array, Evidence, PointValues, Solution, ValueFunction

SPAN = Span("hand.hjb", 7, 1, 5)
LINE = Bounds(-sp.oo, sp.oo)


def group(name: str, role: str = "state", size: int | None = None, bounds: Bounds = LINE) -> VariableGroup:
    names = [name] if size is None else [f"{name}[{i + 1}]" for i in range(size)]
    symbols = tuple(sp.Symbol(n, real=True) for n in names)
    return VariableGroup(name, role, () if size is None else (size,), symbols, (bounds,) * len(symbols), None, SPAN)  # type: ignore[arg-type]


def check(
    target: str,
    expected: Sequence[Any],
    point: Mapping[sp.Symbol, Any] | None = None,
    modes: Mapping[str, int] | None = None,
    tolerance: float = 1e-6,
) -> CheckStatement:
    values = {symbol: sp.sympify(value) for symbol, value in (point or {}).items()}
    return CheckStatement(target, values, modes or {}, tuple(map(sp.sympify, expected)), tolerance, f"check {target}", SPAN)


def problem(
    states: Sequence[VariableGroup] = (),
    controls: Sequence[VariableGroup] = (),
    end: Any = sp.oo,
    region: Sequence[tuple[Any, Any]] | None = None,
    **changes: Any,
) -> ControlProblem:
    states = states or (group("x"),)
    size = sum(len(s.symbols) for s in states)
    objective = Objective(
        "minimize", "expectation", sp.Integer(0), None, None, None, sp.Integer(0), sp.sympify(end), None, False, SPAN
    )
    fields: dict[str, Any] = {
        "name": "hand", "title": None, "source": Source("hand.hjb", {}, "0"), "parameters": (), "values": {},
        "states": tuple(states), "controls": tuple(controls), "adversaries": (), "constraints": (), "noises": (),
        "correlation": {}, "jumps": (), "modes": (), "mode_parameters": (), "drift": (sp.Integer(0),) * size, "diffusion": {},
        "objective": objective, "stopping": None, "exit": None, "exploration": None, "reversal": None, "boundaries": (),
        "region": tuple((sp.sympify(a), sp.sympify(b)) for a, b in (region or ((-1, 1),) * size)),
        "region_written": frozenset(), "checks": (), "hint": None, "notation": {}, "origins": {},
    }  # fmt: skip
    return ControlProblem(**(fields | changes))


def chain(*labels: str, name: str = "z") -> ModeChain:
    return ModeChain(name, labels, {}, SPAN)


@dataclass(frozen=True)
class Given(ValueFunction):
    """V and the controls as functions of (t, x, mode)."""

    value: Callable[[Array, Array, Array], Array]
    control: Callable[[Array, Array, Array], Array] | None = None

    def evaluate(self, t: Array, x: Array, mode: Any) -> PointValues:
        v = np.asarray(self.value(t, x, mode), dtype=float)
        a = np.zeros((len(t), 0)) if self.control is None else np.asarray(self.control(t, x, mode), dtype=float)
        return PointValues(v, np.zeros_like(v), np.zeros_like(x), a)


def solution(function: ValueFunction, **changes: Any) -> Solution:
    return Solution("by_hand", "given", "proved", function, Evidence("symbolic", 0.0, ()), **changes)

"""Processes for the tests, and starts for them."""

from __future__ import annotations

import numpy as np

import hjbdsl
from hjbdsl.model.equation import HJBEquation
from hjbdsl.numeric.points import Points
from hjbdsl.simulation import ControlledProcess, GivenPolicy, compile_process


def equation_of(text: str) -> HJBEquation:
    return hjbdsl.loads(text).hjb.model


def process_of(text: str) -> ControlledProcess:
    return compile_process(equation_of(text))


def many(count: int, *x: float, mode: int = 0) -> Points:
    """`count` paths from one point at time 0."""
    return Points(np.zeros(count), np.tile(np.array(x, dtype=float), (count, 1)), np.full(count, mode, dtype=np.int64))


def nothing_chosen() -> GivenPolicy:
    return GivenPolicy(lambda t, _x, _mode: np.zeros((len(t), 0)))


def feedback(*gains: float) -> GivenPolicy:
    """One control, a = gains . x."""
    return GivenPolicy(lambda _t, x, _mode: -(x @ np.array(gains))[:, None])

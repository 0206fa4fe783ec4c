"""What a long computation says of itself while it runs.

A method calls `report`; whoever called the method may be `listening`. Nobody listening costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """`stage` in words ("level 2 of 3, 129 x 129 nodes"); `done` the share of the whole in [0, 1], or None where nobody knows;
    `numbers` what there is to watch, by name (iteration, residual, loss, V at the centre)."""

    stage: str
    done: float | None
    numbers: Mapping[str, float]


Listener = Callable[[Progress], None]

_listener: ContextVar[Listener | None] = ContextVar("listener", default=None)


def report(stage: str, done: float | None = None, **numbers: float) -> None:
    """Tell the listener, if there is one."""
    listener = _listener.get()
    if listener is not None:
        listener(Progress(stage, done, numbers))


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """`listener` hears every `report` made inside the block."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)

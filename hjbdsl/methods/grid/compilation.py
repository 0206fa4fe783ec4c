"""How kernels are compiled where no cache has them yet: those that serve every problem by a process of their own, beside those
that are written for one; and without looking for garbage meanwhile.

In: the number of continuous states. Out: the compiler's cache on disk, filled when `await_kernels` returns. Who has nothing else
to do takes the next kernel: the process beside from the start, this one when it must wait.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import threading
import time
import warnings
from pathlib import Path
from typing import NamedTuple, NoReturn

import numba.core.event as numba_event
from numba import boolean, float64, int64
from numba.core.dispatcher import Dispatcher
from numba.core.registry import cpu_target

from hjbdsl.methods.grid import banded, relaxation

PATIENCE = 60.0
"""Seconds after which a process that compiles is given up."""

_NUMBER, _NUMBERS, _MATRIX, _FLAGS = int64, float64[::1], float64[:, ::1], boolean[::1]
_PLACES, _COUNTS = int64[:, ::1], int64[::1]
_OFF_AXES = (_PLACES, _MATRIX, _COUNTS)
_SHAPE = (_NUMBER,) * 3
_BAND = (
    (banded.reach, (_NUMBER, _NUMBER, _PLACES, _COUNTS)),
    (banded.solve_band, (_NUMBER, _NUMBER, _COUNTS, _MATRIX, *_OFF_AXES, _NUMBERS, _NUMBERS, _FLAGS, _NUMBERS)),
    (relaxation.defect, (_NUMBERS, _NUMBERS, _MATRIX, _NUMBERS, *_OFF_AXES, *_SHAPE, _FLAGS, _NUMBERS)),
)
_LINE = (_NUMBERS, _NUMBERS, _MATRIX, _MATRIX, *_OFF_AXES, *_SHAPE, _FLAGS, _NUMBER)
_MULTIGRID = (
    (relaxation.freeze, (_FLAGS, _NUMBERS, _MATRIX, _COUNTS, _NUMBERS, _NUMBERS)),
    (relaxation.factorise, (_MATRIX, _NUMBERS, *_SHAPE, _MATRIX)),
    (relaxation.relax_strided, (_NUMBER, *_LINE, _MATRIX)),
    (relaxation.relax_last, (*_LINE, _NUMBERS)),
    (relaxation.restrict, (_NUMBERS, _NUMBERS, _FLAGS, *_SHAPE, _FLAGS, _FLAGS, *_SHAPE)),
    (relaxation.correct, (_NUMBERS, _NUMBERS, _FLAGS, *_SHAPE, _FLAGS, *_SHAPE)),
)
Kernels = tuple[tuple[Dispatcher, tuple[object, ...]], ...]
KERNELS: dict[int, Kernels] = {1: _BAND, 2: (*_BAND, *_MULTIGRID), 3: (*_BAND, *_MULTIGRID)}
"""What the solvers call, by dimension, with the types that they call it with."""


class _Unlittered(numba_event.Listener):
    """The compiler makes millions of objects and few cycles: looking for them takes a fifth of its time."""

    def __init__(self) -> None:
        self.depth, self.collecting = 0, False

    def on_start(self, event: numba_event.Event) -> None:  # noqa: ARG002  numba's signature
        if self.depth == 0:
            self.collecting = gc.isenabled()
            gc.disable()
        self.depth += 1

    def on_end(self, event: numba_event.Event) -> None:  # noqa: ARG002
        self.depth -= 1
        if self.depth == 0 and self.collecting:
            gc.enable()


numba_event.register("numba:compile", _Unlittered())


class _Beside(NamedTuple):
    """A process that compiles beside this one: its number, the pipe from which both take, a byte each, the numbers of kernels
    that nobody has begun, and the kernels."""

    process: int
    queue: int
    kernels: Kernels

    def compile_rest(self) -> None:
        while number := os.read(self.queue, 1):
            kernel, types = self.kernels[number[0]]
            kernel.compile(types)


_beside: list[_Beside] = []


def compile_beside(dimension: int) -> None:
    """Begin to compile what solvers in so many dimensions call, unless it is known, or this machine has one processor only."""
    wanted = () if _beside else KERNELS.get(dimension, ())
    missing = tuple((kernel, types) for kernel, types in wanted if not kernel.signatures and not _cached(kernel))
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    if not missing or processors < 2 or threading.current_thread() is not threading.main_thread():
        return
    cpu_target.typing_context.refresh()  # what the compiler knows of numpy: loaded once for both
    cpu_target.target_context.refresh()
    queue, entrance = os.pipe()
    os.write(entrance, bytes(range(len(missing))))
    os.close(entrance)
    with warnings.catch_warnings():
        # a process with threads should not be copied, lest the copy waits for them: this one only compiles, and PATIENCE ends
        warnings.simplefilter("ignore")
        process = os.fork()
    beside = _Beside(process, queue, missing)
    if process == 0:
        _compile(beside)
    _beside.append(beside)


def await_kernels() -> None:
    """Return when everything that was begun is compiled: this process takes its share of what is left."""
    while _beside:
        beside = _beside.pop()
        try:
            beside.compile_rest()
        finally:
            os.close(beside.queue)
            _await(beside.process)


def _await(process: int) -> None:
    late = time.monotonic() + PATIENCE
    try:
        while os.waitpid(process, os.WNOHANG)[0] == 0:
            if time.monotonic() > late:
                os.kill(process, signal.SIGKILL)
            time.sleep(0.002)
    except ChildProcessError:
        return  # this is a copy of the process that began it


def _compile(beside: _Beside) -> NoReturn:
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nowhere, stream)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        beside.compile_rest()
    finally:
        os._exit(0)


def _cached(kernel: Dispatcher) -> bool:
    """Whether the compiler's cache knows this version of a kernel (its index is named after the line where it begins)."""
    folder, code = kernel.stats.cache_path, kernel.py_func.__code__
    return folder is not None and any(Path(folder).glob(f"*.{code.co_qualname}-{code.co_firstlineno}.*.nbi"))


@atexit.register
def _give_up() -> None:
    for beside in _beside:
        try:
            os.kill(beside.process, signal.SIGKILL)
        except ProcessLookupError:
            continue
        _await(beside.process)


__all__ = ["KERNELS", "await_kernels", "compile_beside"]

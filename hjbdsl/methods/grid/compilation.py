"""How kernels are compiled where no cache has them yet: those that serve every problem in a process of their own, beside those
that are written for one; and without looking for garbage meanwhile.

In: the number of continuous states. Out: the compiler's cache on disk, filled when `await_kernels` returns.
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
from typing import NoReturn

import numba.core.event as numba_event
from numba import boolean, float64, int64, typeof
from numba.core.dispatcher import Dispatcher

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
_compiling: list[int] = []
_compiling_for_later: list[int] = []


def compile_beside(dimension: int) -> None:
    """Begin to compile what solvers in so many dimensions call, unless it is known, or this machine has one processor only."""
    _begin(KERNELS.get(dimension, ()), _compiling)


def compile_for_later(kernel: Dispatcher, *arguments: object) -> None:
    """Begin to compile one kernel for such arguments, while what is needed before it runs; `await_kernels(later=True)` then."""
    _begin(((kernel, tuple(typeof(argument) for argument in arguments)),), _compiling_for_later)


def _begin(wanted: Kernels, begun: list[int]) -> None:
    missing = tuple((kernel, types) for kernel, types in wanted if not kernel.signatures and not _cached(kernel))
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    if not missing or _compiling or begun or processors < 2 or threading.current_thread() is not threading.main_thread():
        return
    with warnings.catch_warnings():
        # a process with threads should not be copied, lest the copy waits for them: this one only compiles, and PATIENCE ends
        warnings.simplefilter("ignore")
        number = os.fork()
    if number == 0:
        _compile(missing)
    begun.append(number)


def await_kernels(later: bool = False) -> None:
    """Return when the process has ended that compiles what is needed now, or what was for `later`, if there is one."""
    begun = _compiling_for_later if later else _compiling
    while begun:
        number, late = begun.pop(), time.monotonic() + PATIENCE
        try:
            while os.waitpid(number, os.WNOHANG)[0] == 0:
                if time.monotonic() > late:
                    os.kill(number, signal.SIGKILL)
                time.sleep(0.002)
        except ChildProcessError:
            return  # this is a copy of the process that began it


def _compile(missing: Kernels) -> NoReturn:
    try:
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nowhere, stream)
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        for kernel, types in missing:
            kernel.compile(types)
    finally:
        os._exit(0)


def _cached(kernel: Dispatcher) -> bool:
    """Whether the compiler's cache knows this version of a kernel (its index is named after the line where it begins)."""
    folder, code = kernel.stats.cache_path, kernel.py_func.__code__
    return folder is not None and any(Path(folder).glob(f"*.{code.co_qualname}-{code.co_firstlineno}.*.nbi"))


@atexit.register
def _give_up() -> None:
    for number in _compiling + _compiling_for_later:
        try:
            os.kill(number, signal.SIGKILL)
        except ProcessLookupError:
            continue
    await_kernels()
    await_kernels(later=True)


__all__ = ["KERNELS", "await_kernels", "compile_beside", "compile_for_later"]

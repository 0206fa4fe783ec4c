"""A time budget for symbolic attempts: sympy can run for minutes, so every attempt is bounded and given up cleanly.

The clock is the processor time of this process, not the wall's: on a busy machine the same attempt must not end differently.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_AGAIN = 0.25
"""An alarm that falls into a destructor or a garbage collection is lost there: it rings again after this many seconds."""


class BudgetExceeded(BaseException):
    """Raised inside `time_budget`; a BaseException so that no `except Exception` inside a library can swallow it."""


@contextmanager
def time_budget(seconds: float) -> Iterator[None]:
    """Raise `BudgetExceeded` in the body after `seconds` of processor time; nested budgets keep the earlier deadline.

    Works in the main thread, where alarms arrive; in another thread the body runs without a bound.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def expire(_signal: int, _frame: FrameType | None) -> None:
        raise BudgetExceeded

    started = time.process_time()
    outer_handler = signal.signal(signal.SIGPROF, expire)
    outer_remaining, _ = signal.setitimer(signal.ITIMER_PROF, seconds, _AGAIN)
    if 0 < outer_remaining < seconds:
        signal.setitimer(signal.ITIMER_PROF, outer_remaining, _AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, outer_handler)
        if outer_remaining:
            left = outer_remaining - (time.process_time() - started)
            signal.setitimer(signal.ITIMER_PROF, max(left, 1e-6), _AGAIN)

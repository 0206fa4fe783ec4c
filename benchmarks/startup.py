"""How long a person waits: medians of five runs of the command line, each a process, and of parsing a hundred lines.

    python benchmarks/startup.py [HJB]        # HJB: the command to measure; the `hjb` beside this Python where left out

Cold means an empty store of answers and, on the grid, no compiled kernels at all, those that serve every problem included; a warm
process has the kernels and no answer. The parser's tables, Python's compiled modules and the system's file cache are warm
throughout (PYTHONDONTWRITEBYTECODE, which would have every module compiled at every start, is taken out of the environment).
Processor seconds stand beside the wall clock: on a machine that others share they are the steadier number.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

RUNS = 5
ROOT = Path(__file__).resolve().parents[1]
MERTON = str(ROOT / "problems" / "merton.hjb")
LQR = str(ROOT / "problems" / "lqr.hjb")
LINE = """problem line
state x in R
control u in [-1, 1]
noise W
dx = u dt + 0.5 dW
minimize E integral(0, inf) exp(-t)*(x^2 + u^2) dt
region x in [-1, 1]
"""
PLANE = """problem plane
state x in [-1, 1], y in [-1, 1]
control u in [-1, 1], v in [-1, 1]
noise W, B
dx = (-y + u) dt + 0.3 dW
dy = (x + v) dt + 0.3 dB
minimize E integral(0, inf) exp(-t)*(x^2 + y^2 + 0.1*(u^2 + v^2)) dt
boundary x = -1 : reflect
boundary x = 1 : reflect
boundary y = -1 : reflect
boundary y = 1 : reflect
"""
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
Times = tuple[float, float]
"""Wall clock and processor, in seconds."""


def command() -> str:
    """The program to measure."""
    beside = Path(sys.executable).with_name("hjb")
    return sys.argv[1] if len(sys.argv) > 1 else str(beside) if beside.exists() else str(shutil.which("hjb"))


def timed(arguments: list[str], cache: str) -> Times:
    """One run; a run that fails is an error of the benchmark."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    caches = {"HJBDSL_CACHE": cache, "NUMBA_CACHE_DIR": cache}
    subprocess.run([command(), *arguments], check=True, capture_output=True, env={**ENVIRONMENT, **caches})
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def median(times: list[Times]) -> Times:
    wall, processor = zip(*times, strict=True)
    return statistics.median(wall), statistics.median(processor)


def cold(*arguments: str) -> Times:
    """Each run with a store of its own, empty."""
    times = []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as cache:
            times.append(timed(list(arguments), cache))
    return median(times)


def cached(*arguments: str) -> Times:
    """After one run that fills the store."""
    with tempfile.TemporaryDirectory() as cache:
        timed(list(arguments), cache)
        return median([timed(list(arguments), cache) for _ in range(RUNS)])


def on_grid(text: str, measure: Callable[..., Times]) -> Times:
    """A stationary problem, solved on three levels."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "problem.hjb"
        place.write_text(text, encoding="utf-8")
        return measure("solve", str(place), "--method", "grid", "--no-cache")


def parsing(lines: int = 100) -> Times:
    """Text to syntax tree inside one process, once the parser is built."""
    from hjbdsl.frontend.parse import parse_text  # noqa: PLC0415 (measured apart from the processes)

    body = [f"param p{i} = {i}.5 in (0, inf), q{i} = p{i}^2 + exp(-{i}*p{i})/3" for i in range(lines - 5)]
    text = "\n".join(["problem long", *body, "state x in R", "control a in R", "dx = a dt", "minimize E x(1)^2"])
    parse_text(text)
    times = []
    for _ in range(RUNS):
        wall, processor = time.perf_counter(), time.process_time()
        parse_text(text)
        times.append((time.perf_counter() - wall, time.process_time() - processor))
    return median(times)


ROWS: tuple[tuple[str, float, Callable[[], Times]], ...] = (
    ("hjb --help", 0.2, lambda: cached("--help")),
    ("hjb check problems/lqr.hjb, cold", 0.7, lambda: cold("check", LQR)),
    ("hjb check problems/lqr.hjb, cached", 0.7, lambda: cached("check", LQR)),
    ("hjb check problems/merton.hjb, cold", 0.7, lambda: cold("check", MERTON)),
    ("hjb check problems/merton.hjb, cached", 0.7, lambda: cached("check", MERTON)),
    ("hjb solve problems/merton.hjb, cold", 2.0, lambda: cold("solve", MERTON)),
    ("hjb solve problems/merton.hjb, cached", 0.6, lambda: cached("solve", MERTON)),
    ("one dimension on the grid, cold", 6.0, lambda: on_grid(LINE, cold)),
    ("one dimension on the grid, warm process", 1.5, lambda: on_grid(LINE, cached)),
    ("two dimensions on the grid, cold", 6.0, lambda: on_grid(PLANE, cold)),
    ("two dimensions on the grid, warm process", 1.5, lambda: on_grid(PLANE, cached)),
    ("parse 100 lines, parser built", 0.02, parsing),
)


def main() -> None:
    """Print the table."""
    print(f"{'median of ' + str(RUNS):<40} {'wall s':>8} {'cpu s':>8} {'wanted':>8}")
    for name, wanted, measure in ROWS:
        wall, processor = measure()
        print(
            f"{name:<40} {wall:>8.3f} {processor:>8.3f} {wanted:>8.2f}  {'' if wall <= wanted else 'over'}".rstrip(), flush=True
        )


if __name__ == "__main__":
    main()

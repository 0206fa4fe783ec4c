"""How long a person waits: medians of five runs of the command line, as a process each, and of parsing a hundred lines.

    python benchmarks/startup.py [HJB]        # HJB: the command to measure, `hjb` beside this Python where left out

Cold means an empty cache of answers; the operating system's file cache is warm throughout.
"""

from __future__ import annotations

import os
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


def command() -> str:
    """The program to measure."""
    beside = Path(sys.executable).with_name("hjb")
    return sys.argv[1] if len(sys.argv) > 1 else str(beside) if beside.exists() else str(shutil.which("hjb"))


def seconds(arguments: list[str], cache: str) -> float:
    """Wall time of one run."""
    started = time.perf_counter()
    subprocess.run([command(), *arguments], check=True, capture_output=True, env={**os.environ, "HJBDSL_CACHE": cache})
    return time.perf_counter() - started


def median_cold(arguments: list[str]) -> float:
    """Each run with a cache of its own, empty; the parser's tables too are made anew."""
    times = []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as cache:
            times.append(seconds(arguments, cache))
    return statistics.median(times)


def median_cached(arguments: list[str]) -> float:
    """After one run that fills the cache."""
    with tempfile.TemporaryDirectory() as cache:
        seconds(arguments, cache)
        return statistics.median(seconds(arguments, cache) for _ in range(RUNS))


def median_parse(lines: int = 100) -> float:
    """Text to syntax tree inside one process, once the parser is built."""
    from hjbdsl.frontend.parse import parse_text  # noqa: PLC0415 (measured apart from the processes)

    body = [f"param p{i} = {i}.5 in (0, inf), q{i} = p{i}^2 + exp(-{i}*p{i})/3" for i in range(lines - 5)]
    text = "\n".join(["problem long", *body, "state x in R", "control a in R", "dx = a dt", "minimize E x(1)^2"])
    parse_text(text)
    times = []
    for _ in range(RUNS):
        started = time.perf_counter()
        parse_text(text)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


ROWS: tuple[tuple[str, float, Callable[[], float]], ...] = (
    ("hjb --help", 0.2, lambda: median_cached(["--help"])),
    ("hjb check problems/lqr.hjb, cold", 0.7, lambda: median_cold(["check", LQR])),
    ("hjb check problems/lqr.hjb, cached", 0.7, lambda: median_cached(["check", LQR])),
    ("hjb check problems/merton.hjb, cold", 0.7, lambda: median_cold(["check", MERTON])),
    ("hjb check problems/merton.hjb, cached", 0.7, lambda: median_cached(["check", MERTON])),
    ("hjb solve problems/merton.hjb, cold", 2.0, lambda: median_cold(["solve", MERTON])),
    ("hjb solve problems/merton.hjb, cached", 0.6, lambda: median_cached(["solve", MERTON])),
    ("parse 100 lines, parser built", 0.02, median_parse),
)


def main() -> None:
    """Print the table."""
    print(f"{'median of ' + str(RUNS):<40} {'seconds':>8} {'wanted':>8}")
    for name, wanted, measure in ROWS:
        found = measure()
        print(f"{name:<40} {found:>8.3f} {wanted:>8.2f}  {'' if found <= wanted else 'over'}".rstrip(), flush=True)


if __name__ == "__main__":
    main()

"""Digits drawn by the learned score, beside scanned ones: the picture of the docs.

    python -m benchmarks.digits_picture docs/pictures/digits.png

Trains as `problems/digits.hjb` says (one and a half minutes of one processor), then draws 80 digits in 50 steps.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping

import matplotlib
import numpy as np

from hjbdsl.frontend.load import load_problem
from hjbdsl.methods.generative.fit import Fitted, fit
from hjbdsl.methods.generative.samplers import sample
from hjbdsl.methods.generative.start import noised
from hjbdsl.model.solution import Array

_ROWS, _COLUMNS, _STEPS = 5, 16, 50


def draw(fitted: Fitted, seed: int = 0) -> Array:
    random = np.random.default_rng(seed)
    forward, count = fitted.score.forward, _ROWS * _COLUMNS
    start = noised(fitted.rows[random.integers(len(fitted.rows), size=count)], forward, forward.end, random)
    return sample(fitted.score, start, _STEPS, "exponential", random)


def nearest(rows: Array, data: Array) -> float:
    """Median distance of rows to the nearest data row."""
    squares = (rows**2).sum(axis=1)[:, None] + (data**2).sum(axis=1) - 2 * rows @ data.T
    return float(np.median(np.sqrt(squares.min(axis=1))))


def picture(path: str, drawn: Array, scanned: Array) -> None:
    matplotlib.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415 (after the backend is chosen)

    figure, axes = pyplot.subplots(1, 2, figsize=(10, 1.9), layout="constrained")
    for axis, rows, title in zip(axes, (scanned, drawn), ("scanned", "drawn by the reverse process"), strict=True):
        tiles = rows[: _ROWS * _COLUMNS].reshape(_ROWS, _COLUMNS, 8, 8).clip(0, 16)
        framed = np.pad(tiles, ((0, 0), (0, 0), (1, 1), (1, 1)))
        axis.imshow(framed.transpose(0, 2, 1, 3).reshape(_ROWS * 10, _COLUMNS * 10), cmap="gray_r", interpolation="nearest")
        axis.set_title(title, fontsize=9)
        axis.set_axis_off()
    figure.savefig(path, dpi=110)


def main() -> None:
    path = sys.argv[1] if len(sys.argv) > 1 else "digits.png"
    began = time.process_time()
    problem = load_problem("problems/digits.hjb")
    options: Mapping[str, float | str] = problem.hint.options if problem.hint is not None else {}
    fitted = fit(problem, options, 0, None)
    trained = time.process_time() - began
    show(path, fitted, trained)


def show(path: str, fitted: Fitted, trained: float) -> None:
    drawn = draw(fitted)
    picture(path, drawn, fitted.held_out)
    print(
        f"training {trained:.0f} s of the processor, held-out loss {fitted.trained.held_out:.3f} ± "
        f"{2 * fitted.trained.held_out_error:.3f}, training loss {fitted.trained.loss:.3f}; nearest scan at "
        f"{nearest(drawn, fitted.rows):.1f} (of a held-out scan: {nearest(fitted.held_out, fitted.rows):.1f})"
    )


if __name__ == "__main__":
    main()

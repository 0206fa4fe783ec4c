"""What may be set in `solve generative(...)` or on the command line, and what is chosen where nothing is said.

In: options by name, the dimension, the number of rows. Out: `Settings` of the training. Unknown names and impossible numbers are
`UsageError`s.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from hjbdsl.errors import UsageError
from hjbdsl.methods.generative.network import Architecture
from hjbdsl.methods.generative.precondition import PREDICTIONS, Prediction
from hjbdsl.methods.generative.training import Settings

OPTIONS: tuple[tuple[str, str], ...] = (
    ("predict", "what the network gives: residual (of the Gaussian score), noise or score"),
    ("steps", "steps of the optimiser"),
    ("batch", "pairs a step"),
    ("width", "units of a hidden layer"),
    ("blocks", "residual blocks of two layers"),
    ("dropout", "share of hidden units left out of a training step"),
    ("rate", "largest learning rate"),
    ("averaging", "half-life of the averaged weights, as a share of the steps so far"),
    ("lowest", "smallest noise level learned, in units of the data's spread"),
    ("samples", "rows drawn where the data are a law and not a file"),
    ("device", "cpu or cuda; cuda is taken where there is one"),
)
"""Name and meaning."""

MOST_DIMENSIONS = 256


def choose(options: Mapping[str, float | str], dimension: int, seed: int) -> Settings:
    unknown = [name for name in options if name not in dict(OPTIONS)]
    if unknown:
        raise UsageError(f"generative has no option `{unknown[0]}`; there are {', '.join(name for name, _ in OPTIONS)}")
    width, blocks, steps = (128, 3, 2000) if dimension <= 4 else (192, 3, 6000) if dimension <= 16 else (256, 3, 6000)
    dropout = _share(options, "dropout", 0.0 if dimension <= 16 else 0.2)
    architecture = Architecture(dimension, _count(options, "width", width), _count(options, "blocks", blocks), dropout)
    batch = 512 if dimension <= 4 else 256
    return Settings(
        architecture, _prediction(options), _count(options, "steps", steps), _count(options, "batch", batch),
        _positive(options, "rate", 3e-3 if dimension <= 16 else 1e-3), _positive(options, "averaging", 0.05),
        _positive(options, "lowest", 3e-3), 512 if dimension <= 32 else 192, seed, _device(options),
    )  # fmt: skip


def drawn_rows(options: Mapping[str, float | str]) -> int:
    """How many rows to draw of a law that is given by formula."""
    return max(_count(options, "samples", 50_000), 100)


def _prediction(options: Mapping[str, float | str]) -> Prediction:
    wanted = options.get("predict", "residual")
    for known in PREDICTIONS:
        if wanted == known:
            return known
    raise UsageError(f"`predict` is {', '.join(PREDICTIONS)}; it is not `{wanted}`")


def _count(options: Mapping[str, float | str], name: str, default: int) -> int:
    value = _positive(options, name, default)
    if value != int(value) or value > 10_000_000:
        raise UsageError(f"`{name}` is a whole number; `{options[name]}` is not")
    return int(value)


def _positive(options: Mapping[str, float | str], name: str, default: float) -> float:
    value = options.get(name, default)
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 < number < float("inf"):
        raise UsageError(f"`{name}` wants a positive number; it is `{value}`")
    return number


def _share(options: Mapping[str, float | str], name: str, default: float) -> float:
    value = options.get(name, default)
    if not isinstance(value, float | int) or not 0 <= value < 1:
        raise UsageError(f"`{name}` wants a number from 0 to 1; it is `{value}`")
    return float(value)


def _device(options: Mapping[str, float | str]) -> str:
    wanted = str(options.get("device", "auto"))
    match wanted:
        case "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        case "cpu":
            return "cpu"
        case "cuda" if torch.cuda.is_available():
            return "cuda"
        case "cuda":
            raise UsageError("`device = cuda`, but torch sees no such device here")
    raise UsageError(f"`device` is auto, cpu or cuda; it is not `{wanted}`")

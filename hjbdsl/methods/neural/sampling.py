"""Where a network is trained: the region of the file, widened on the sides where the process goes on.

In: program. Out: a `Domain`: its box in the scaled coordinates of the network, samples in it, the way back from scaled
coordinates. A positive state is measured by its logarithm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hjbdsl.methods.neural.networks import Feature, clock_scales
from hjbdsl.methods.neural.program import NeuralProgram
from hjbdsl.numeric.state_space import number, region_of

WIDER = 0.5
"""How far past the region the domain goes on an open side, in widths of the region."""
WIDER_LOGARITHM = 2.0
"""The same for a positive state, in units of its logarithm."""


FAR = {"line": 10.0, "logarithm": 3.0}


@dataclass(frozen=True, slots=True)
class Domain:
    """`features` scale each state so that the domain is [-1, 1]; `low`, `high` its ends; `inner` the region's ends."""

    features: tuple[Feature, ...]
    low: Tensor
    high: Tensor
    inner_low: Tensor
    inner_high: Tensor

    def points(self, scaled: Tensor) -> Tensor:
        """States (B, n) of scaled coordinates in [-1, 1]."""
        columns = []
        for i, feature in enumerate(self.features):
            s = scaled[:, i]
            match feature.kind:
                case "logarithm":
                    columns.append(feature.origin + torch.exp(feature.centre + feature.width * s))
                case "angle":
                    columns.append(math.pi * s)
                case _:
                    columns.append(feature.centre + feature.width * s)
        return torch.stack(columns, -1)

    def kept_near(self, x: Tensor) -> Tensor:
        """Rows held within FAR times the domain: a policy that is still wrong may throw paths to where rewards overflow."""
        reach = torch.tensor([math.inf if f.kind == "angle" else FAR[f.kind] for f in self.features], dtype=x.dtype)
        scaled = self.scaled(x)
        outside = (scaled.abs() > reach).any(-1)
        return torch.where(outside[:, None], self.points(torch.minimum(torch.maximum(scaled, -reach), reach)), x)

    def sample(self, count: int, generator: torch.Generator, inner: bool = False) -> Tensor:
        """Uniform in scaled coordinates, of the domain or of the region."""
        uniform = torch.rand(count, len(self.features), generator=generator, dtype=torch.float64)
        low, high = (self.scaled(self.inner_low[None]), self.scaled(self.inner_high[None])) if inner else (-1.0, 1.0)
        return self.points(low + (high - low) * uniform)

    def logarithms(self, x: Tensor) -> Tensor | None:
        """The logarithms of the positive states (B, k), None where there are none."""
        columns = [torch.log(x[:, i] - f.origin) for i, f in enumerate(self.features) if f.kind == "logarithm"]
        return torch.stack(columns, -1) if columns else None

    def scaled(self, x: Tensor) -> Tensor:
        columns = []
        for i, feature in enumerate(self.features):
            match feature.kind:
                case "logarithm":
                    columns.append((torch.log(x[:, i] - feature.origin) - feature.centre) / feature.width)
                case "angle":
                    columns.append(x[:, i] / math.pi)
                case _:
                    columns.append((x[:, i] - feature.centre) / feature.width)
        return torch.stack(columns, -1)


def domain_of(program: NeuralProgram) -> Domain:
    """The region, wider on every side whose end is not a wall, an exit or an end of the state space."""
    problem = program.problem
    region = region_of(problem)
    walls = {(c.state, c.side): number(problem, c.location) for c in program.equation.boundaries
             if c.kind in ("absorbing", "reflect", "value", "slope", "outflow", "constrain")}  # fmt: skip
    features, ends = [], []
    for i, (bounds, (low, high)) in enumerate(zip(problem.state_bounds, region, strict=True)):
        if bounds.periodic:
            features.append(Feature("angle", 0.0, 1.0))
            ends.append((-math.pi, math.pi))
            continue
        origin, least, most = number(problem, bounds.lower), walls.get((i, "lower")), walls.get((i, "upper"))
        if math.isfinite(origin) and bounds.lower_open and least is None and low > origin:
            left, right = math.log(low - origin) - WIDER_LOGARITHM, math.log(high - origin)
            right = right + WIDER_LOGARITHM if most is None else math.log(most - origin)
            features.append(Feature("logarithm", 0.5 * (left + right), 0.5 * (right - left), origin))
            ends.append((origin + math.exp(left), origin + math.exp(right)))
            continue
        left = least if least is not None else max(low - WIDER * (high - low), number(problem, bounds.lower))
        right = most if most is not None else min(high + WIDER * (high - low), number(problem, bounds.upper))
        features.append(Feature("line", 0.5 * (left + right), 0.5 * (right - left)))
        ends.append((left, right))
    box, inner = torch.tensor(ends, dtype=torch.float64), torch.tensor(region, dtype=torch.float64)
    return Domain(tuple(features), box[:, 0], box[:, 1], inner[:, 0], inner[:, 1])


def widened(domain: Domain, low: Tensor, high: Tensor) -> Domain:
    """The domain with new ends `low`, `high` (n,), given in its scaled coordinates; angles stay."""
    features = []
    for feature, a, b in zip(domain.features, low.tolist(), high.tolist(), strict=True):
        moved = replace(feature, centre=feature.centre + 0.5 * (a + b) * feature.width, width=0.5 * (b - a) * feature.width)
        features.append(feature if feature.kind == "angle" else moved)
    return domain_with(tuple(features), domain.inner_low, domain.inner_high)


def domain_with(features: tuple[Feature, ...], inner_low: Tensor, inner_high: Tensor) -> Domain:
    """The domain that these features scale to [-1, 1]."""
    one = torch.ones(1, len(features), dtype=torch.float64)
    ends = Domain(features, inner_low, inner_high, inner_low, inner_high)
    return replace(ends, low=ends.points(-one)[0], high=ends.points(one)[0])


def drawn(
    program: NeuralProgram, domain: Domain, count: int, generator: torch.Generator, inner: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Times, states and modes from which the process still runs: of the domain, or of the region alone."""
    x = domain.sample(4 * count, generator, inner)
    t = clock(program, 4 * count, generator)
    z = torch.randint(0, program.modes, (4 * count,), generator=generator)
    if program.problem.exit is not None:
        running = program.module.exited(t, x, z) < 0.5
        t, x, z = t[running], x[running], z[running]
    return t[:count], x[:count], z[:count]


def clock(program: NeuralProgram, count: int, generator: torch.Generator) -> Tensor:
    """Times (count,), every other one uniform in the coordinate of the network, which looks closely at the end."""
    t = torch.rand(count, generator=generator, dtype=torch.float64)
    if not math.isfinite(program.horizon):
        return 0.0 * t
    short, length = clock_scales(program.horizon)
    t[1::2] = 1.0 - short * torch.expm1(length * t[1::2]) / program.horizon
    return program.horizon * t

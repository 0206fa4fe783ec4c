"""Coordinates y in which an interval of the state has no finite end that is never reached: x = X(y).

An open end is sent to infinity by a logarithm; there a solution that is affine in x obeys V_yy = kappa V_y, in which
`growth` says kappa.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from hjbdsl.model.solution import Array

CoordinateKind = Literal["identity", "lower", "upper", "both", "root"]


@dataclass(frozen=True, slots=True)
class Coordinate:
    """identity: x = y;  lower: x = low + e^y;  upper: x = high - e^-y;  both: x = low + (high - low)/(1 + e^-y);
    root: x = low + y^2 (a state constraint that binds, where V has a branch point)."""

    kind: CoordinateKind
    low: float = 0.0
    high: float = 0.0

    def to_state(self, y: Array) -> Array:
        match self.kind:
            case "identity":
                return np.asarray(y, dtype=np.float64)
            case "lower":
                return self.low + np.exp(y)
            case "upper":
                return self.high - np.exp(-y)
            case "both":
                return self.low + (self.high - self.low) / (1 + np.exp(-y))
            case "root":
                return self.low + np.asarray(y, dtype=np.float64) ** 2
        raise TypeError(self.kind)

    def from_state(self, x: Array) -> Array:
        with np.errstate(divide="ignore", invalid="ignore"):
            match self.kind:
                case "identity":
                    return np.asarray(x, dtype=np.float64)
                case "lower":
                    return np.log(x - self.low)
                case "upper":
                    return -np.log(self.high - x)
                case "both":
                    return np.log(x - self.low) - np.log(self.high - x)
                case "root":
                    return np.sqrt(np.maximum(x - self.low, 0.0))
        raise TypeError(self.kind)

    def rates(self, y: Array) -> tuple[Array, Array]:
        """X'(y) and X''(y)/X'(y)."""
        match self.kind:
            case "identity":
                return np.ones_like(y), np.zeros_like(y)
            case "lower":
                return np.exp(y), np.ones_like(y)
            case "upper":
                return np.exp(-y), -np.ones_like(y)
            case "both":
                share = 1 / (1 + np.exp(-y))
                return (self.high - self.low) * share / (1 + np.exp(y)), 1 - 2 * share
            case "root":
                return 2 * y, 1 / y
        raise TypeError(self.kind)

    def growth(self, upper_end: bool) -> float | None:
        """kappa of V_yy = kappa V_y at an infinite end, None where V_yyy = 0 is the condition instead."""
        match self.kind:
            case "identity":
                return None
            case "lower":
                return 1.0
            case "upper":
                return -1.0
            case "both":
                return -1.0 if upper_end else 1.0
            case "root":
                return None
        raise TypeError(self.kind)

    def state_derivatives(self, y: Array, slope: Array, curvature: Array) -> tuple[Array, Array]:
        """V_x and V_xx from V_y and V_yy."""
        if self.kind == "root":
            # V_y = 2 y V_x: at y = 0 the limit is V_yy/2, and V_xx has no finite one
            start = np.abs(y) < 1e-7
            safe = np.where(start, 1.0, y)
            bend = np.where(start, 0.0, (curvature - slope / safe) / (4 * safe**2))
            return np.where(start, curvature / 2, slope / (2 * safe)), bend
        first, ratio = self.rates(y)
        return slope / first, (curvature - ratio * slope) / first**2

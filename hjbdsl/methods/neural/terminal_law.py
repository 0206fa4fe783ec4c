"""The law in which an optimally controlled process ends, where noise and control enter the same way.

    minimise E [ int_0^T a'R a/2 dt + g(X_T) ],   dX = (A X + b + G a) dt + S dW,   G R^-1 G' = kappa S S',  kappa constant

has V(0, x) = -log Z/kappa with Z = E exp(-kappa g) over the free process from x, whose X_T is N(m, C); and the optimal control
turns that law into rho/Z, rho = exp(-kappa g) N(.; m, C). To draw from an unnormalised density rho is this control problem, with
g = log N - log rho; under maximize the signs of reward and V are the other ones.

In: an equation and a start. Out: `TerminalLaw` with log rho in the coordinates z of x = m + L z, L L' = C; or the reason why not.
(Dai Pra, Applied Mathematics and Optimization 23, 1991.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import sympy as sp
import torch
from torch import Tensor

from hjbdsl.codegen.torch_batched import UnsupportedInTorch
from hjbdsl.methods.neural.emit import loading
from hjbdsl.methods.neural.program import NeuralProgram, program_of
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.problem import ControlProblem
from hjbdsl.model.solution import Array, Rejected
from hjbdsl.numeric.forward_coefficients import forward_coefficients
from hjbdsl.numeric.forward_law import forward_law
from hjbdsl.numeric.polynomial import quadratic_parts
from hjbdsl.numeric.state_space import horizon
from hjbdsl.numeric.time_array import TimeArray, time_array

_PROPORTIONAL = 1e-10
_TIMES = np.array([0.0, 0.07, 0.19, 0.33, 0.5, 0.62, 0.77, 0.91, 1.0])
"""Shares of the horizon at which control and noise are compared."""


@dataclass(frozen=True, slots=True)
class TerminalLaw:
    """`mean` m (n,), `factor` L (n, n), `kappa` times the sense: V = log Z/`exponent`, `exponent` negative under minimize."""

    program: NeuralProgram
    mean: Array
    factor: Array
    exponent: float

    def log_density(self, z: Tensor) -> Tensor:
        """log rho (B,) of x = m + L z, with respect to dz."""
        mean, factor = (torch.as_tensor(array, dtype=z.dtype) for array in (self.mean, self.factor))
        x = mean + z @ factor.T
        end = torch.full((len(x),), self.program.horizon, dtype=x.dtype)
        paid = self.program.module.terminal(end, x, torch.zeros(len(x), dtype=torch.int64))
        normal = -0.5 * (z**2).sum(1) - 0.5 * z.shape[1] * float(np.log(2 * np.pi))
        result: Tensor = normal + self.exponent * paid
        return result

    def places(self, z: Array) -> Array:
        """x (k, n)."""
        return self.mean + z @ self.factor.T


def terminal_law(equation: HJBEquation, start: Array) -> TerminalLaw | Rejected:
    """`start` (n,) is where the process is at t = 0."""
    problem = equation.problem
    reason = _other_kind(equation)
    if reason is not None:
        return Rejected(reason)
    try:
        gains, costs = _control(problem)
        free = replace(
            problem, drift=tuple(_without(e, problem.control_symbols) for e in map(problem.numeric, problem.drift)),
            diffusion=loading(problem), correlation={},
        )  # fmt: skip
        coefficients = forward_coefficients(free)
        kappa = _ratio(gains, costs, coefficients.noise, problem)
        program = program_of(equation)
    except (ValueError, UnsupportedInTorch) as found:
        return Rejected(str(found))
    end = horizon(problem)
    now = forward_law(coefficients.diffusion(False), end).at(end)
    covariance = (now.covariance + now.covariance.T) / 2
    if np.linalg.eigvalsh(covariance)[0] <= 1e-12 * np.trace(covariance):
        return Rejected("the noise does not reach every component of the state")
    exponent = kappa if problem.objective.sense == "maximize" else -kappa
    factor = np.asarray(np.linalg.cholesky(covariance), dtype=np.float64)
    return TerminalLaw(program, now.transition @ start + now.offset, factor, exponent)


def _other_kind(equation: HJBEquation) -> str | None:
    """One line of reason where the problem is not of the kind."""
    problem, objective = equation.problem, equation.problem.objective
    if problem.reversal is not None or objective.form != "expectation" or equation.stationary:
        return "the objective is no expectation over a horizon"
    if problem.jumps or problem.modes or problem.exit is not None or problem.stopping is not None or problem.lattice_states:
        return "jumps, modes, stopping and exit change the law of the free process"
    if problem.exploration is not None or problem.adversaries or problem.constraints:
        return "exploration, adversaries and constraints change the optimum"
    if not problem.control_symbols or not problem.noises or objective.terminal is None:
        return "there is no control, no noise or nothing paid at the end"
    bounded = [b for group in problem.controls for b in group.bounds] + list(problem.state_bounds)
    if any(b.is_finite_set or b.periodic or b.lower != -sp.oo or b.upper != sp.oo for b in bounded):
        return "states or controls are bounded"
    if problem.numeric(objective.discount) != 0:
        return "a discount weighs the cost of a control by time"
    return None


def _without(expression: sp.Expr, symbols: tuple[sp.Symbol, ...]) -> sp.Expr:
    return expression.subs(dict.fromkeys(symbols, 0))


def _control(problem: ControlProblem) -> tuple[TimeArray, TimeArray]:
    """G (n, m) and R (m, m), R positive. Raises `ValueError` with the reason where they depend on more than time."""
    controls = problem.control_symbols
    gains: dict[tuple[int, int], sp.Expr] = {}
    for i, drift in enumerate(problem.drift):
        parts = quadratic_parts(problem.numeric(drift), controls)
        if not parts.is_affine:
            raise ValueError(f"the drift of {problem.state_symbols[i]} is not linear in the control")
        gains.update({(i, k): c for k, c in parts.linear.items()})
    sign = -1 if problem.objective.sense == "maximize" else 1
    parts = quadratic_parts(problem.numeric(problem.objective.running), controls)
    if parts.rest or parts.linear or sp.simplify(parts.constant) != 0:
        raise ValueError("the running cost is not a square of the control alone")
    costs: dict[tuple[int, int], sp.Expr] = {}
    for (k, m), c in parts.quadratic.items():
        costs[k, m] = costs[m, k] = sign * c * (2 if k == m else 1)
    size = len(controls)
    return time_array((problem.dimension, size), gains), time_array((size, size), costs)


def _ratio(gains: TimeArray, costs: TimeArray, noise: TimeArray, problem: ControlProblem) -> float:
    """kappa. Raises `ValueError` where there is none."""
    found = []
    for t in horizon(problem) * _TIMES:
        cost, gain, square = costs(t), gains(t), noise(t) @ noise(t).T
        if np.linalg.eigvalsh(cost)[0] <= 0:
            raise ValueError("the cost of a control is not strictly convex")
        steered = gain @ np.linalg.solve(cost, gain.T)
        kappa = float(np.sum(steered * square) / np.sum(square**2))
        if np.max(np.abs(steered - kappa * square)) > _PROPORTIONAL * np.max(np.abs(steered)):
            raise ValueError("noise and control do not enter the same way")
        found.append(kappa)
    if max(found) - min(found) > _PROPORTIONAL * max(found) or found[0] <= 0:
        raise ValueError("the ratio of control to noise changes with time")
    return found[0]


__all__ = ["TerminalLaw", "terminal_law"]

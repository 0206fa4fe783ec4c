"""The controlled process on batches of paths, for learners that need no control in the noise: one step, its cost, its derivative.

In: a `NeuralProgram`. Out: `PathModel`. Everything is a cost to be minimised: W = -sense * V. The step is Heun's scheme (weak
order 2 where the noise is additive) with the feedback control at both ends, the cost and the discount by the trapezoidal rule:

    n = S(t, x) dW,   y' = x + b(x, u) h + n,   y = x + (b(x, u) + b(y', u')) h/2 + n,   u' = control at (t + h, y')
    D = exp(-(r + r') h/2),   cost = (f + D f') h/2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from hjbdsl.methods.neural.emit import loading
from hjbdsl.methods.neural.program import NeuralProgram
from hjbdsl.model.equation import VALUE, HJBEquation
from hjbdsl.model.problem import TIME
from hjbdsl.numeric.state_space import horizon

Feedback = Callable[[Tensor, Tensor], Tensor]
"""Control (B, m) at t (B,), x (B, n)."""


@dataclass(frozen=True, slots=True)
class Step:
    """State after the step, the noise that entered it (B, n), cost (B,) in present value, and discount factor (B,)."""

    x: Tensor
    noise: Tensor
    cost: Tensor
    factor: Tensor


def rejection(equation: HJBEquation) -> str | None:
    """Why paths with a control in the drift alone do not describe this problem, or None."""
    problem = equation.problem
    controls = set(problem.control_symbols)
    checks = (
        (problem.reversal is not None, "a generative problem has methods of its own"),
        (problem.objective.form != "expectation", f"the objective is of the form `{problem.objective.form}`"),
        (problem.stopping is not None or problem.exit is not None, "the end is chosen or an exit"),
        (bool(problem.jumps or problem.modes), "jumps or modes"),
        (bool(problem.adversaries), "two players"),
        (problem.exploration is not None, "a random policy"),
        (any(b.is_finite_set or b.periodic for b in problem.state_bounds), "a state on a lattice or a circle"),
        (any(c.kind in ("reflect", "value", "slope", "constrain") for c in equation.boundaries), "a boundary that acts"),
        (any(c.role == "state" for c in problem.constraints), "a constraint on states"),
        (not problem.diffusion, "there is no noise"),
        (any(e.free_symbols & controls for e in problem.diffusion.values()), "a control enters the noise"),
        (equation.optimum.status == "implicit", f"the optimal control has no formula ({equation.optimum.reason})"),
        (equation.stationary and not problem.numeric(problem.objective.discount).is_number, "a discount that varies"),
        (not equation.stationary and not float("inf") > horizon(problem), "no finite horizon"),
    )  # fmt: skip
    second = set(equation.hessian.values())
    used: set[object] = set()
    for candidate in equation.optimum.candidates:
        used |= candidate.where.free_symbols
        for control in candidate.controls.values():
            used |= control.free_symbols
    found = [why for applies, why in checks if applies]
    if not found and used & second:
        found = ["the optimal control depends on second derivatives"]
    return found[0] if found else None


class PathModel:
    """`sign` turns V into the cost W = sign * V; `end`: the horizon or inf; `loading_matrix` (n, noises) where S is constant."""

    def __init__(self, program: NeuralProgram, device: str = "cpu"):
        self.program, self.module, self.problem = program, program.module, program.problem
        self.sign = -program.sense if self.problem.control_symbols else 1.0
        self.end = program.horizon
        self.states, self.noises = program.states, program.noises
        self.device = torch.device(device)
        entries = loading(self.problem)
        free = {TIME, *self.problem.state_symbols}
        self.loading_matrix: Tensor | None = None
        if not any(self.problem.numeric(e).free_symbols & free for e in entries.values()):
            self.loading_matrix = torch.zeros(self.states, self.noises, device=self.device)
            for (i, k), entry in entries.items():
                self.loading_matrix[i, k] = float(self.problem.numeric(entry))
        self.loading_diagonal = None if self.loading_matrix is None else _diagonal(self.loading_matrix)
        used = set().union(*(e.free_symbols for c in program.equation.optimum.candidates for e in c.controls.values()))
        self.uses_value = VALUE in used
        moving = set(self.problem.state_symbols)
        self.discounted = self.problem.numeric(self.problem.objective.discount) != 0
        discount = self.problem.numeric(self.problem.objective.discount)
        self.rate = float(discount) if discount.is_number else None
        self.costly_states = bool(self.problem.objective.running.free_symbols & moving)
        low, high = zip(*((b.lower, b.upper) for b in self.problem.state_bounds), strict=True)
        self.low = torch.tensor([float(self.problem.numeric(e)) for e in low], device=self.device)
        self.high = torch.tensor([float(self.problem.numeric(e)) for e in high], device=self.device)
        self.bounded = bool(torch.isfinite(self.low).any() or torch.isfinite(self.high).any())

    def modes(self, x: Tensor) -> Tensor:
        """The one joint mode of a problem without modes."""
        return torch.zeros(len(x), dtype=torch.int64, device=x.device)

    def running(self, t: Tensor, x: Tensor, u: Tensor) -> Tensor:
        """Cost rate (B,)."""
        result: Tensor = self.sign * self.module.running(t, x, self.modes(x), u)
        return result

    def terminal(self, t: Tensor, x: Tensor) -> Tensor:
        """Cost at the end (B,)."""
        result: Tensor = self.sign * self.module.terminal(t, x, self.modes(x))
        return result

    def shaken(self, t: Tensor, x: Tensor, increment: Tensor) -> Tensor:
        """S(t, x) times an increment of the independent Brownian motions (B, n)."""
        result: Tensor = self.module.noise(t, x, self.modes(x), x.new_zeros((len(x), self.program.controls)), increment)
        return result

    def control(self, t: Tensor, x: Tensor, W: Tensor, slope: Tensor) -> Tensor:
        """The optimal control where the cost is W with gradient `slope`: (B, m). Of several valid candidates the best."""
        z, V, p = self.modes(x), self.sign * W, self.sign * slope
        arguments = (t, x, z, V, p, None, x.new_zeros((len(x), 0)))
        if self.module.CANDIDATES == 0:
            return x.new_zeros((len(x), 0))
        low, high = self.module.lowest(t, x, z), self.module.highest(t, x, z)
        best, score = None, None
        for k in range(self.module.CANDIDATES):
            raw = getattr(self.module, f"candidate_{k}")(*arguments)
            u = torch.nan_to_num(torch.minimum(torch.maximum(raw, low), high))
            if self.module.CANDIDATES == 1:
                return u
            gain = self.program.sense * (
                self.module.running(t, x, z, u)
                + (self.module.drift(t, x, z, u) * p).sum(-1)
                - self.module.discount(t, x, z, u) * V
            )
            if best is None or score is None:
                best, score = u, gain
            else:
                better = gain > score
                best, score = torch.where(better[:, None], u, best), torch.where(better, gain, score)
        assert best is not None
        return best

    def step(self, t: Tensor, h: Tensor, x: Tensor, u: Tensor, noise: Tensor, feedback: Feedback) -> tuple[Step, Tensor]:
        """One step of length h (B,) from x under control u, and the control at its predicted end."""
        z = self.modes(x)
        drift = self.module.drift(t, x, z, u)
        guess = self._kept(x + drift * h[:, None] + noise)
        later = feedback(t + h, guess)
        return self._corrected(t, h, x, u, later, noise, drift, guess), later

    def _corrected(
        self, t: Tensor, h: Tensor, x: Tensor, u: Tensor, later: Tensor, noise: Tensor, drift: Tensor, guess: Tensor
    ) -> Step:
        z = self.modes(x)
        y = self._kept(x + 0.5 * (drift + self.module.drift(t + h, guess, z, later)) * h[:, None] + noise)
        factor = torch.ones_like(t)
        if self.discounted:
            rates = self.module.discount(t, x, z, u) + self.module.discount(t + h, y, z, later)
            factor = torch.exp(-0.5 * rates * h)
        cost = 0.5 * h * (self.running(t, x, u) + factor * self.running(t + h, y, later))
        return Step(y, noise, cost, factor)

    def costate(
        self, t: Tensor, h: Tensor, x: Tensor, controls: tuple[Tensor, Tensor], increment: Tensor, after: tuple[Tensor, Tensor]
    ) -> Tensor:
        """Derivative in x (B, n) of a step's cost and of what comes after, the controls held (envelope theorem).

        `after`: the cost that follows (B,) and its derivative (B, n) at the end of the step. With the optimal control its mean
        given x is the gradient of W (the lean adjoint: Domingo-Enrich et al., Adjoint Matching, 2024, equations 38-40).
        """
        with torch.enable_grad():
            x = x.detach().requires_grad_(True)
            drift = self.module.drift(t, x, self.modes(x), controls[0])
            noise = self.shaken(t, x, increment)
            guess = self._kept(x + drift * h[:, None] + noise)
            step = self._corrected(t, h, x, controls[0], controls[1], noise, drift, guess)
            total = step.cost + step.factor * (after[0] + (after[1] * (step.x - step.x.detach())).sum(-1))
            (slope,) = torch.autograd.grad(total.sum(), x)
        return slope

    def _kept(self, x: Tensor) -> Tensor:
        return torch.maximum(torch.minimum(x, self.high), self.low) if self.bounded else x


def _diagonal(matrix: Tensor) -> Tensor | None:
    """The diagonal where there is nothing else."""
    if matrix.shape[0] != matrix.shape[1]:
        return None
    diagonal = torch.diagonal(matrix)
    return diagonal if torch.equal(torch.diag(diagonal), matrix) else None


__all__ = ["Feedback", "PathModel", "Step", "rejection"]

"""The generated torch program of an equation, with the operations that every learner needs.

In: an `HJBEquation`. Out: `NeuralProgram`: drift, noise, rewards, the local Hamiltonian, the maximiser of the candidates, the
projection on the control set, jumps by quadrature, switching rates. All on batches: t (B,), x (B, n), z (B,) joint modes,
a (B, m) controls then adversaries, V (B,), p (B, n), M (B, n, n), q (B, jumps).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import torch
from torch import Tensor

from hjbdsl.codegen.store import load_generated
from hjbdsl.methods.neural.emit import source
from hjbdsl.model.equation import HJBEquation
from hjbdsl.numeric.state_space import horizon

ValueAt = Callable[[Tensor, Tensor, Tensor], Tensor]
"""V at t (B,), x (B, n), z (B,): (B,)."""


@dataclass(frozen=True, slots=True)
class Point:
    """V with its derivatives at a batch of points; `jumps` (B, J) is E[V(x + displacement)] - V where no control moves the
    state at a jump, and `switch` (B,) the switching term of the modes."""

    V: Tensor
    V_t: Tensor
    p: Tensor
    M: Tensor
    jumps: Tensor
    switch: Tensor


class NeuralProgram:
    """Generated functions bound to an equation. `sense` is 1 where the controller maximises, else -1."""

    def __init__(self, equation: HJBEquation):
        self.equation, self.problem = equation, equation.problem
        self.module: ModuleType = load_generated(source(equation), "neural")
        self.states, self.controls, self.noises = self.module.STATES, self.module.CONTROLS, self.module.NOISES
        self.modes, self.jumps, self.sense = self.module.MODES, self.module.JUMPS, self.module.SENSE
        self.horizon = math.inf if equation.stationary else horizon(self.problem)
        controls = set(self.problem.control_symbols) | set(self.problem.adversary_symbols)
        self.controlled_jumps = tuple(
            bool(controls & set().union(*(e.free_symbols for e in jump.displacement.values()))) for jump in self.problem.jumps
        )

    # ---------------------------------------------------------------------------------------- the generator

    def hamiltonian(self, t: Tensor, x: Tensor, z: Tensor, a: Tensor, at: Point) -> Tensor:
        """f + b.p + 1/2 tr(S S' M) + jumps + switching at control a, the discount left out. (B,)"""
        result = self.module.running(t, x, z, a) + (self.module.drift(t, x, z, a) * at.p).sum(-1) + at.switch
        if self.noises:
            loading = self.module.diffusion(t, x, z, a)
            result = result + 0.5 * torch.einsum("bik,bij,bjk->b", loading, at.M, loading)
        for k in range(self.jumps):
            result = result + self.rate(k)(t, x, z, a) * at.jumps[:, k]
        return result

    def defect(self, t: Tensor, x: Tensor, z: Tensor, a: Tensor, at: Point) -> Tensor:
        """V_t + H(a) - r V: what the equation leaves under control a; 0 at the solution and its optimal control. (B,)"""
        return at.V_t + self.hamiltonian(t, x, z, a, at) - self.module.discount(t, x, z, a) * at.V

    def rate(self, k: int) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
        """Intensity of jump k."""
        function: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor] = getattr(self.module, f"rate_{k}")
        return function

    def marks(self, k: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Nodes and weights (Q,) of the mark of jump k."""
        nodes, weights = getattr(self.module, f"MARKS_{k}"), getattr(self.module, f"WEIGHTS_{k}")
        return torch.as_tensor(nodes, dtype=like.dtype, device=like.device), torch.as_tensor(
            weights, dtype=like.dtype, device=like.device
        )

    def move(self, k: int, t: Tensor, x: Tensor, z: Tensor, a: Tensor, mark: Tensor) -> Tensor:
        """Displacement (B, n) at jump k."""
        result: Tensor = getattr(self.module, f"move_{k}")(t, x, z, a, mark)
        return result

    def jump_difference(self, k: int, value: ValueAt, t: Tensor, x: Tensor, z: Tensor, a: Tensor, here: Tensor) -> Tensor:
        """E[V(x + displacement)] - V (B,), by the quadrature of the mark; beyond an exit V is what the exit pays."""
        nodes, weights = self.marks(k, x)
        total = -here
        for node, weight in zip(nodes, weights, strict=True):
            place = x + self.move(k, t, x, z, a, node.expand(len(x)))
            gone = self.exited(t, place, z)
            total = total + weight * torch.where(gone, self.at_exit(t, place, z), value(t, place, z))
        return total

    # ---------------------------------------------------------------------------------------- the exit

    def exited(self, t: Tensor, x: Tensor, z: Tensor) -> Tensor:
        """Where the process has left, (B,)."""
        if self.problem.exit is None:
            return torch.zeros(len(t), dtype=torch.bool, device=t.device)
        result: Tensor = self.module.exited(t, x, z) > 0.5
        return result

    def at_exit(self, t: Tensor, x: Tensor, z: Tensor) -> Tensor:
        """What an exit pays, (B,)."""
        if self.problem.exit is None or self.problem.objective.exit_value is None:
            return torch.zeros_like(t)
        payoff: Tensor = self.module.exit_value(t, x, z)
        return payoff

    # ---------------------------------------------------------------------------------------- the maximiser

    def symbolic_control(self, t: Tensor, x: Tensor, z: Tensor, at: Point) -> tuple[Tensor, Tensor]:
        """The controls of the valid candidate (B, m) and whether there is one (B,); the last valid one of several wins nothing:
        masks exclude one another."""
        a = x.new_zeros((len(x), self.controls))
        found = torch.zeros(len(x), dtype=torch.bool, device=x.device)
        for k in range(self.module.CANDIDATES):
            arguments = (t, x, z, at.V, at.p, at.M, at.jumps)
            controls = getattr(self.module, f"candidate_{k}")(*arguments)
            valid = (getattr(self.module, f"valid_{k}")(*arguments) > 0.5) & torch.isfinite(controls).all(-1) & ~found
            a = torch.where(valid[:, None], controls, a)
            found = found | valid
        return a, found

    def projected(self, t: Tensor, x: Tensor, z: Tensor, a: Tensor) -> Tensor:
        """`a` moved into the box of the controls; open ends are approached, not reached."""
        return torch.minimum(torch.maximum(a, self.module.lowest(t, x, z)), self.module.highest(t, x, z))


_PROGRAMS: dict[str, NeuralProgram] = {}
_MOST_PROGRAMS = 8


def program_of(equation: HJBEquation) -> NeuralProgram:
    """The program of an equation, kept by the content of its problem: a value function is asked many times."""
    key = equation.problem.source.digest
    if key not in _PROGRAMS:
        if len(_PROGRAMS) >= _MOST_PROGRAMS:
            _PROGRAMS.pop(next(iter(_PROGRAMS)))
        _PROGRAMS[key] = NeuralProgram(equation)
    return _PROGRAMS[key]


__all__ = ["NeuralProgram", "Point", "ValueAt", "program_of"]

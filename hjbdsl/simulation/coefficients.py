"""Drift, noise, rewards, rates: everything that moves a process or pays, compiled.

In: a `ControlProblem`. Out: `Coefficients`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import sympy as sp

from hjbdsl.model.problem import ControlProblem
from hjbdsl.simulation.compiled import At, Compiled, compile_at
from hjbdsl.simulation.spread import Spread, SpreadLaw, spread_law


@dataclass(frozen=True, slots=True)
class Coefficients:
    """drift: n expressions; running: reward rate and discount rate; payoffs: terminal, stop value, exit value, by name;
    spread: the noise; rates: one a jump; switches: one a rate of a mode chain, as (chain, from, to); lower, upper: the
    intervals of the controls."""

    drift: Compiled
    running: Compiled
    payoffs: dict[str, Compiled]
    spread: SpreadLaw
    rates: Compiled
    switches: Compiled
    switch_index: tuple[tuple[int, int, int], ...]
    control_bounds: Compiled

    def noise(self, at: At) -> Spread:
        return self.spread.at(at)


def compile_coefficients(problem: ControlProblem) -> Coefficients:
    """Compile everything but the displacements of jumps. Raises `SolverError` where a parameter by mode is no number."""

    def compiled(expressions: Sequence[sp.Basic]) -> Compiled:
        return compile_at(problem, expressions)

    objective = problem.objective
    written = {"terminal": objective.terminal, "stop": objective.stop_value, "exit": objective.exit_value}
    payoffs = {name: compiled([value]) for name, value in written.items() if value is not None}
    index = tuple((c, *pair) for c, chain in enumerate(problem.modes) for pair in chain.rates)
    bounds = [b for group in (*problem.controls, *problem.adversaries) for b in group.bounds]
    ends = [e for b in bounds for e in ((b.lower, b.upper) if not b.is_finite_set else (-sp.oo, sp.oo))]
    return Coefficients(
        drift=compiled(problem.drift),
        running=compiled([objective.running, objective.discount]),
        payoffs=payoffs,
        spread=spread_law(problem, compiled(list(problem.diffusion.values())), compiled(list(problem.correlation.values()))),
        rates=compiled([jump.rate for jump in problem.jumps]),
        switches=compiled([problem.modes[c].rates[i, j] for c, i, j in index]),
        switch_index=index,
        control_bounds=compiled(ends),
    )

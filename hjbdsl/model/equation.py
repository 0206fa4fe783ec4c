"""Stage 3's result: the Hamilton-Jacobi-Bellman equation of a problem, composed term by term, with its derivation.

`symbolic.derive` makes it; methods read it. In this file's notation, with current-value f, discount r, generator L^a:

    stationary          r V = opt_a { f + L^a V }                       (average: the constant `average` stands for r V)
    with time           V_t + opt_a { f + L^a V - r V } = 0,  V(T, x) = terminal
    L^a V = b.p + 1/2 tr(A M) + sum_jumps rate E[V(x + displacement) - V] + sum_modes rate (V_z' - V_z)

Derivatives of V are plain symbols, so that expressions print directly as kernels: `p[i]` for V_{x_i}, `M[i, j]` for V_{x_i x_j}.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import sympy as sp

from hjbdsl.model.problem import ControlProblem, Notation

VALUE = sp.Symbol("V", real=True)
"""V itself, where an expression needs it (a discount inside the optimum)."""
AVERAGE = sp.Symbol("average", real=True)
"""The long-run average of `average` problems."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One branch of the maximiser. `controls` gives every control and adversary component as a function of t, x, V, p, M;
    `where` is the condition (a sympy Boolean in the same symbols) under which this branch is the optimiser."""

    name: str
    controls: Mapping[sp.Symbol, sp.Expr]
    where: sp.Basic


OptimumStatus = Literal["none", "symbolic", "implicit"]


@dataclass(frozen=True, slots=True)
class Optimum:
    """The optimisation inside the equation.

    status        none (nothing to choose), symbolic (`candidates` cover every case), implicit (found numerically: `reason`)
    candidates    the branches; the interior one, where there is one, first
    stationarity  control component -> dH/da, zero at an interior optimum
    second_order  Booleans in t, x, p, M that make the interior stationary point an optimum, e.g. V_xx < 0
    isaacs        for games: why max min = min max, or None
    """

    status: OptimumStatus
    candidates: tuple[Candidate, ...]
    stationarity: Mapping[sp.Symbol, sp.Expr]
    second_order: tuple[sp.Basic, ...]
    isaacs: str | None = None
    reason: str = ""


ObstacleKind = Literal["stop", "running_min", "running_max"]


@dataclass(frozen=True, slots=True)
class Obstacle:
    """`stop`: V >= payoff under maximize (<= under minimize); `running_min`: V <= payoff; `running_max`: V >= payoff."""

    kind: ObstacleKind
    payoff: sp.Expr


BoundaryConditionKind = Literal["value", "slope", "reflect", "outflow", "constrain", "natural", "periodic", "growth", "absorbing"]


@dataclass(frozen=True, slots=True)
class BoundaryCondition:
    """What holds at one end of one state component, and why. `natural`: never reached, no condition needed;
    `growth`: the end is at infinity; `amount` for value, slope and absorbing."""

    state: int
    side: Literal["lower", "upper"]
    location: sp.Expr
    kind: BoundaryConditionKind
    amount: sp.Expr | None
    written: bool
    why: str


@dataclass(frozen=True, slots=True)
class GibbsPolicy:
    """The optimal random policy under `explore`: density proportional to exp(+-H/temperature) (times the prior).

    kind           normal (`mean`, `covariance`), finite (`probabilities` of points), density (no elementary normaliser)
    mean           explored control component -> its mean; empty for a density
    covariance     {(a, b): Cov(a, b)} of the normal policy, a before b in order of declaration; zeros left out
    probabilities  ((point, probability), ...) of the finite policy
    """

    kind: Literal["normal", "finite", "density"]
    mean: Mapping[sp.Symbol, sp.Expr]
    covariance: Mapping[tuple[sp.Symbol, sp.Symbol], sp.Expr]
    probabilities: tuple[tuple[Mapping[sp.Symbol, sp.Expr], sp.Expr], ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the derivation: a heading, a sentence, and the formulas it ends with."""

    title: str
    explanation: str
    formulas: tuple[Notation, ...]


@dataclass(frozen=True, slots=True)
class HJBEquation:
    """The composed equation.

    kind          the contract's name for the reader: finite_horizon, infinite_horizon, average, stopping, exit, reachability, ...
    stationary    True: V(x); False: V(t, x)
    drift         as in the problem;  covariance  {(i, j), i <= j: entry of A = Sigma C Sigma'} without zeros
    gradient      one symbol a state component (of lattice states too: unused);  hessian  {(i, j), i <= j: symbol} for all pairs
                  that occur in `covariance`
    hamiltonian   f + b.p + 1/2 tr(A M) (and theta/2 p'A p under risk), before optimisation: function of t, x, a, p, M
    reduced       the Hamiltonian with the sole or interior candidate put in (under `explore` the soft one, with its
                  log-normaliser); None where the optimum is implicit
    entropy       temperature under `explore`; then the optimum is a soft one (Gibbs policy)
    q_function, advantage   notation of Q = (f + L^a V)/r and of q = f + V_t + L^a V - r V
    policy        the Gibbs policy under `explore`
    jump_differences  one symbol a jump for E[V(x + displacement)] - V(x); a control that sets a jump's rate is given through it
    """

    problem: ControlProblem
    kind: str
    stationary: bool
    covariance: Mapping[tuple[int, int], sp.Expr]
    gradient: tuple[sp.Symbol, ...]
    hessian: Mapping[tuple[int, int], sp.Symbol]
    hamiltonian: sp.Expr
    optimum: Optimum
    reduced: sp.Expr | None
    entropy: sp.Expr | None
    obstacle: Obstacle | None
    boundaries: tuple[BoundaryCondition, ...]
    pde: Notation
    reduced_pde: Notation | None
    maximiser: tuple[Notation, ...]
    q_function: Notation | None
    advantage: Notation | None
    steps: tuple[Step, ...]
    policy: GibbsPolicy | None = None
    jump_differences: tuple[sp.Symbol, ...] = ()

    @property
    def maximise(self) -> bool:
        """Whether the controller maximises (the adversary then minimises)."""
        return self.problem.objective.sense == "maximize"

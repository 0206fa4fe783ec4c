"""Stage 2's result: a stochastic control problem in symbols, every name resolved, every shape checked.

`frontend.lower` makes it, `symbolic.derive` reads it. Everything is scalar: a vector state `x in R^3` contributes the
symbols `x[1], x[2], x[3]`, a matrix parameter is written out by entries, and a *scalar* parameter stays a symbol whose
number is in `values`. What the user wrote in vector notation survives in `notation`, for the eye only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import sympy as sp

from hjbdsl.errors import Diagnostic, Span
from hjbdsl.model.exact import with_numbers

TIME = sp.Symbol("t", real=True)
"""The clock, everywhere."""

Role = Literal["state", "control", "adversary"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """The set one component lives in. An interval from `lower` to `upper` (`-oo`, `oo` allowed; control bounds may
    depend on t and the states), or the finite set `points` when that is not empty, or a circle when `periodic`
    (then the interval is one period, [-pi, pi])."""

    lower: sp.Expr
    upper: sp.Expr
    lower_open: bool = True
    upper_open: bool = True
    points: tuple[sp.Expr, ...] = ()
    periodic: bool = False

    @property
    def is_finite_set(self) -> bool:
        return bool(self.points)


@dataclass(frozen=True, slots=True)
class VariableGroup:
    """A declared state, control or adversary. `shape` is () or (n,); `symbols` and `bounds` have one entry a component.

    Scalar `x` has the symbol `x`; component i of a vector is named `x[i]`, i from 1.
    """

    name: str
    role: Role
    shape: tuple[int, ...]
    symbols: tuple[sp.Symbol, ...]
    bounds: tuple[Bounds, ...]
    description: str | None
    span: Span


@dataclass(frozen=True, slots=True)
class Parameter:
    """A declared number or array. Scalars have a `symbol`; arrays have none and their `entries` (row major) are written
    into the expressions. `entries` may refer to the symbols of scalar parameters declared before."""

    name: str
    symbol: sp.Symbol | None
    shape: tuple[int, ...]
    entries: tuple[sp.Expr, ...]
    description: str | None
    span: Span


@dataclass(frozen=True, slots=True)
class ModeChain:
    """A continuous-time Markov chain: `rates[(i, j)]` is the rate from `labels[i]` to `labels[j]` (may depend on t and x)."""

    name: str
    labels: tuple[str, ...]
    rates: Mapping[tuple[int, int], sp.Expr]
    span: Span


@dataclass(frozen=True, slots=True)
class ModeParameter:
    """A symbol standing for something that depends on the mode, such as `mu(z)` or `z == good`:
    `values[i]` is its value in mode `labels[i]` of the chain number `chain`."""

    symbol: sp.Symbol
    chain: int
    values: tuple[sp.Expr, ...]


@dataclass(frozen=True, slots=True)
class Noise:
    """One scalar Brownian motion; components of `noise Z in R^m` are named `Z[i]`."""

    name: str
    group: str


LawKind = Literal["none", "discrete", "normal", "exponential", "uniform"]


@dataclass(frozen=True, slots=True)
class MarkLaw:
    """Law of a jump mark. `arguments`: normal (mean, variance); exponential (rate,); uniform (low, high);
    discrete: empty, with `atoms` = ((value, probability), ...); none: the jump has no mark."""

    kind: LawKind
    arguments: tuple[sp.Expr, ...] = ()
    atoms: tuple[tuple[sp.Expr, sp.Expr], ...] = ()


@dataclass(frozen=True, slots=True)
class Jump:
    """A Poisson process with intensity `rate(t, x, a)`; at a jump state i moves by `displacement[i]`, an expression in
    t, the states and controls before the jump, and the symbol `mark`."""

    name: str
    rate: sp.Expr
    mark: sp.Symbol | None
    law: MarkLaw
    displacement: Mapping[int, sp.Expr]
    span: Span


@dataclass(frozen=True, slots=True)
class StoppingRule:
    """`stopping tau in [0, latest]`, `latest` may be oo."""

    name: str
    latest: sp.Expr
    span: Span


@dataclass(frozen=True, slots=True)
class ExitRule:
    """`exit tau [in [0, latest]] when condition`: the process ends when `condition` (a sympy Boolean in the
    states) first holds."""

    name: str
    condition: sp.Basic
    latest: sp.Expr
    span: Span


ObjectiveForm = Literal["expectation", "average", "risk", "running_min", "running_max"]
Sense = Literal["maximize", "minimize", "evaluate"]


@dataclass(frozen=True, slots=True)
class Objective:
    """What is optimised, in current value: with D(t) = exp(-integral of `discount`),

    J = E[ integral D f dt + D(T) * terminal, or D(tau) * stop_value, or D(tau) * exit_value ].

    running      f(t, x, a), the reward rate (0 where the file has none); for running_min/max the quantity l(x)
    terminal     paid at `end`; None without a finite end
    stop_value   paid where the controller stops; exit_value: paid at first exit; None without such a rule
    discount     rate, may depend on t, x, a
    end          the finite horizon T, or oo
    risk         theta of `risk(theta)`: (1/theta) log E exp(theta*[...])
    stochastic   whether `E` was written
    """

    sense: Sense
    form: ObjectiveForm
    running: sp.Expr
    terminal: sp.Expr | None
    stop_value: sp.Expr | None
    exit_value: sp.Expr | None
    discount: sp.Expr
    end: sp.Expr
    risk: sp.Expr | None
    stochastic: bool
    span: Span


@dataclass(frozen=True, slots=True)
class Exploration:
    """`explore a with temperature lam [prior normal(mean, variance)]` on the components `controls` of one control."""

    controls: tuple[sp.Symbol, ...]
    temperature: sp.Expr
    prior: tuple[sp.Expr, sp.Expr] | None
    span: Span


@dataclass(frozen=True, slots=True)
class GaussianMixture:
    """Weights (sum 1), means (each n entries) and covariances (each n x n) of a data law; one component for `normal`."""

    weights: tuple[sp.Expr, ...]
    means: tuple[tuple[sp.Expr, ...], ...]
    covariances: tuple[sp.ImmutableMatrix, ...]


@dataclass(frozen=True, slots=True)
class DataFile:
    """Samples in a file, its path already resolved against the `.hjb` file."""

    path: str


@dataclass(frozen=True, slots=True)
class Reversal:
    """`data y(0) ~ law` with `reverse y on [0, T]`: `state` names the group; drift and diffusion of the problem are those of the
    *forward* process in forward time. `control` is the derived control u, one component per noise that enters."""

    state: str
    end: sp.Expr
    law: GaussianMixture | DataFile
    control: VariableGroup
    span: Span


@dataclass(frozen=True, slots=True)
class Constraint:
    """A sympy Boolean that must hold. `role` says on what: a joint constraint on controls, on the adversary, or on states."""

    condition: sp.Basic
    role: Role
    span: Span


BoundaryKind = Literal["value", "slope", "reflect", "outflow", "constrain"]


@dataclass(frozen=True, slots=True)
class BoundaryStatement:
    state: sp.Symbol
    location: sp.Expr
    kind: BoundaryKind
    amount: sp.Expr | None
    span: Span


@dataclass(frozen=True, slots=True)
class CheckStatement:
    """`check target[(point)] = expected tol tolerance`.

    target     "V", "average", or the name of a control or adversary group
    point      (component symbol or TIME) -> value, possibly empty
    modes      mode chain name -> label index fixed by the point
    expected   one entry a component of the target
    """

    target: str
    point: Mapping[sp.Symbol, sp.Expr]
    modes: Mapping[str, int]
    expected: tuple[sp.Expr, ...]
    tolerance: float
    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class SolveHint:
    method: str
    options: Mapping[str, float | str]
    span: Span


@dataclass(frozen=True, slots=True)
class Notation:
    """One expression as the user wrote it (vector notation kept), in plain text and in LaTeX."""

    text: str
    latex: str


@dataclass(frozen=True, slots=True)
class Source:
    """Where the problem came from. `files` maps every file read (includes too) to its lines; `digest` is a SHA-256 of
    their text, the overrides and the variant: the key of every cache. Files, `overrides` and `variant` make
    the problem again."""

    path: str
    files: Mapping[str, tuple[str, ...]]
    digest: str
    overrides: Mapping[str, str] = field(default_factory=dict)
    variant: str | None = None

    def line(self, span: Span) -> str:
        lines = self.files.get(span.file, ())
        return lines[span.line - 1] if 0 < span.line <= len(lines) else ""


@dataclass(frozen=True, slots=True)
class ControlProblem:
    """The whole problem.

    drift        one entry a state component (flattened in order of declaration), in current time t
    diffusion    {(i, k): coefficient of noise k in state i}, zero entries left out
    correlation  {(k, l): E[dW_k dW_l]/dt} for k < l, zero entries left out
    modes        chains; expressions hold the symbols of `mode_parameters`
    region       one (low, high) a state component, numbers; `region_written` says for which group the file states it
    values       scalar parameter symbol -> exact number
    notation     keys ("drift", "x"), ("diffusion", "x", "W"), ("jump", "x", "N"), ("running",), ("terminal",), ("stop",),
                 ("exit",), ("discount",), ("rate", "N"), ("objective",)
    origins      name -> where it is declared; also "dx" for a dynamics statement, "objective", "stopping", "exit", "discount"
    """

    name: str
    title: str | None
    source: Source
    parameters: tuple[Parameter, ...]
    values: Mapping[sp.Symbol, sp.Expr]
    states: tuple[VariableGroup, ...]
    controls: tuple[VariableGroup, ...]
    adversaries: tuple[VariableGroup, ...]
    constraints: tuple[Constraint, ...]
    noises: tuple[Noise, ...]
    correlation: Mapping[tuple[int, int], sp.Expr]
    jumps: tuple[Jump, ...]
    modes: tuple[ModeChain, ...]
    mode_parameters: tuple[ModeParameter, ...]
    drift: tuple[sp.Expr, ...]
    diffusion: Mapping[tuple[int, int], sp.Expr]
    objective: Objective
    stopping: StoppingRule | None
    exit: ExitRule | None
    exploration: Exploration | None
    reversal: Reversal | None
    boundaries: tuple[BoundaryStatement, ...]
    region: tuple[tuple[sp.Expr, sp.Expr], ...]
    region_written: frozenset[str]
    checks: tuple[CheckStatement, ...]
    hint: SolveHint | None
    notation: Mapping[tuple[str, ...], Notation]
    origins: Mapping[str, Span]
    warnings: tuple[Diagnostic, ...] = ()

    @property
    def state_symbols(self) -> tuple[sp.Symbol, ...]:
        return tuple(s for group in self.states for s in group.symbols)

    @property
    def state_bounds(self) -> tuple[Bounds, ...]:
        return tuple(b for group in self.states for b in group.bounds)

    @property
    def control_symbols(self) -> tuple[sp.Symbol, ...]:
        """Components of the controls, without the adversary's."""
        return tuple(s for group in self.controls for s in group.symbols)

    @property
    def adversary_symbols(self) -> tuple[sp.Symbol, ...]:
        return tuple(s for group in self.adversaries for s in group.symbols)

    @property
    def continuous_states(self) -> tuple[int, ...]:
        """Indices of the state components that live in a continuum."""
        return tuple(i for i, b in enumerate(self.state_bounds) if not b.is_finite_set)

    @property
    def lattice_states(self) -> tuple[int, ...]:
        """Indices of the state components that live in a finite set and move by jumps."""
        return tuple(i for i, b in enumerate(self.state_bounds) if b.is_finite_set)

    @property
    def dimension(self) -> int:
        return len(self.state_symbols)

    def mode_tuples(self) -> tuple[tuple[int, ...], ...]:
        """All joint modes, as label indices one a chain, last chain fastest; one empty tuple without modes."""
        result: tuple[tuple[int, ...], ...] = ((),)
        for chain in self.modes:
            result = tuple((*head, i) for head in result for i in range(len(chain.labels)))
        return result

    def at_mode(self, expression: sp.Basic, mode: tuple[int, ...]) -> sp.Basic:
        """`expression` with every mode parameter replaced by its value in the joint mode."""
        table = {p.symbol: p.values[mode[p.chain]] for p in self.mode_parameters}
        return expression.xreplace(table) if table else expression

    def numeric(self, expression: sp.Basic) -> sp.Basic:
        """`expression` with the exact numbers of the scalar parameters put in."""
        return with_numbers(expression, self.values)

"""The optimised Hamiltonian of a parametric value function: jumps, modes and lattice moves put in.

In: an equation and an ansatz V(x; theta). Out, at any points: V and its derivatives, and

    R = opt_a { f + b.p + 1/2 tr(A M) + sum_jumps rate E[V'(x + displacement) - V] + sum_modes rate (V' - V) - r V },

V' the ansatz at the discrete state where the jump leads. The finite-horizon equation is V_t + R = 0, the stationary one R = 0.
Points are arrays of P entries: `state` (P, n) with lattice states in their columns, `place` (P,) the discrete index;
coefficients `theta` (1 or P, D, K).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from hjbdsl.methods.closed_form.ansatz.basis import Ansatz
from hjbdsl.methods.closed_form.ansatz.discrete import DiscreteIndex, discrete_index
from hjbdsl.methods.closed_form.ansatz.exploration import NotApplicable, policy_spread, soft_hamiltonian
from hjbdsl.methods.closed_form.ansatz.transitions import Transition, transitions_of
from hjbdsl.methods.closed_form.family import Derivatives
from hjbdsl.model.equation import VALUE, HJBEquation
from hjbdsl.model.problem import TIME
from hjbdsl.model.solution import Array
from hjbdsl.numeric.compile import compile_expressions
from hjbdsl.numeric.control_set import ControlRegion
from hjbdsl.numeric.landing import landings
from hjbdsl.numeric.pointwise import Evaluation, optimise
from hjbdsl.symbolic.derivatives import jump_difference_symbols

ORDER = 32
"""Nodes for the marks of jumps."""

Environment = Mapping[sp.Symbol, Array]


class Kernel:
    """Compiled expressions that pick their arguments from an environment symbol -> array."""

    def __init__(self, expressions: Sequence[sp.Basic]):
        self.symbols = sorted(set().union(*(e.free_symbols for e in expressions)), key=str) if expressions else []
        self._function = compile_expressions(self.symbols, list(expressions)) if expressions else None

    def __call__(self, environment: Environment, shape: tuple[int, ...]) -> tuple[Array, ...]:
        if self._function is None:
            return ()
        results = self._function(*(environment[s] for s in self.symbols))
        return tuple(np.broadcast_to(r, np.broadcast_shapes(r.shape, shape)) for r in results)


@dataclass(frozen=True, slots=True)
class Points:
    time: Array
    state: Array
    place: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Optimised:
    """R (P,), the optimal controls (P, m), the size of the largest term (P,), and whether an optimum was found (P,)."""

    rate: Array
    control: Array
    scale: Array
    found: NDArray[np.bool_]


class Hamiltonian:
    """Compiled once for an equation and an ansatz."""

    def __init__(self, equation: HJBEquation, ansatz: Ansatz, order: int = ORDER):
        problem = equation.problem
        self.equation, self.ansatz, self.order = equation, ansatz, order
        self.index: DiscreteIndex = discrete_index(problem)
        self.controls = (*problem.control_symbols, *problem.adversary_symbols)
        numeric = problem.numeric
        states = [problem.state_symbols[i] for i in problem.continuous_states]
        value = numeric(ansatz.expression)
        first = {i: sp.diff(value, problem.state_symbols[i]) for i in problem.continuous_states}
        pairs = [(i, j) for a, i in enumerate(problem.continuous_states) for j in problem.continuous_states[a:]]
        self._pairs = pairs
        second = [sp.diff(first[i], problem.state_symbols[j]) for i, j in pairs]
        self._value = Kernel([value, *(first[i] for i in problem.continuous_states), *second])
        self._ruin = Kernel([states[0] + ansatz.shift] if ansatz.shift is not None else [])
        self._sensitivity = Kernel([numeric(ansatz.weight), *(sp.diff(value, k) for k in ansatz.unknowns)])
        self.transitions: tuple[Transition, ...] = transitions_of(problem, self.index, ansatz, states, order)
        hamiltonian = equation.hamiltonian if equation.entropy is None else soft_hamiltonian(equation, self.transitions)
        self._local = numeric(hamiltonian - problem.objective.discount * VALUE)
        self._terms = Kernel(
            [self._local, numeric(problem.objective.discount) * VALUE, numeric(problem.objective.running)]
            + [t.integrand for t in self.transitions if not t.marked]
        )
        self._marked = [(t, Kernel([t.integrand])) for t in self.transitions if t.marked]
        self._candidates = self._compile_candidates()
        used = {s for kernel, _ in self._candidates for s in kernel.symbols}
        self._differences = [
            (symbol, transition, Kernel([transition.difference]))
            for symbol, transition in zip(jump_difference_symbols(problem), self.transitions, strict=False)
            if symbol in used and transition.difference is not None
        ]
        self._landings = Kernel([landing.guarded(landing.excess, -sp.S.One) for landing in landings(problem)])
        if ansatz.shift is not None and any(set(jump.displacement) & set(problem.continuous_states) for jump in problem.jumps):
            raise NotApplicable("a jump may carry wealth below the level that the shift stands for")
        self._spread: Kernel | None = None
        self._objective: _Objective | None = None
        self._region: ControlRegion | None = None
        if self.controls and not self._candidates:
            if problem.adversary_symbols:
                raise NotApplicable("the saddle point of the game has no formula")
            self._objective = _Objective(self)
            self._region = ControlRegion(problem)

    def spread(self, environment: Environment, count: int) -> Array | None:
        """Standard deviations of the controls (P, m) under a random policy, None where nothing is explored."""
        if self.equation.entropy is None:
            return None
        if self._spread is None:
            self._spread = Kernel(policy_spread(self.equation))
        return np.stack(self._spread(environment, (count,)), axis=1)

    @property
    def implicit(self) -> bool:
        """Whether the optimum is found numerically, point by point."""
        return self._objective is not None

    def _compile_candidates(self) -> list[tuple[Kernel, list[str]]]:
        optimum, problem = self.equation.optimum, self.equation.problem
        if optimum.status != "symbolic":
            return []
        return [
            (Kernel([*(problem.numeric(c.controls[a]) for a in self.controls), problem.numeric(c.where)]), [c.name])
            for c in optimum.candidates
        ]

    # ------------------------------------------------------------------------------------------ evaluation

    def environment(self, points: Points, theta: Array) -> dict[sp.Symbol, Array]:
        """Everything but controls: t, states, mode parameters, own coefficients, V, p, M."""
        problem = self.equation.problem
        environment: dict[sp.Symbol, Array] = {TIME: points.time}
        environment |= {s: points.state[:, i] for i, s in enumerate(problem.state_symbols)}
        environment |= {p.symbol: self.index.mode_parameters[points.place, i] for i, p in enumerate(problem.mode_parameters)}
        rows = np.zeros(len(points.place), dtype=np.int64) if len(theta) == 1 else np.arange(len(points.place))
        own = theta[rows, points.place]
        environment |= {s: own[:, k] for k, s in enumerate(self.ansatz.unknowns)}
        for transition in self.transitions:
            target = transition.target[points.place]
            active = (target >= 0).astype(float)
            coefficients = theta[rows, np.where(target >= 0, target, points.place)]
            environment |= {s: coefficients[:, k] for k, s in enumerate(transition.unknowns)}
            environment[transition.intensity] = active * transition.rates[points.place]
        derivatives = self.derivatives(environment, len(points.place))
        environment[VALUE] = derivatives.value
        environment |= {s: derivatives.gradient[:, i] for i, s in enumerate(self.equation.gradient)}
        environment |= {s: derivatives.hessian[:, i, j] for (i, j), s in self.equation.hessian.items()}
        for symbol, transition, kernel in self._differences:
            average = transition.average if transition.marked else _plain
            environment[symbol] = average(kernel, environment, len(points.place))
        return environment

    def derivatives(self, environment: Environment, count: int) -> Derivatives:
        problem = self.equation.problem
        n = problem.dimension
        values = self._value(environment, (count,))
        gradient, hessian = np.zeros((count, n)), np.zeros((count, n, n))
        for column, i in zip(values[1:], problem.continuous_states, strict=False):
            gradient[:, i] = column
        for column, (i, j) in zip(values[1 + len(problem.continuous_states) :], self._pairs, strict=True):
            hessian[:, i, j] = hessian[:, j, i] = column
        value = np.array(values[0])
        for beyond in self._ruin(environment, (count,)):  # an even power would be finite there too
            value[beyond <= 0] = gradient[beyond <= 0] = hessian[beyond <= 0] = np.nan
        return Derivatives(value, np.zeros(count), gradient, hessian)

    def sensitivity(self, environment: Environment, count: int) -> tuple[Array, Array]:
        """Row weights (P,) and dV/dtheta (P, K)."""
        weight, *columns = self._sensitivity(environment, (count,))
        return weight, np.stack(columns, axis=1)

    def optimised(self, points: Points, theta: Array, start: Array | None = None) -> tuple[Optimised, dict[sp.Symbol, Array]]:
        environment = self.environment(points, theta)
        count = len(points.place)
        if not self.controls:
            rate, scale = self.rate(environment, count)
            found = np.isfinite(rate) & self._lands_inside(environment, points)
            return Optimised(rate, np.zeros((count, 0)), scale, found), environment
        if self._candidates:
            best = self._best_candidate(environment, count)
            full = environment | {s: best.control[:, k] for k, s in enumerate(self.controls)}
            return replace(best, found=best.found & self._lands_inside(full, points)), environment
        assert self._objective is not None
        assert self._region is not None
        sense = 1.0 if self.equation.maximise else -1.0
        result = optimise(self._objective.bind(environment), self._region.at(environment, count), sense, start)
        full = environment | {s: result.control[:, k] for k, s in enumerate(self.controls)}
        rate, scale = self.rate(full, count)
        found = result.converged & np.isfinite(rate) & self._lands_inside(full, points)
        return Optimised(rate, result.control, scale, found), full

    def _lands_inside(self, environment: Environment, points: Points) -> NDArray[np.bool_]:
        """Whether every mark of every jump leaves the states in their domains, (P,)."""
        inside = np.ones(len(points.place), dtype=bool)
        size = 1e-9 * (1 + np.abs(points.state).max(axis=1, initial=0.0))
        for excess in self._landings(environment, inside.shape):
            inside &= excess <= size
        return inside

    def _best_candidate(self, environment: dict[sp.Symbol, Array], count: int) -> Optimised:
        best = np.full(count, np.nan)
        scale, control = np.ones(count), np.full((count, len(self.controls)), np.nan)
        for kernel, _ in self._candidates:
            *columns, where = kernel(environment, (count,))
            trial = np.stack(columns, axis=1)
            rate, size = self.rate(environment | {s: trial[:, k] for k, s in enumerate(self.controls)}, count)
            take = (where > 0.5) & np.isfinite(rate) & np.isnan(best)
            best, scale = np.where(take, rate, best), np.where(take, size, scale)
            control = np.where(take[:, None], trial, control)
        return Optimised(best, control, scale, np.isfinite(best))

    def rate(self, environment: Environment, count: int) -> tuple[Array, Array]:
        """R at given controls, and the size of its largest term (the yardstick of rounding)."""
        local, *others = self._terms(environment, (count,))
        total, scale = local.copy(), np.maximum(np.abs(local), np.maximum.reduce([np.abs(o) for o in others[:2]]))
        for term in others[2:]:
            total = total + term
            scale = np.maximum(scale, np.abs(term))
        for transition, kernel in self._marked:
            term = transition.average(kernel, environment, count)
            total = total + term
            scale = np.maximum(scale, np.abs(term))
        return total, scale


class _Objective:
    """R as a function of the continuous controls with gradient and Hessian, for the pointwise optimiser."""

    def __init__(self, hamiltonian: Hamiltonian):
        self.controls = hamiltonian.controls
        self.parts: list[tuple[Transition | None, Kernel]] = []
        plain = hamiltonian._local + sum(t.integrand for t in hamiltonian.transitions if not t.marked)
        self.parts.append((None, Kernel(_with_derivatives(plain, self.controls))))
        for transition in hamiltonian.transitions:
            if transition.marked:
                self.parts.append((transition, Kernel(_with_derivatives(transition.integrand, self.controls))))

    def bind(self, environment: dict[sp.Symbol, Array]) -> Callable[[Array, NDArray[np.int64]], Evaluation]:
        def evaluate(control: Array, rows: NDArray[np.int64]) -> Evaluation:
            local = {s: v[rows] for s, v in environment.items()}
            local |= {s: control[:, k] for k, s in enumerate(self.controls)}
            count, m = len(rows), len(self.controls)
            total = np.zeros((1 + m + m * (m + 1) // 2, count))
            for transition, kernel in self.parts:
                values = kernel(local, (count,)) if transition is None else transition.averages(kernel, local, count)
                total = total + np.stack(values)
            hessian = np.zeros((count, m, m))
            upper = np.triu_indices(m)
            hessian[:, upper[0], upper[1]] = total[1 + m :].T
            hessian[:, upper[1], upper[0]] = total[1 + m :].T
            return Evaluation(total[0], total[1 : 1 + m].T, hessian)

        return evaluate


def _plain(kernel: Kernel, environment: Environment, count: int) -> Array:
    return kernel(environment, (count,))[0]


def _with_derivatives(expression: sp.Expr, controls: Sequence[sp.Symbol]) -> list[sp.Expr]:
    gradient = [sp.diff(expression, a) for a in controls]
    hessian = [sp.diff(gradient[i], controls[j]) for i in range(len(controls)) for j in range(i, len(controls))]
    return [expression, *gradient, *hessian]

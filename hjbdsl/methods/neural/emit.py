"""From the derived equation to the text of a torch program: its coefficients and its maximiser on batched tensors.

In: an `HJBEquation`. Out: source text (template `neural_program.py.j2`). Raises `UnsupportedInTorch` with what it cannot write.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sympy as sp

from hjbdsl.codegen.templating import template
from hjbdsl.codegen.torch_batched import Places, UnsupportedInTorch, Writer
from hjbdsl.model.equation import VALUE, HJBEquation
from hjbdsl.model.problem import TIME, Bounds, ControlProblem
from hjbdsl.numeric.marks import mark_quadrature

MARK_ORDER = 12
DENSE_LOADING = 4096
"""Entries of the loading matrix up to which it is written out; above, only its product with a vector is."""

WRITTEN_DERIVATIVES = 6
"""States up to which the derivatives of the terminal payoff are written out."""

_KINKS = (sp.Piecewise, sp.Max, sp.Min, sp.Abs, sp.sign, sp.Heaviside, sp.floor, sp.ceiling)


_PLAIN, _CONTROLLED = "t, x, z", "t, x, z, a"
_DERIVATIVES = "t, x, z, V, p, M, q"


@dataclass(frozen=True, slots=True)
class Function:
    """One function of the generated program."""

    name: str
    arguments: str
    meaning: str
    lines: tuple[str, ...]
    result: str


class Emitter:
    """Collects the functions and tables of one equation."""

    def __init__(self, equation: HJBEquation):
        self.equation, self.problem = equation, equation.problem
        self.controls = self.problem.control_symbols + self.problem.adversary_symbols
        self.loading = loading(self.problem)
        self.noises = tuple(sp.Symbol(f"dW[{k + 1}]", real=True) for k in range(len(self.problem.noises)))
        self.constants: list[tuple[str, str]] = []
        self.functions: list[Function] = []
        self.places = self._places()

    def _places(self) -> Places:
        equation, problem = self.equation, self.problem
        blocks = {"x": problem.state_symbols, "a": self.controls, "p": equation.gradient, "w": self.noises,
                  "q": equation.jump_differences}  # fmt: skip
        columns = {symbol: (name, i) for name, block in blocks.items() for i, symbol in enumerate(block)}
        scalars = {TIME: "t", VALUE: "V"}
        scalars |= {symbol: f"M[..., {i}, {j}]" for (i, j), symbol in equation.hessian.items()}
        scalars |= {parameter.symbol: f"mode_{k}" for k, parameter in enumerate(problem.mode_parameters)}
        scalars |= {jump.mark: "mark" for jump in problem.jumps if jump.mark is not None}
        return Places(scalars, columns, {name: len(block) for name, block in blocks.items()})

    # ------------------------------------------------------------------------------------------ functions

    def scalar(self, name: str, arguments: str, meaning: str, expression: sp.Basic) -> None:
        writer = self._writer(name, [expression])
        (text,) = writer.scalars([self.prepared(expression)])
        self._finish(name, arguments, meaning, writer, f"spread({text}, like)")

    def vector(self, name: str, arguments: str, meaning: str, expressions: Sequence[sp.Basic]) -> None:
        writer = self._writer(name, expressions)
        result = writer.vector([self.prepared(e) for e in expressions])
        self._finish(name, arguments, meaning, writer, result)

    def texts(self, name: str, arguments: str, meaning: str, expressions: Sequence[sp.Basic], result: str) -> None:
        """A function whose result is `result` with `{}` in place of the list of the expressions' texts."""
        writer = self._writer(name, expressions)
        texts = writer.scalars([self.prepared(e) for e in expressions])
        self._finish(name, arguments, meaning, writer, result.format(", ".join(texts)))

    def prepared(self, expression: sp.Basic) -> sp.Basic:
        """An expression as it is written: parameters are numbers."""
        return self.problem.numeric(sp.sympify(expression))

    def _writer(self, prefix: str, expressions: Sequence[sp.Basic]) -> Writer:
        writer = Writer(self.places, prefix.upper())
        used: set[sp.Symbol] = set().union(*(sp.sympify(e).free_symbols for e in expressions)) if expressions else set()
        for k, parameter in enumerate(self.problem.mode_parameters):
            if parameter.symbol in used:
                writer.lines.append(f"mode_{k} = {self._mode_value(k)}")
        return writer

    def _mode_value(self, number: int) -> str:
        parameter = self.problem.mode_parameters[number]
        values = [self.problem.numeric(parameter.values[mode[parameter.chain]]) for mode in self.problem.mode_tuples()]
        if not all(value.is_number or value in (sp.true, sp.false) for value in values):
            raise UnsupportedInTorch(f"the parameter `{parameter.symbol}`, which depends on more than the mode,")
        if all(value in (sp.true, sp.false) for value in values):
            return f"torch.as_tensor({[bool(v) for v in values]}, device=z.device)[z]"
        return f"constant({[float(v) for v in values]}, like)[z]"

    def _finish(self, name: str, arguments: str, meaning: str, writer: Writer, result: str) -> None:
        self.constants += writer.constants
        self.functions.append(Function(name, arguments, meaning, tuple(writer.lines), result))


def loading(problem: ControlProblem) -> dict[tuple[int, int], sp.Expr]:
    """Coefficients of independent Brownian motions: the diffusion matrix times the Cholesky factor of the correlation."""
    count = len(problem.noises)
    if not problem.correlation:
        return dict(problem.diffusion)
    correlation = sp.eye(count).as_mutable()
    for (k, m), rho in problem.correlation.items():
        correlation[k, m] = correlation[m, k] = rho
    factor: dict[tuple[int, int], sp.Expr] = {}
    for k in range(count):
        for m in range(k + 1):
            overlap = correlation[k, m] - sp.Add(*(factor[k, j] * factor[m, j] for j in range(m)))
            factor[k, m] = sp.sqrt(sp.Max(overlap, 0)) if k == m else _quotient(overlap, factor[m, m])
    result: dict[tuple[int, int], sp.Expr] = {}
    for (i, k), coefficient in problem.diffusion.items():
        for m in range(k + 1):
            if factor[k, m] != 0:
                result[i, m] = result.get((i, m), sp.S.Zero) + coefficient * factor[k, m]
    return result


def _quotient(numerator: sp.Expr, denominator: sp.Expr) -> sp.Expr:
    """0 where the denominator vanishes: noises that are perfectly correlated."""
    if numerator == 0 or denominator == 0:
        return sp.S.Zero
    return numerator / denominator


def source(equation: HJBEquation) -> str:
    """The program's text."""
    emitter = Emitter(equation)
    problem, objective = emitter.problem, emitter.problem.objective
    running = objective.running if objective.form in ("expectation", "average", "risk") else sp.S.Zero
    emitter.vector("drift", _CONTROLLED, "b (batch, n).", problem.drift)
    by_state = [
        sp.Add(*(c * emitter.noises[k] for (j, k), c in emitter.loading.items() if j == i)) for i in range(problem.dimension)
    ]
    emitter.vector("noise", "t, x, z, a, w", "S w (batch, n) for increments w (batch, noises) of independent Brownian motions.",
                   by_state)  # fmt: skip
    size = problem.dimension * len(problem.noises)
    if 0 < size <= DENSE_LOADING:
        entries = [emitter.loading.get((i, k), sp.S.Zero) for i in range(problem.dimension) for k in range(len(problem.noises))]
        shape = f"columns(like, [{{}}]).unflatten(-1, ({problem.dimension}, {len(problem.noises)}))"
        emitter.texts("diffusion", _CONTROLLED, "S (batch, n, noises), for independent Brownian motions.", entries, shape)
    emitter.scalar("running", _CONTROLLED, "f, the reward rate.", running)
    emitter.scalar(
        "discount", _CONTROLLED, "r, the discount rate.", sp.S.Zero if objective.form == "average" else objective.discount
    )
    _ends(emitter)
    _choices(emitter)
    jumps = _jumps(emitter)
    return template("neural_program.py.j2").render(
        name=problem.name, pde=equation.pde.text.replace("\n", "\n    "), states=problem.dimension,
        state_names=_listed(problem.state_symbols), controls=len(emitter.controls), control_names=_listed(emitter.controls),
        noises=len(problem.noises), modes=len(problem.mode_tuples()), jumps=jumps, sense=1.0 if equation.maximise else -1.0,
        branches=equation.optimum.candidates, constants=emitter.constants, functions=emitter.functions,
    )  # fmt: skip


def smooth_end(problem: ControlProblem) -> bool:
    """Whether there is a terminal payoff without kinks, so that a network can have it built in."""
    terminal = problem.objective.terminal
    return terminal is not None and not problem.numeric(terminal).atoms(*_KINKS)


def _listed(symbols: Sequence[sp.Symbol]) -> str:
    names = [s.name for s in symbols]
    return ", ".join(names if len(names) <= 6 else [*names[:2], "...", names[-1]]) or "none"


def _ends(emitter: Emitter) -> None:
    problem = emitter.problem
    objective = problem.objective
    ends = (
        ("terminal", "g, paid at the end.", objective.terminal),
        ("stop_value", "Paid where the controller stops.", objective.stop_value),
        ("exit_value", "Paid at first exit.", objective.exit_value),
    )
    for name, meaning, expression in ends:
        if expression is not None:
            emitter.scalar(name, _PLAIN, meaning, expression)
    if smooth_end(problem) and problem.dimension <= WRITTEN_DERIVATIVES:
        g, states = problem.numeric(objective.terminal), problem.state_symbols
        emitter.vector("terminal_gradient", _PLAIN, "Gradient of g.", [sp.diff(g, x) for x in states])
        second = [sp.diff(g, x, y) for x in states for y in states]
        shape = f"columns(like, [{{}}]).unflatten(-1, ({len(states)}, {len(states)}))"
        emitter.texts("terminal_hessian", _PLAIN, "Hessian of g.", second, shape)
    if problem.exit is not None:
        emitter.scalar("exited", _PLAIN, "1 where the process has ended.", sp.Piecewise((1, problem.exit.condition), (0, True)))


def _choices(emitter: Emitter) -> None:
    """Bounds of the controls, and one function a candidate: whether it is the optimiser, and its controls."""
    bounds: list[Bounds] = [b for g in (*emitter.problem.controls, *emitter.problem.adversaries) for b in g.bounds]
    emitter.vector("lowest", _PLAIN, "Lower bounds of the controls.", [min(b.points) if b.points else b.lower for b in bounds])
    emitter.vector("highest", _PLAIN, "Upper bounds of the controls.", [max(b.points) if b.points else b.upper for b in bounds])
    for k, candidate in enumerate(emitter.equation.optimum.candidates):
        controls: Mapping[sp.Symbol, sp.Expr] = candidate.controls
        emitter.vector(f"candidate_{k}", _DERIVATIVES, f"Controls: {candidate.name}.", [controls[c] for c in emitter.controls])
        where = sp.And(candidate.where, *emitter.equation.optimum.second_order) if k == 0 else candidate.where
        emitter.scalar(
            f"valid_{k}", _DERIVATIVES, "1 where this candidate is the optimiser.", sp.Piecewise((1, where), (0, True))
        )


def _jumps(emitter: Emitter) -> list[dict[str, str]]:
    """Rates, displacements and mark quadratures of jumps; switching rates of modes."""
    problem, result = emitter.problem, []
    for k, jump in enumerate(problem.jumps):
        quadrature = mark_quadrature(jump.law, problem.values, MARK_ORDER)
        emitter.scalar(f"rate_{k}", _CONTROLLED, f"Intensity of {jump.name}.", jump.rate)
        moves = [jump.displacement.get(i, sp.S.Zero) for i in range(problem.dimension)]
        emitter.vector(f"move_{k}", "t, x, z, a, mark", f"Displacement at a jump of {jump.name}.", moves)
        result.append({"marks": repr(quadrature.nodes.tolist()), "weights": repr(quadrature.weights.tolist())})
    if problem.modes:
        modes = problem.mode_tuples()
        pairs = {}
        for s, mode in enumerate(modes):
            for number, chain in enumerate(problem.modes):
                for (origin, target), rate in chain.rates.items():
                    if origin == mode[number]:
                        reached = (*mode[:number], target, *mode[number + 1 :])
                        pairs[s, modes.index(reached)] = problem.at_mode(rate, mode)
        entries = [pairs.get((s, u), sp.S.Zero) for s in range(len(modes)) for u in range(len(modes))]
        emitter.texts("mode_rates", _PLAIN, "Rates from every joint mode to every other (batch, modes, modes).", entries,
                      f"columns(like, [{{}}]).unflatten(-1, ({len(modes)}, {len(modes)}))")  # fmt: skip
    return result

"""The file's formulas as lines of the generated program.

In: expressions of the equation. Out: Python text over the program's own variables: x0.. for the continuous states, a0.. for the
controls, s for the joint discrete state, p0.. and M00.. for the derivatives of V.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sympy as sp

from hjbdsl.codegen.scalar import assignments, identifier
from hjbdsl.codegen.templating import own_names
from hjbdsl.methods.grid.soft import Soft
from hjbdsl.model.equation import VALUE, HJBEquation
from hjbdsl.model.problem import TIME, ControlProblem

_OWN_NAMES = re.compile(
    r"([abcdeghknpquxyzABCDGMX]|up|down|ahead|behind|after|before|centre|low|high|best|width|start|left|right|bl|br|speed|to|"
    r"forward|backward|known_up|"
    r"known_down|axial|side_|jump_|q\d)\d+|[cdefgjkrstuVHMB]|here|mark|marks|mark_weights|target|rate|row|position|ended|bounds|terminal|"
    r"obstacle|candidate|admissible|coefficients|exit_value|sweep|assemble|optimise|hamiltonian|entry|leap_row|cross_row|repeated|"
    r"node_data|show|shown|softened|stepped|fold|fixed_row|mode_rate|discounts|other|gibbs_\w+|policy_\w+|mean_\w+|selling|jump_difference_\d+|exit_fraction|axis_weights|prange|njit|kind|side|step|front|chosen|weno|biased|extend|padded|costly|flow|larger|GHOSTS|LANES|EXACT|rates|fastest|fresh|total|count|constant|weights|cols|"
    r"work|base|"
    r"offsets|own|mine|theirs|worst|value|weight|found|policy|totals|counts|constants|failures|gone|edges|mesh|extras|nodes|"
    r"WIDTH|LEAST_FURTHER|MOST_FURTHER|further|MODES|SENSE|CONTROLS|PLAYERS|DIMENSION|CANDIDATES|IDLE|FIRST_FIXED|NOISY|DIRECT|AVERAGED|UNAVERAGED|WRAP|MIRROR|OPEN|CONSTRAIN|WALL|JOINT|(TABLE|LATTICE|LEAST|MOST)_\d+|w\d+"
)


@dataclass(frozen=True, slots=True)
class DiscreteStates:
    """The joint discrete index s: `labels[s]` = (joint mode, values of the lattice states)."""

    labels: tuple[tuple[tuple[int, ...], tuple[sp.Expr, ...]], ...]

    @staticmethod
    def of(problem: ControlProblem) -> DiscreteStates:
        lattices = [problem.state_bounds[i].points for i in problem.lattice_states]
        values = list(itertools.product(*lattices)) if lattices else [()]
        return DiscreteStates(tuple((mode, value) for mode in problem.mode_tuples() for value in values))


def spelled(name: str) -> str:
    """The user's name in the generated program, kept apart from the program's own names."""
    text = identifier(name)
    return text + "_" if _OWN_NAMES.fullmatch(text) or text in own_names("grid_") else text


def _apart(names: Iterable[str]) -> list[str]:
    """Spellings of different names that differ: `x[1]` beside `x_1`, `lambda` beside `lambda_`."""
    found: list[str] = []
    for name in names:
        text = spelled(name)
        while text in found:
            text += "_"
        found.append(text)
    return found


class Emitter:
    """Collects the template's context for one equation."""

    def __init__(self, equation: HJBEquation, soft: Soft | None = None):
        self.equation, self.soft = equation, soft
        self.problem = problem = equation.problem
        self.axes = problem.continuous_states
        self.discrete = DiscreteStates.of(problem)
        self.controls = problem.control_symbols + problem.adversary_symbols
        everything = problem.state_symbols + self.controls + tuple(problem.values)
        by_mode = [re.sub(r"\W+", "_", parameter.symbol.name).strip("_") + "_now" for parameter in problem.mode_parameters]
        spellings = _apart([*(symbol.name for symbol in everything), *by_mode])
        self.names: dict[sp.Symbol, str] = dict(zip(everything, spellings, strict=False))
        self.names[TIME] = "t"
        self.names[VALUE] = "V"
        for i, axis in enumerate(self.axes):
            self.names[equation.gradient[axis]] = f"p{i}"
        for (a, b), symbol in equation.hessian.items():
            i, j = sorted((self.axes.index(a), self.axes.index(b)))
            self.names[symbol] = f"M{i}{j}"
        for k, symbol in enumerate(equation.jump_differences):
            self.names[symbol] = f"D{k}"
        for parameter, text in zip(problem.mode_parameters, spellings[len(everything) :], strict=True):
            self.names[parameter.symbol] = text

    def lines(self, expressions: Sequence[sp.Basic], controls: bool = False) -> tuple[list[str], list[str]]:
        """(preparation, results)."""
        expressions = [sp.sympify(e) for e in expressions]
        free: set[sp.Symbol] = set().union(*(e.free_symbols for e in expressions))
        for parameter in self.problem.mode_parameters:
            if parameter.symbol in free:
                free |= set().union(*(sp.sympify(v).free_symbols for v in parameter.values))
        shared, results = assignments(expressions, self.names)
        return self.unpack(free, controls) + shared, results

    def print(self, expressions: Sequence[sp.Basic]) -> tuple[list[str], list[str]]:
        return assignments(expressions, self.names)

    def unpack(self, free: set[sp.Symbol], controls: bool) -> list[str]:
        lines = []
        for i, axis in enumerate(self.axes):
            symbol = self.problem.state_symbols[axis]
            if symbol in free and self.names[symbol] != f"x{i}":
                lines.append(f"{self.names[symbol]} = x{i}")
        for k, axis in enumerate(self.problem.lattice_states):
            symbol = self.problem.state_symbols[axis]
            if symbol in free:
                lines.append(f"{self.names[symbol]} = LATTICE_{k}[s]")
        if controls:
            lines += [f"{self.names[symbol]} = a{c}" for c, symbol in enumerate(self.controls) if symbol in free]
        if self.soft is not None and not free.isdisjoint(self.soft.symbols):
            arguments = ["t", *(f"x{i}" for i in range(len(self.axes))), "s", *(f"a{c}" for c in range(len(self.controls)))]
            means = ", ".join(symbol.name if symbol in free else "_" for symbol in self.soft.symbols)
            lines.append(f"{means} = softened({', '.join(arguments)})")
        for number, parameter in enumerate(self.problem.mode_parameters):
            if parameter.symbol in free:
                lines.append(f"{self.names[parameter.symbol]} = {self.mode_value(number)}")
        return lines

    def mode_value(self, number: int) -> str:
        parameter = self.problem.mode_parameters[number]
        if all(self.problem.numeric(value).is_number for value in parameter.values):
            return f"TABLE_{number}[s]"
        text = "math.nan"
        for s, (mode, _) in reversed(list(enumerate(self.discrete.labels))):
            text = f"({self.print([parameter.values[mode[parameter.chain]]])[1][0]} if s == {s} else {text})"
        return text

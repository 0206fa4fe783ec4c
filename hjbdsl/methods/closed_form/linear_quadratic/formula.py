"""The answer as a formula: in letters for one state with constant coefficients, with numbers in it for more.

In: problem, arrays and solved function. Out: expressions for the symbolic proof (where there are letters) and `Formula` for
the reader.

One state: with completed costs the Riccati equation is  P' = Q - h P - g P^2  in time-to-go s, so with D = sqrt(h^2 + 4 g Q)
    stationary      P = (D - h)/(2 g)
    finite horizon  P = (P_T D + (2 Q - h P_T) tanh(D s/2)) / (D + (h + 2 g P_T) tanh(D s/2)).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import sympy as sp

from hjbdsl.budget import BudgetExceeded, time_budget
from hjbdsl.methods.closed_form.linear_quadratic.coefficients import LinearQuadratic
from hjbdsl.methods.closed_form.linear_quadratic.function import StationaryQuadratic, TimeQuadratic
from hjbdsl.methods.closed_form.linear_quadratic.scalar import ScalarSolution, scalar_solution
from hjbdsl.methods.closed_form.notation import unused_symbol, written
from hjbdsl.model.problem import TIME, ControlProblem, Notation
from hjbdsl.model.solution import Formula
from hjbdsl.numeric.compile import compile_expressions

_SECONDS = 1.0
_AGREEMENT = 1e-9
_WIDEST = 6
"""With more states the matrix is left out of the text; the numbers are in the function."""

Quadratic = StationaryQuadratic | TimeQuadratic


@dataclass(frozen=True, slots=True)
class SymbolicAnswer:
    """`value` and `controls` by joint mode, with the definitions put in; `scalar` keeps the letters for the reader."""

    value: Mapping[tuple[int, ...], sp.Expr]
    controls: Mapping[tuple[int, ...], Mapping[sp.Symbol, sp.Expr]]
    average: sp.Expr | None
    scalar: ScalarSolution


def scalar_formula(problem: ControlProblem, quadratic: LinearQuadratic, function: Quadratic) -> SymbolicAnswer | None:
    """The formula in letters; None where there is none, or where it does not agree with the solved function."""
    try:
        with time_budget(_SECONDS):
            scalar = scalar_solution(problem, quadratic)
    except BudgetExceeded:
        return None
    if scalar is None:
        return None
    mode = problem.mode_tuples()[0]
    value = scalar.expand(scalar.value)
    controls = {s: scalar.expand(e) for s, e in scalar.controls.items()}
    average = None if scalar.average is None else scalar.expand(scalar.average)
    answer = SymbolicAnswer({mode: value}, {mode: controls}, average, scalar)
    return answer if _agrees(problem, answer, function) else None


def _agrees(problem: ControlProblem, answer: SymbolicAnswer, function: Quadratic) -> bool:
    """The letters must give the solved numbers: this is where a wrong root would show."""
    mode = problem.mode_tuples()[0]
    symbols = (*problem.control_symbols, *problem.adversary_symbols)
    expressions = [answer.value[mode], *(answer.controls[mode][s] for s in symbols)]
    times = np.linspace(0.0, function.trajectory.horizon, 7) if isinstance(function, TimeQuadratic) else np.zeros(7)
    x = np.linspace(-1.3, 1.7, 7)
    point = function.evaluate(times, x[:, None], np.zeros(7, dtype=np.int64))
    from_letters = compile_expressions((TIME, problem.state_symbols[0]), [problem.numeric(e) for e in expressions])(times, x)
    pairs = zip(from_letters, (point.value, *point.control.T), strict=True)
    return all(np.all(np.abs(a - b) <= _AGREEMENT * (1 + np.abs(b))) for a, b in pairs)


def presented(
    problem: ControlProblem, quadratic: LinearQuadratic, function: Quadratic, answer: SymbolicAnswer | None
) -> Formula | None:
    """The formula for the reader."""
    if answer is not None:
        return _in_letters(problem, answer.scalar)
    return (
        _in_numbers(problem, quadratic, function)
        if isinstance(function, StationaryQuadratic)
        else _in_time(problem, quadratic, function)
    )


def _in_letters(problem: ControlProblem, scalar: ScalarSolution) -> Formula:
    symbols = (*problem.control_symbols, *problem.adversary_symbols)
    controls = _by_group(problem, [scalar.controls[s] for s in symbols], "")
    conditions = tuple((_positive(c), float(problem.numeric(scalar.expand(c)))) for c in scalar.conditions)
    return Formula({"V": written(scalar.value)}, controls, _definitions(problem, scalar), conditions)


def _positive(condition: sp.Basic) -> Notation:
    left = written(condition)
    return Notation(f"{left.text} > 0", f"{left.latex} > 0")


def _definitions(problem: ControlProblem, scalar: ScalarSolution) -> tuple[tuple[Notation, Notation, float], ...]:
    at_zero = {TIME: sp.S.Zero}
    result = []
    for letter, meaning in scalar.definitions:
        number = sp.sympify(problem.numeric(scalar.expand(meaning))).xreplace(at_zero)
        result.append((written(letter), written(meaning), float(number)))
    return tuple(result)


def _groups(problem: ControlProblem) -> tuple:
    return (*problem.controls, *problem.adversaries)


def _in_numbers(problem: ControlProblem, quadratic: LinearQuadratic, function: StationaryQuadratic) -> Formula | None:
    """V with rounded numbers, by mode: written out for a few states."""
    if quadratic.states > _WIDEST:
        return None
    values: dict[str, Notation] = {}
    controls: dict[str, Notation] = {}
    symbols = (sp.S.One, *problem.state_symbols)
    for z, mode in enumerate(problem.mode_tuples()):
        suffix = _suffix(problem, mode)
        values[f"V{suffix}"] = written(_polynomial(function.value[z], symbols))
        controls |= _by_group(problem, [_linear(-row, symbols) for row in function.gain[z]], suffix)
    return Formula(values, controls)


def _in_time(problem: ControlProblem, quadratic: LinearQuadratic, function: TimeQuadratic) -> Formula | None:
    """V = x'P(t)x + 2 p(t)'x + c(t): the entries solve the Riccati differential equation; their numbers are those at t = 0."""
    if quadratic.states > _WIDEST:
        return None
    names = [unused_symbol(problem, *n).name for n in (("P", "Pi"), ("p", "s"), ("c", "v"), ("K", "L"), ("k", "l"))]
    values: dict[str, Notation] = {}
    controls: dict[str, Notation] = {}
    where: list[tuple[Notation, Notation, float]] = []
    meaning = Notation("its Riccati equation, here at t = 0", r"\text{its Riccati equation, here at } t = 0")

    def letter(name: str, label: str, index: tuple[int, ...], number: float) -> sp.Expr:
        if abs(number) <= 1e-14:
            return sp.S.Zero
        place = f"[{', '.join(str(i) for i in index)}]" if index and quadratic.states > 1 else ""
        symbol = sp.Symbol(f"{name}{label}{place}", real=True)
        where.append((written(symbol), meaning, number))
        return symbol

    states = problem.state_symbols
    rows = range(1, len(states) + 1)
    for z, mode in enumerate(problem.mode_tuples()):
        label = "".join(f"_{chain.labels[i]}" for chain, i in zip(problem.modes, mode, strict=True))
        pi, gain = function.matrix(0.0, z), function.gain(0.0, z)
        value: sp.Expr = letter(names[2], label, (), float(pi[0, 0]))
        for i in rows:
            value += 2 * letter(names[1], label, (i,), float(pi[0, i])) * states[i - 1]
            for j in range(i, len(states) + 1):
                weight = 1 if i == j else 2
                value += weight * letter(names[0], label, (i, j), float(pi[i, j])) * states[i - 1] * states[j - 1]
        suffix = _suffix(problem, mode)
        values[f"V{suffix}"] = written(value)
        several = gain.shape[0] > 1
        moves = []
        for k, row in enumerate(gain, start=1):
            index = (k,) if several else ()
            move = -letter(f"{names[4]}{k}" if several else names[4], label, (), float(row[0]))
            for j in rows:
                move -= letter(names[3], label, (*index, j), float(row[j])) * states[j - 1]
            moves.append(move)
        controls |= _by_group(problem, moves, suffix)
    return Formula(values, controls, tuple(where))


def _by_group(problem: ControlProblem, moves: list[sp.Expr], suffix: str) -> dict[str, Notation]:
    """The expressions of all controls, then adversaries, under the names of their groups."""
    result = {}
    for group, rows in _rows(problem):
        parts = [written(moves[row]) for row in rows]
        latex = r"\begin{pmatrix}" + r" \\ ".join(p.latex for p in parts) + r"\end{pmatrix}"
        both = Notation("[" + ", ".join(p.text for p in parts) + "]", latex)
        result[f"{group.name}{suffix}"] = both if group.shape else parts[0]
    return result


def _suffix(problem: ControlProblem, mode: tuple[int, ...]) -> str:
    labels = [chain.labels[i] for chain, i in zip(problem.modes, mode, strict=True)]
    return f"[{', '.join(labels)}]" if labels else ""


def _rows(problem: ControlProblem) -> list:
    result, first = [], 0
    for group in _groups(problem):
        result.append((group, range(first, first + len(group.symbols))))
        first += len(group.symbols)
    return result


def _rounded(number: float) -> sp.Float:
    return sp.Float(f"{number:.8g}", 8)


def _polynomial(pi: np.ndarray, symbols: tuple[sp.Expr, ...]) -> sp.Expr:
    terms = []
    scale = np.abs(pi).max()
    for i in range(len(symbols)):
        for j in range(i, len(symbols)):
            number = float(pi[i, j]) * (1 if i == j else 2)
            if abs(number) > 1e-13 * scale:
                terms.append(_rounded(number) * symbols[i] * symbols[j])
    return sp.Add(*terms)


def _linear(row: np.ndarray, symbols: tuple[sp.Expr, ...]) -> sp.Expr:
    scale = max(float(np.abs(row).max()), 1e-300)
    return sp.Add(*(_rounded(float(k)) * s for k, s in zip(row, symbols, strict=True) if abs(k) > 1e-13 * scale))

"""The answer as a reader wants it: letters where the matched system was solved by hand, else numbers by mode.

In: an equation and the value function with coefficients found. Out: `Formula`, and symbolic V and controls where there are any.
Letters are trusted only where they give the numbers that were found independently.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import sympy as sp

from hjbdsl.budget import BudgetExceeded, time_budget
from hjbdsl.methods.closed_form.ansatz.evolution import CoefficientPath
from hjbdsl.methods.closed_form.ansatz.function import AnsatzFunction
from hjbdsl.methods.closed_form.ansatz.letters import Letters, letters
from hjbdsl.methods.closed_form.ansatz.samples import sample_region, sample_states
from hjbdsl.methods.closed_form.notation import written
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.problem import TIME, ControlProblem, Notation
from hjbdsl.model.solution import Formula
from hjbdsl.numeric.compile import UnsupportedExpression, compile_expressions
from hjbdsl.symbolic.latex import to_latex

SECONDS = 1.5
_LONGEST = 220
_LONG_NUMBER, _DIGITS = 10**4, 7
"""Fractions with a numerator or denominator from here on are read as decimals with so many digits."""
_MODES, _COEFFICIENTS = 6, 6
_AGREEMENT = 1e-8

Mode = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """`symbolic` and `controls` as in a proposal; `statements` what may be said beside."""

    formula: Formula | None
    symbolic: Mapping[Mode, sp.Expr] | None = None
    controls: Mapping[Mode, Mapping[sp.Symbol, sp.Expr]] | None = None
    conditions: tuple[str, ...] = ()


def formula(equation: HJBEquation, function: AnsatzFunction) -> Written:
    """The best form within `SECONDS`."""
    problem = equation.problem
    try:
        with time_budget(SECONDS):
            solved = _solved(equation, function)
    except BudgetExceeded:
        solved = None
    if solved is None:
        return Written(_in_numbers(problem, function))
    mode = problem.mode_tuples()[0]
    expanded = {a: solved.expanded(e) for a, e in solved.controls.items()}
    return Written(_in_letters(problem, solved), {mode: solved.expanded(solved.value)}, {mode: expanded}, _words(problem, solved))


def _solved(equation: HJBEquation, function: AnsatzFunction) -> Letters | None:
    """Letters from the branch of the maximiser that is active, if they agree with the numbers."""
    optimum = equation.optimum
    if equation.entropy is not None and equation.reduced is not None:
        equation = replace(equation, hamiltonian=equation.reduced)
    if optimum.status != "symbolic" or not optimum.candidates:
        return None
    for candidate in optimum.candidates:
        answer = letters(equation, function.ansatz, candidate)
        if answer is not None and _agrees(equation.problem, answer, function):
            return answer
    return None


def _agrees(problem: ControlProblem, answer: Letters, function: AnsatzFunction) -> bool:
    states = sample_states(problem, 7) if function.ansatz.shift is None else sample_region(problem, 7)
    end = problem.numeric(problem.objective.end)
    times = np.linspace(0, 0.95 * float(end), 7) if end.is_finite else np.zeros(7)
    point = function.evaluate(times, states, np.zeros(7, dtype=np.int64))
    symbols = (*problem.control_symbols, *problem.adversary_symbols)
    expressions = [problem.numeric(answer.expanded(e)) for e in (answer.value, *(answer.controls[a] for a in symbols))]
    arguments = (TIME, *problem.state_symbols)
    if any(e.free_symbols - set(arguments) for e in expressions):
        return False
    try:
        found = compile_expressions(arguments, expressions)(times, *states.T)
    except UnsupportedExpression:  # not real: the letters of a branch of the maximiser that is not the active one
        return False
    return all(
        bool(np.all(np.abs(a - b) <= _AGREEMENT * (1e-9 + np.abs(b))))
        for a, b in zip(found, (point.value, *point.control.T), strict=True)
    )


# -------------------------------------------------------------------------------------------------- letters


def _in_letters(problem: ControlProblem, solved: Letters) -> Formula:
    where: list[tuple[Notation, Notation, float]] = []
    for letter, meaning in solved.definitions:
        number = problem.numeric(solved.expanded(meaning)).xreplace({TIME: sp.S.Zero})
        where.append((written(letter), _short(meaning), float(number)))
    conditions = tuple((_greater(c), float(problem.numeric(solved.expanded(c)))) for c in solved.conditions)
    return Formula({"V": _in_decimals(solved.value)}, _control_notation(problem, solved.controls), tuple(where), conditions)


def _greater(condition: sp.Expr) -> Notation:
    return Notation(f"{_positive_first(condition)} > 0", f"{_in_decimals(condition).latex} > 0")


def _positive_first(expression: sp.Expr) -> str:
    """A sum as a person writes it, what is subtracted last."""
    terms = sp.Add.make_args(expression)
    added = [_in_decimals(t).text for t in terms if not t.could_extract_minus_sign()]
    taken = [_in_decimals(-t).text for t in terms if t.could_extract_minus_sign()]
    return " - ".join([" + ".join(added), *taken]) if added else _in_decimals(expression).text


def _short(meaning: sp.Expr) -> Notation:
    words = _in_decimals(meaning)
    if len(words.text) <= _LONGEST:
        return words
    return Notation("its number, from the coefficients of the file", r"\text{its number, from the coefficients of the file}")


def _words(problem: ControlProblem, solved: Letters) -> tuple[str, ...]:
    return tuple(
        f"feasible: {_positive_first(c)} = {float(problem.numeric(solved.expanded(c))):.6g} > 0" for c in solved.conditions
    )


def _control_notation(problem: ControlProblem, controls: Mapping[sp.Symbol, sp.Expr], suffix: str = "") -> dict[str, Notation]:
    result = {}
    for group in (*problem.controls, *problem.adversaries):
        parts = [_in_decimals(controls[a]) for a in group.symbols]
        if group.shape:
            column = r"\begin{pmatrix}" + r" \\ ".join(p.latex for p in parts) + r"\end{pmatrix}"
            result[group.name + suffix] = Notation("[" + ", ".join(p.text for p in parts) + "]", column)
        else:
            result[group.name + suffix] = parts[0]
    return result


# -------------------------------------------------------------------------------------------------- numbers


def _in_numbers(problem: ControlProblem, function: AnsatzFunction) -> Formula | None:
    """V by mode with its coefficients in numbers, or as letters with their numbers at t = 0."""
    ansatz = function.ansatz
    if problem.lattice_states or len(problem.mode_tuples()) > _MODES or len(ansatz.unknowns) > _COEFFICIENTS:
        return None
    held = function.coefficients
    theta = held.at(np.zeros(1))[0][0] if isinstance(held, CoefficientPath) else held
    level = function.level.expression()
    values: dict[str, Notation] = {}
    controls: dict[str, Notation] = {}
    where = []
    for place, mode in enumerate(problem.mode_tuples()):
        suffix = _suffix(problem, mode)
        letters_suffix = "".join(f"_{c.labels[i]}" for c, i in zip(problem.modes, mode, strict=True))
        if isinstance(held, CoefficientPath):
            names = {u: sp.Symbol(f"{u.name}{letters_suffix}", real=True) for u in ansatz.unknowns}
            values[f"V{suffix}"] = written(ansatz.expression.xreplace(names) + level)
            for u, number in zip(ansatz.unknowns, theta[place], strict=True):
                where.append((written(names[u]), _OF_TIME, float(number)))
        else:
            numbers = {u: sp.Float(v, 17) for u, v in zip(ansatz.unknowns, theta[place], strict=True)}
            exact = problem.numeric(ansatz.expression).xreplace(numbers) + level
            rounded = {number: sp.Float(f"{float(number):.8g}", 8) for number in exact.atoms(sp.Float)}
            values[f"V{suffix}"] = _in_decimals(exact.xreplace(rounded))
            controls |= _scaled_controls(problem, function, place, suffix)
    return Formula(values, controls, tuple(where))


_OF_TIME = Notation(
    "a function of t: its ordinary differential equation integrated backwards, here at t = 0",
    r"\text{solution of its ordinary differential equation, here at } t = 0",
)


def _in_decimals(expression: sp.Expr) -> Notation:
    """As `written`, long fractions rounded; rounded numbers are set in LaTeX as the finite decimals they are."""
    long = {q: sp.Float(q, _DIGITS) for q in expression.atoms(sp.Rational) if max(abs(q.p), q.q) >= _LONG_NUMBER}
    expression = expression.xreplace(long)
    precise = {f: sp.Float(f"{float(f):.{_DIGITS}g}", _DIGITS) for f in expression.atoms(sp.Float) if f._prec > 64}
    expression = expression.xreplace(precise)
    floats = expression.atoms(sp.Float)
    if not floats:
        return written(expression)
    exact = expression.xreplace({f: sp.Rational(f"{float(f):.8g}") for f in floats})
    return Notation(sp.sstr(expression, full_prec=False).replace("**", "^"), to_latex(exact))


def _suffix(problem: ControlProblem, mode: Mode) -> str:
    labels = [chain.labels[i] for chain, i in zip(problem.modes, mode, strict=True)]
    return f"[{', '.join(labels)}]" if labels else ""


def _scaled_controls(problem: ControlProblem, function: AnsatzFunction, place: int, suffix: str) -> dict[str, Notation]:
    """Constant fractions, or multiples of the wealth-like state, where there is nothing else for them to depend on."""
    scaling = function.ansatz.scaling
    if scaling is None or len(problem.continuous_states) != 1:
        return {}
    wealth = problem.state_symbols[scaling.state]
    point = function.evaluate(np.zeros(1), np.ones((1, problem.dimension)), np.array([place]))
    symbols = (*problem.control_symbols, *problem.adversary_symbols)
    amounts = {a: sp.Float(f"{v:.8g}", 8) for a, v in zip(symbols, point.control[0], strict=True)}
    return _control_notation(problem, {a: v * wealth ** scaling.weights.get(a, 0) for a, v in amounts.items()}, suffix)

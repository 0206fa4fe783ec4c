"""How V and its derivatives are written for one problem: V' for one stationary state, V_x, V_{xy}, or nabla V for vectors.

In: a problem, its derivative symbols, whether V has no t. Out: `Writer`, which prints expressions and whole equations both ways.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sympy as sp

from hjbdsl.model.equation import AVERAGE, VALUE
from hjbdsl.model.problem import TIME, ControlProblem, Notation
from hjbdsl.symbolic.latex import latex_symbol, to_latex
from hjbdsl.symbolic.letters import average_letter, words_apart
from hjbdsl.symbolic.printing import DERIVATIVE_RANK, finite_decimal
from hjbdsl.symbolic.text import text_symbol, to_text


@dataclass(frozen=True, slots=True)
class Writer:
    """Prints in the letters of one problem. `vector` says that the equation is written with nabla V, not by components."""

    problem: ControlProblem
    stationary: bool
    vector: bool
    text_names: Mapping[sp.Symbol, str]
    latex_names: Mapping[sp.Symbol, str]
    ranks: Mapping[sp.Symbol, int]

    def write(self, expression: sp.Basic) -> Notation:
        return Notation(self.text(expression), self.latex(expression))

    def written(self, key: str, expression: sp.Expr) -> Notation:
        """The file's own notation for `key` where it is there, else a short name for a long expression, else the expression."""
        if isinstance(expression, sp.Rational):
            number = decimal(expression)
            return Notation(number, number) if number else self.write(expression)
        own = self.problem.notation.get((key,))
        if own is not None:
            return own
        if len(expression.args) > _MOST_TERMS and self.vector:
            return self._named(_LETTERS[key], key == "running")
        return self.write(expression)

    def _named(self, letter: str, controlled: bool) -> Notation:
        """`f(x, u)`, `g(x)`."""
        groups = (*self.problem.states, *self.problem.controls, *self.problem.adversaries) if controlled else self.problem.states
        text, latex = ", ".join(text_symbol(g.name) for g in groups), ", ".join(latex_symbol(g.name) for g in groups)
        return Notation(f"{letter}({text})", f"{letter}({latex})")

    def text(self, expression: sp.Basic) -> str:
        return to_text(expression, self.text_names, self._rank)

    def latex(self, expression: sp.Basic) -> str:
        return to_latex(expression, self.latex_names, self._rank)

    def _rank(self, symbol: sp.Symbol) -> int:
        return self.ranks.get(symbol, 0)


_MOST_TERMS = 8
_LETTERS = {"running": "f", "terminal": "g", "stop": "g", "exit": "g", "discount": "r"}
MOST_SCALAR_STATES = 4


def writer_for(
    problem: ControlProblem,
    stationary: bool,
    gradient: tuple[sp.Symbol, ...],
    hessian: Mapping[tuple[int, int], sp.Symbol],
    differences: tuple[sp.Symbol, ...],
) -> Writer:
    vector = any(group.shape for group in problem.states) or problem.dimension > MOST_SCALAR_STATES
    average = average_letter(problem)
    text_names: dict[sp.Symbol, str] = {VALUE: "V", AVERAGE: average.text}
    latex_names: dict[sp.Symbol, str] = {VALUE: "V", AVERAGE: average.latex}
    primes = problem.dimension == 1 and stationary
    states = problem.state_symbols
    for i, symbol in enumerate(gradient):
        text_names[symbol] = "V'" if primes else f"V_{text_symbol(states[i].name)}"
        latex_names[symbol] = "V'" if primes else f"V_{{{latex_symbol(states[i].name)}}}"
    for (i, j), symbol in hessian.items():
        first, second = states[i].name, states[j].name
        plain = len(text_symbol(first)) == 1 and len(text_symbol(second)) == 1
        gap, latex_gap = ("", " " if "\\" in latex_symbol(first) else "") if plain else (",", " ")
        text_names[symbol] = "V''" if primes else f"V_{text_symbol(first)}{gap}{text_symbol(second)}"
        latex_names[symbol] = "V''" if primes else f"V_{{{latex_symbol(first)}{latex_gap}{latex_symbol(second)}}}"
    for parameter in problem.mode_parameters:
        name, letter = parameter.symbol.name, problem.modes[parameter.chain].name
        if name.isidentifier():
            text_names[parameter.symbol] = f"{text_symbol(name)}({text_symbol(letter)})"
            latex_names[parameter.symbol] = f"{latex_symbol(name)}({latex_symbol(letter)})"
    for jump, symbol in zip(problem.jumps, differences, strict=True):
        text_names[symbol] = f"Δ_{jump.name} V"
        latex_names[symbol] = rf"\Delta_{{{latex_symbol(jump.name)}}} V"
    ranks = _ranks(problem, gradient, hessian, differences)
    return Writer(problem, stationary, vector, text_names, latex_names, ranks)


def _ranks(
    problem: ControlProblem,
    gradient: tuple[sp.Symbol, ...],
    hessian: Mapping[tuple[int, int], sp.Symbol],
    differences: tuple[sp.Symbol, ...],
) -> dict[sp.Symbol, int]:
    """Parameters before the controls, these before the states, then V and its derivatives."""
    ranks: dict[sp.Symbol, int] = {TIME: 5, VALUE: DERIVATIVE_RANK, AVERAGE: DERIVATIVE_RANK}
    ranks.update(dict.fromkeys((*problem.control_symbols, *problem.adversary_symbols), 3))
    ranks.update(dict.fromkeys(problem.state_symbols, 4))
    ranks.update(dict.fromkeys(gradient, DERIVATIVE_RANK + 1))
    ranks.update(dict.fromkeys(hessian.values(), DERIVATIVE_RANK + 2))
    ranks.update(dict.fromkeys(differences, DERIVATIVE_RANK + 3))
    return ranks


def join(pieces: list[Notation]) -> Notation:
    """A sum of pieces; a piece that starts with a minus is subtracted."""
    if not pieces:
        return Notation("0", "0")
    return Notation(_join([p.text for p in pieces]), _join([p.latex for p in pieces]))


def _join(pieces: list[str]) -> str:
    result = pieces[0]
    for piece in pieces[1:]:
        result += f" - {piece[1:].lstrip()}" if piece.startswith("-") else f" + {piece}"
    return result


def times(left: Notation, right: Notation) -> Notation:
    """left times right, brackets round a sum on the left; a minus on the right goes in front."""
    if right.text.startswith("-") and right.latex.startswith("-"):
        return minus(times(left, Notation(right.text[1:].lstrip(), right.latex[1:].lstrip())))
    if right.text[:1].isdigit():
        return Notation(f"{factor(left.text)}·{right.text}", rf"{bracketed(left.latex)} \cdot {right.latex}")
    return Notation(factor(left.text) + " " + right.text, words_apart(bracketed(left.latex) + " " + right.latex))


def bracketed(written: str) -> str:
    """A sum in parentheses, anything else as it is."""
    return parenthesised(written) if is_sum(written) else written


def parenthesised(written: str) -> str:
    """In parentheses, tall ones round a fraction of LaTeX."""
    return rf"\left({written}\right)" if r"\frac" in written or r"\begin" in written else f"({written})"


def factor(written: str) -> str:
    """A sum in parentheses, and a quotient by more than a number, where something is to follow it."""
    head, slash, tail = written.rpartition("/")
    divided = slash and not tail.replace(".", "").isdigit() and _outside(written, len(head))
    return f"({written})" if divided or is_sum(written) else written


def divisor(written: str) -> str:
    """In parentheses unless it is a single name, number or call: what stands after a slash."""
    return f"({written})" if any(mark in written for mark in " /·") or written.startswith("-") else written


def _outside(written: str, place: int) -> bool:
    """Whether `place` is outside every bracket."""
    head = written[:place]
    return all(head.count(opening) == head.count(closing) for opening, closing in ("()", "[]", "{}"))


def is_sum(written: str) -> bool:
    """Whether a + or - stands outside every bracket, beyond a sign in front."""
    depth = 0
    for place, letter in enumerate(written):
        if letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
        elif depth == 0 and letter in "+-" and written[:place].strip():
            before = written[:place].rstrip()[-1:]
            if before not in "*/^_·(":
                return True
    return False


def decimal(value: sp.Rational) -> str:
    """`0.5` for 1/2: a number of the file as the file has it; empty where it is no short decimal."""
    sign, p, q = ("-", -value.p, value.q) if value < 0 else ("", value.p, value.q)
    number = f"{p / q:.12g}" if q in (1, 2, 4) else finite_decimal(p, q)
    return sign + number if number and "e" not in number else ""


def minus(piece: Notation) -> Notation:
    if piece.text.startswith("-") and not is_sum(piece.text):
        return Notation(piece.text[1:].lstrip(), piece.latex[1:].lstrip())
    return Notation(f"-{bracketed(piece.text)}", f"-{bracketed(piece.latex)}")


def equal(left: Notation, right: Notation) -> Notation:
    return Notation(f"{left.text} = {right.text}", f"{left.latex} = {right.latex}")

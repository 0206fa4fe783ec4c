"""Sums over components read back as vectors: sum_i p_i^2 is |nabla V|^2, n equal formulas are one.

In: expressions in component symbols. Out: notation, or None where the components do not repeat.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sympy as sp

from hjbdsl.model.problem import ControlProblem, Notation
from hjbdsl.symbolic.latex import latex_symbol, to_latex
from hjbdsl.symbolic.printing import DERIVATIVE_RANK
from hjbdsl.symbolic.text import text_symbol, to_text
from hjbdsl.symbolic.writing import Writer, join

_MOST_OTHER_TERMS = 8
_STATE, _SLOPE, _CURVATURE = (sp.Dummy(n, real=True) for n in ("x", "p", "M"))
_HALVES = (sp.Rational(1, 2), sp.Rational(-1, 2))
_LENGTH = sp.Dummy("|p|", positive=True)


@dataclass(frozen=True, slots=True)
class _Vector:
    """One vector state with the symbols of its components, first and pure second derivatives."""

    name: str
    states: tuple[sp.Symbol, ...]
    slopes: tuple[sp.Symbol, ...]
    curvatures: tuple[sp.Symbol | None, ...]
    only: bool

    @property
    def places(self) -> dict[sp.Symbol, tuple[int, sp.Symbol]]:
        """Component symbol -> its index and the placeholder for it."""
        table: dict[sp.Symbol, tuple[int, sp.Symbol]] = {}
        for symbols, placeholder in ((self.states, _STATE), (self.slopes, _SLOPE), (self.curvatures, _CURVATURE)):
            table.update({symbol: (i, placeholder) for i, symbol in enumerate(symbols) if symbol is not None})
        return table

    def template(self, expression: sp.Expr, places: Mapping[sp.Symbol, tuple[int, sp.Symbol]]) -> tuple[sp.Expr, frozenset[int]]:
        """The expression with its one component's symbols replaced by placeholders, and which components occurred."""
        held = [s for s in expression.free_symbols if s in places]
        found = frozenset(places[s][0] for s in held)
        if len(found) > 1:
            return expression, found
        return expression.xreplace({s: places[s][1] for s in held}), found

    def with_length(self, expression: sp.Expr) -> sp.Expr:
        """|p| as one symbol, and the case p = 0 left out."""
        if not expression.has(sp.Pow) or not any(p.exp in _HALVES for p in expression.atoms(sp.Pow)):
            return expression
        length = sp.sqrt(sp.Add(*(p**2 for p in self.slopes)))
        shorter = expression.xreplace({length: _LENGTH, 1 / length: 1 / _LENGTH})
        table = {
            case: case.args[0][0] for case in shorter.atoms(sp.Piecewise) if case.args[0][1] == sp.true or len(case.args) == 1
        }
        return shorter.xreplace(table)

    def names(self) -> tuple[dict[sp.Symbol, str], dict[sp.Symbol, str]]:
        sub = ("", "") if self.only else (f"_{text_symbol(self.name)}", rf"_{{{latex_symbol(self.name)}}}")
        slope = f"∇{sub[0]}V" if self.only else f"∇{sub[0]} V"
        text = {_STATE: text_symbol(self.name), _SLOPE: slope, _LENGTH: f"|{slope}|"}
        latex = {_STATE: latex_symbol(self.name), _SLOPE: rf"\nabla{sub[1]} V", _LENGTH: rf"\lVert \nabla{sub[1]} V \rVert"}
        return text, latex


def _vectors(
    problem: ControlProblem, gradient: Sequence[sp.Symbol], hessian: Mapping[tuple[int, int], sp.Symbol]
) -> list[_Vector]:
    result, offset = [], 0
    for group in problem.states:
        size = len(group.symbols)
        if size > 1:
            curvatures = tuple(hessian.get((offset + i, offset + i)) for i in range(size))
            slopes = tuple(gradient[offset : offset + size])
            result.append(_Vector(group.name, group.symbols, slopes, curvatures, len(problem.states) == 1))
        offset += size
    return result


def repeated(
    writer: Writer,
    values: Sequence[sp.Expr],
    gradient: Sequence[sp.Symbol],
    hessian: Mapping[tuple[int, int], sp.Symbol],
) -> Notation | None:
    """`-½ ∇V` where component i of every value is the same formula in the i-th components of one vector state."""
    for vector in _vectors(writer.problem, gradient, hessian):
        if len(vector.states) != len(values):
            continue
        templates = set()
        places = vector.places
        for i, value in enumerate(values):
            template, found = vector.template(vector.with_length(value), places)
            templates.add(template if found <= {i} else None)
        if len(templates) == 1 and None not in templates:
            (template,) = templates
            assert template is not None
            if template.has(_CURVATURE) or template.free_symbols.isdisjoint({_STATE, _SLOPE}) or not _linear(template):
                return None
            text, latex = vector.names()
            return _written(writer, template, text, latex)
    return None


def vector_condition(
    writer: Writer, condition: sp.Basic, gradient: Sequence[sp.Symbol], hessian: Mapping[tuple[int, int], sp.Symbol]
) -> Notation:
    """A condition with the length of the gradient as |nabla V|."""
    text: dict[sp.Symbol, str] = {}
    latex: dict[sp.Symbol, str] = {}
    for vector in _vectors(writer.problem, gradient, hessian):
        length = sp.sqrt(sp.Add(*(p**2 for p in vector.slopes)))
        if condition.has(length):
            condition = condition.xreplace({length: _LENGTH})
            text, latex = vector.names()
    return _written(writer, condition, text, latex)


def _linear(template: sp.Expr) -> bool:
    """Whether the template is a sum of scalars times the state or the gradient, so that it reads as a vector."""
    return all(
        sum(1 for f in sp.Mul.make_args(t) if f in (_STATE, _SLOPE)) == 1
        and all(f in (_STATE, _SLOPE) or f.free_symbols.isdisjoint({_STATE, _SLOPE}) for f in sp.Mul.make_args(t))
        for t in sp.Add.make_args(sp.expand_mul(template))
    )


def summed(
    writer: Writer, expression: sp.Expr, gradient: Sequence[sp.Symbol], hessian: Mapping[tuple[int, int], sp.Symbol]
) -> Notation | None:
    """A Hamiltonian as a sum of vector forms; None where more than a few terms do not repeat over the components."""
    rest = list(sp.Add.make_args(expression))
    pieces: list[Notation] = []
    text: dict[sp.Symbol, str] = {}
    latex: dict[sp.Symbol, str] = {}
    vectors = _vectors(writer.problem, gradient, hessian)
    for vector in vectors:
        rest = [vector.with_length(term) for term in rest]
        text, latex = vector.names()
        places = vector.places
        groups: dict[sp.Expr, dict[int, sp.Expr]] = {}
        left: list[sp.Expr] = []
        for term in rest:
            template, found = vector.template(term, places)
            if len(found) == 1:
                (index,) = found
                groups.setdefault(template, {})[index] = term
            else:
                left.append(term)
        for template, members in groups.items():
            if len(members) == len(vector.states):
                pieces.append(_summed_piece(writer, vector, template))
            else:
                left += members.values()
        rest = left
    lengths = any(_LENGTH in term.free_symbols for term in rest)
    if len(rest) > _MOST_OTHER_TERMS or (lengths and len(vectors) > 1):
        return None
    others = [_written(writer, sp.Add(*rest), text, latex)] if rest else []
    return join([*others, *sorted(pieces, key=lambda p: ("Δ" in p.text, "∇" in p.text, p.text))])


def _summed_piece(writer: Writer, vector: _Vector, template: sp.Expr) -> Notation:
    constant, varying = template.as_independent(_STATE, _SLOPE, _CURVATURE, as_Add=False)
    if varying == _SLOPE**2 and _LENGTH in constant.free_symbols:
        constant, varying = constant * _LENGTH**2, sp.S.One
    text, latex = vector.names()
    if varying == 1:
        return _written(writer, constant, text, latex)
    x, dx = text[_STATE], latex[_STATE]
    v, dv = text[_SLOPE], latex[_SLOPE]
    forms: dict[sp.Expr, tuple[str, str]] = {
        _SLOPE**2: (f"|{v}|²", rf"\lVert {dv} \rVert^2"),
        _STATE**2: (f"|{x}|²", rf"\lVert {dx} \rVert^2"),
        _STATE * _SLOPE: (f"{x}·{v}", rf"{dx} \cdot {dv}"),
        _CURVATURE: ("ΔV", r"\Delta V") if vector.only else (f"Δ_{x} V", rf"\Delta_{{{dx}}} V"),
    }
    if varying in forms:
        symbol = sp.Dummy("vector", real=True)
        return _written(writer, constant * symbol, {symbol: forms[varying][0]}, {symbol: forms[varying][1]}, {symbol})
    inner_text = {_STATE: f"{x}ᵢ", _SLOPE: "∂ᵢV", _CURVATURE: "∂ᵢᵢV"}
    inner_latex = {_STATE: f"{dx}_i", _SLOPE: r"\partial_i V", _CURVATURE: r"\partial_{ii} V"}
    written = _written(writer, template, inner_text, inner_latex)
    if written.text.startswith("-"):
        return Notation(f"-Σᵢ {written.text[1:]}", rf"-\sum_i {written.latex[1:]}")
    return Notation(f"Σᵢ {written.text}", rf"\sum_i {written.latex}")


def _written(
    writer: Writer,
    expression: sp.Basic,
    text: Mapping[sp.Symbol, str],
    latex: Mapping[sp.Symbol, str],
    last: set[sp.Symbol] | None = None,
) -> Notation:
    derivatives = {_SLOPE, _CURVATURE, _LENGTH} | (last or set())

    def rank(symbol: sp.Symbol) -> int:
        return DERIVATIVE_RANK if symbol in derivatives else 4 if symbol == _STATE else writer.ranks.get(symbol, 0)

    return Notation(
        to_text(expression, {**writer.text_names, **text}, rank), to_latex(expression, {**writer.latex_names, **latex}, rank)
    )

"""A function of one variable cut at its kinks and jumps into smooth pieces.

In: an expression of one symbol with Max, Min, Abs, sign and Piecewise. Out: the break points in order and one smooth expression
an interval. Break points are exact where the switching function is linear or quadratic in the variable or in its exponential.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import sympy as sp

from hjbdsl.model.solution import Array
from hjbdsl.numeric.compile import compile_expressions
from hjbdsl.numeric.polynomial import expanded

_MOST_BREAKS = 40
_SCAN = np.concatenate([-np.geomspace(1e4, 1e-4, 2000), [0.0], np.geomspace(1e-4, 1e4, 2000)])


class TooManyBreaks(ValueError):
    """The expression has more kinks than can be integrated piece by piece."""


@dataclass(frozen=True, slots=True)
class SmoothPieces:
    """`pieces[i]` holds between breaks[i - 1] and breaks[i] (from -oo, to oo at the ends); `exact`: the breaks in symbols."""

    symbol: sp.Symbol
    breaks: tuple[float, ...]
    exact: tuple[sp.Expr, ...]
    pieces: tuple[sp.Expr, ...]


def smooth_pieces(expression: sp.Expr, symbol: sp.Symbol, values: Mapping[sp.Symbol, sp.Expr] | None = None) -> SmoothPieces:
    """Cut `expression`; `values` gives numbers for the other symbols it holds. Raises `TooManyBreaks`."""
    table = dict(values or {})
    found: dict[float, sp.Expr] = {}
    for switch in switching_functions(expression):
        if symbol in switch.free_symbols:
            for root in _roots(switch, symbol, table):
                place = float(root.xreplace(table))
                if not any(abs(place - other) <= 1e-13 * (1 + abs(place)) for other in found):
                    found[place] = root
        if len(found) > _MOST_BREAKS:
            raise TooManyBreaks(f"more than {_MOST_BREAKS} kinks")
    breaks = sorted(found)
    if not breaks:
        tests = [sp.Rational(1, 3)]
    else:
        middles = [(a + b) / 2 for a, b in pairwise(breaks)]
        tests = [sp.Float(v, 20) for v in (breaks[0] - 1 - abs(breaks[0]), *middles, breaks[-1] + 1 + abs(breaks[-1]))]
    pieces = [resolve(expression, {**table, symbol: test}) for test in tests]
    kept = [i for i in range(len(breaks)) if pieces[i] != pieces[i + 1]]
    return SmoothPieces(
        symbol,
        tuple(breaks[i] for i in kept),
        tuple(found[breaks[i]] for i in kept),
        (*(pieces[i] for i in kept), pieces[-1]),
    )


def switching_functions(expression: sp.Basic) -> tuple[sp.Expr, ...]:
    """The functions whose change of sign changes the branch of `expression`."""
    result: dict[sp.Expr, None] = {}
    for node in sp.preorder_traversal(expression):
        match node:
            case sp.Max() | sp.Min():
                for i, first in enumerate(node.args):
                    for second in node.args[i + 1 :]:
                        result[first - second] = None
            case sp.Abs() | sp.sign() | sp.Heaviside():
                result[node.args[0]] = None
            case sp.Piecewise():
                for _, condition in node.args:
                    for relation in condition.atoms(sp.core.relational.Relational):
                        result[relation.lhs - relation.rhs] = None
            case _:
                pass
    return tuple(result)


def resolve(expression: sp.Basic, at: Mapping[sp.Symbol, sp.Expr]) -> sp.Basic:
    """`expression` with each Max, Min, Abs, sign and Piecewise replaced by the branch that holds at the point `at`."""
    if not expression.args:
        return expression
    if isinstance(expression, sp.Piecewise):
        for value, condition in expression.args:
            if condition == sp.true or condition.xreplace(dict(at)) == sp.true:
                return resolve(value, at)
        return sp.nan
    arguments = [resolve(a, at) for a in expression.args]
    match expression:
        case sp.Max():
            return max(arguments, key=lambda a: _number(a, at))
        case sp.Min():
            return min(arguments, key=lambda a: _number(a, at))
        case sp.Abs():
            return arguments[0] if _number(arguments[0], at) >= 0 else -arguments[0]
        case sp.sign():
            return sp.Integer(int(np.sign(_number(arguments[0], at))))
        case sp.Heaviside():
            return sp.Integer(1 if _number(arguments[0], at) > 0 else 0)
        case _:
            return expression.func(*arguments)


def _number(expression: sp.Expr, at: Mapping[sp.Symbol, sp.Expr]) -> float:
    return float(sp.re(expression.xreplace(dict(at)).evalf(20)))


def _roots(switch: sp.Expr, symbol: sp.Symbol, values: Mapping[sp.Symbol, sp.Expr]) -> list[sp.Expr]:
    """Real roots: exact for degree one and two in the symbol or in its exponential, else located by a scan and bisected."""
    if not switching_functions(switch):
        exact = _polynomial_roots(switch, symbol, values)
        if exact is not None:
            return exact
    function = compile_expressions((symbol,), [sp.sympify(switch.xreplace(dict(values)))])
    return [sp.Float(root, 17) for root in scan_roots(lambda y: function(y)[0])]


def _polynomial_roots(switch: sp.Expr, symbol: sp.Symbol, values: Mapping[sp.Symbol, sp.Expr]) -> list[sp.Expr] | None:
    base = sp.Symbol("base", positive=True)
    for variable, inverse in ((symbol, None), (base, sp.log)):
        target = switch if inverse is None else expanded(switch).replace(
            lambda e: isinstance(e, sp.exp) and e.args[0].coeff(symbol) != 0,
            lambda e: base ** e.args[0].coeff(symbol) * sp.exp(sp.expand(e.args[0] - e.args[0].coeff(symbol) * symbol)),
        )  # fmt: skip
        if symbol in target.free_symbols and inverse is not None:
            continue
        powers = expanded(target).as_poly(variable)
        if powers is None or powers.degree() > 2 or symbol in powers.free_symbols_in_domain:
            continue
        result = [r for r in _low_degree_roots(powers) if sp.im(r.xreplace(dict(values)).evalf(20)) == 0]
        if inverse is not None:
            result = [inverse(r) for r in result if _number(r, values) > 0]
        return result
    return None


def _low_degree_roots(polynomial: sp.Poly) -> list[sp.Expr]:
    match polynomial.all_coeffs():
        case [_]:
            return []
        case [a, b]:
            return [sp.cancel(-b / a)]
        case [a, b, c]:
            root = sp.sqrt(b**2 - 4 * a * c)
            return [(-b - root) / (2 * a), (-b + root) / (2 * a)]
        case _:
            return []


def scan_roots(function: Callable[[Array], Array]) -> list[float]:
    """Changes of sign on a grid that is fine near zero and reaches 1e4, refined to rounding."""
    from scipy.optimize import brentq  # noqa: PLC0415  slow to import, and few payoffs need it

    values = function(_SCAN)
    signs = np.sign(values)
    result = [float(y) for y in _SCAN[signs == 0][:_MOST_BREAKS]]
    for i in np.flatnonzero((signs[:-1] * signs[1:] < 0) & np.isfinite(values[:-1]) & np.isfinite(values[1:]))[
        : _MOST_BREAKS + 1
    ]:
        root = brentq(lambda y: float(function(np.array([y]))[0]), _SCAN[i], _SCAN[i + 1], xtol=1e-300, rtol=8.9e-16)
        result.append(float(root))
    return result

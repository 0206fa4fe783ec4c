"""One state, constant coefficients: the Riccati equation solved in the letters of the problem.

In: the expressions behind the arrays. Out: V, controls and the definitions of the letters P, p, c they use; None where there
is no formula (controls in the noise make the equation for P of higher degree; a discounted finite horizon leaves an integral
for c).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import sympy as sp

from hjbdsl.methods.closed_form.linear_quadratic.coefficients import LinearQuadratic
from hjbdsl.methods.closed_form.notation import unused_symbol
from hjbdsl.model.problem import TIME, ControlProblem

Table = Mapping[tuple[int, ...], sp.Expr]


@dataclass(frozen=True, slots=True)
class ScalarSolution:
    """`value`, `controls`, `average` in letters; `definitions` in an order where each uses only those after it; `conditions`
    are expressions that must be positive for the formula to be the value."""

    value: sp.Expr
    controls: Mapping[sp.Symbol, sp.Expr]
    average: sp.Expr | None
    definitions: tuple[tuple[sp.Symbol, sp.Expr], ...]
    conditions: tuple[sp.Basic, ...] = ()

    def expand(self, expression: sp.Expr) -> sp.Expr:
        """`expression` with every letter replaced by its definition."""
        for letter, meaning in self.definitions:
            expression = expression.xreplace({letter: meaning})
        return expression


@dataclass(frozen=True, slots=True)
class _Data:
    """Minimised cost of y = (1, x, c); `gg`, `gx`, `xx` are the products of the noise columns g + G x; `theta` risk."""

    a: sp.Expr
    shift: sp.Expr
    gain: sp.Matrix
    gg: sp.Expr
    gx: sp.Expr
    xx: sp.Expr
    cost: sp.Matrix
    cross: sp.Matrix
    lean: sp.Matrix
    effort: sp.Matrix
    discount: sp.Expr
    temperature: sp.Expr
    theta: sp.Expr
    terminal: sp.Matrix


def scalar_solution(problem: ControlProblem, quadratic: LinearQuadratic) -> ScalarSolution | None:
    """The solution in letters, or None."""
    if quadratic.states != 1 or len(quadratic.modes) > 1 or problem.jumps or not quadratic.autonomous or quadratic.controls > 3:
        return None
    data = _data(problem, quadratic)
    if data is None:
        return None
    return _stationary(problem, quadratic, data) if problem.objective.end == sp.oo else _finite(problem, quadratic, data)


def _data(problem: ControlProblem, quadratic: LinearQuadratic) -> _Data | None:
    entries = quadratic.modes[0].entries
    controls = range(2, 2 + quadratic.controls)
    drift, cost = entries["drift"], entries["cost"]
    columns = range(len(problem.noises))
    if any((k, 1, j) in entries["diffusion"] for k in columns for j in controls):
        return None

    def product(first: int, second: int) -> sp.Expr:
        table, mix = entries["diffusion"], entries["correlation"]
        pairs = [(i, j) for i in columns for j in columns]
        terms = [_get(table, i, 1, first) * _get(table, j, 1, second) * _get(mix, i, j) for i, j in pairs]
        return sp.Add(*terms)

    sign = sp.Integer(int(quadratic.sign))
    theta = sp.S.Zero if problem.objective.risk is None else sign * problem.objective.risk
    end = {TIME: problem.objective.end}
    return _Data(
        a=_get(drift, 1, 1), shift=_get(drift, 1, 0), gain=sp.Matrix(1, len(controls), [_get(drift, 1, j) for j in controls]),
        gg=product(0, 0), gx=product(0, 1), xx=product(1, 1),
        cost=sp.Matrix(2, 2, lambda i, j: _get(cost, i, j)),
        cross=sp.Matrix(len(controls), 1, [_get(cost, 1, j) for j in controls]),
        lean=sp.Matrix(len(controls), 1, [_get(cost, 0, j) for j in controls]),
        effort=sp.Matrix(len(controls), len(controls), [_get(cost, i, j) for i in controls for j in controls]),
        discount=_get(entries["discount"]), temperature=_get(entries["temperature"]), theta=theta,
        terminal=sp.Matrix(2, 2, lambda i, j: sign * _get(entries["terminal"], i, j).xreplace(end)),
    )  # fmt: skip


def _get(table: Table, *index: int) -> sp.Expr:
    return table.get(index, sp.S.Zero)


def _tidy(expression: sp.Expr) -> sp.Expr:
    return sp.factor_terms(sp.expand(expression))


@dataclass(frozen=True, slots=True)
class _Riccati:
    """P' = q - h P - g P^2 for V_min = half P x^2 + ..., half = 1/2 where the file's costs carry that factor, else 1."""

    half: sp.Expr
    g: sp.Expr
    h: sp.Expr
    q: sp.Expr
    inverse: sp.Matrix


def _riccati(data: _Data) -> _Riccati:
    inverse = data.effort.inv() if data.effort.rows else data.effort
    half = sp.Rational(1, 2) if data.cost[1, 1].as_coeff_Mul()[0] in (sp.Rational(1, 2), -sp.Rational(1, 2)) else sp.S.One
    coupling = _scalar(data.gain * inverse * data.gain.T)
    g = half * (coupling - 2 * data.theta * data.gg)
    h = data.discount - 2 * data.a - data.xx + 2 * _scalar(data.gain * inverse * data.cross)
    q = (data.cost[1, 1] - _scalar(data.cross.T * inverse * data.cross)) / half
    return _Riccati(half, _tidy(g), _tidy(h), _tidy(q), inverse)


def _scalar(matrix: sp.Matrix) -> sp.Expr:
    return matrix[0, 0] if matrix.rows and matrix.cols else sp.S.Zero


class _Letters:
    """Gathers definitions; an expression that is short enough is not given a letter."""

    def __init__(self, problem: ControlProblem):
        self.problem = problem
        self.definitions: list[tuple[sp.Symbol, sp.Expr]] = []
        self.names: set[str] = set()

    def name(self, meaning: sp.Expr, *names: str, always: bool = False) -> sp.Expr:
        if not always and (meaning.is_Atom or (-meaning).is_Atom):
            return meaning
        free = [n for n in names if n not in self.names] or [names[0] + "_"]
        symbol = unused_symbol(self.problem, *free)
        self.names.add(symbol.name)
        self.definitions.insert(0, (symbol, meaning))
        return symbol


def _stationary(problem: ControlProblem, quadratic: LinearQuadratic, data: _Data) -> ScalarSolution:
    riccati, letters = _riccati(data), _Letters(problem)
    g = letters.name(riccati.g, "g", "b")
    h = letters.name(riccati.h, "h", "k")
    root = _root(g, h, riccati.q)
    p = letters.name(root, "P", "Pi") if root != 0 else sp.S.Zero
    whole = riccati.half * p
    first = data.cross + data.gain.T * whole
    rate = data.discount - data.a + _scalar(data.gain * riccati.inverse * first) - 2 * data.theta * data.gg * whole
    push = data.cost[0, 1] + (data.shift + data.gx) * whole - _scalar(data.lean.T * riccati.inverse * first)
    slope = letters.name(_tidy(push) / _tidy(rate), "p", "s") if _tidy(push) != 0 else sp.S.Zero
    second = data.lean + data.gain.T * slope
    constant = data.cost[0, 0] + 2 * data.shift * slope + data.gg * whole + 2 * data.theta * data.gg * slope**2
    constant = _tidy(constant - _scalar(second.T * riccati.inverse * second)) - _entropy(data, quadratic)
    average = None
    sign = sp.Integer(int(quadratic.sign))
    level: sp.Expr = sp.S.Zero
    if problem.objective.form == "average":
        average = sign * constant
    elif constant != 0:
        level = letters.name(constant / data.discount, "c", "v", "m") if data.discount != 0 else sp.S.Zero
    solved = _assembled(problem, data, riccati, letters, (whole, slope, level), average, sign)
    positive = h if g == 0 else h**2 + 4 * g * riccati.q
    return replace(solved, conditions=(positive,) if riccati.q != 0 else ())


def _root(g: sp.Expr, h: sp.Expr, q: sp.Expr) -> sp.Expr:
    """The limit of finite-horizon values from 0."""
    if q == 0:
        return sp.S.Zero
    return q / h if g == 0 else (sp.sqrt(h**2 + 4 * g * q) - h) / (2 * g)


def _entropy(data: _Data, quadratic: LinearQuadratic) -> sp.Expr:
    if not quadratic.explored:
        return sp.S.Zero
    block = data.effort.extract(list(quadratic.explored), list(quadratic.explored))
    lam, count = data.temperature, len(quadratic.explored)
    return lam * sp.log(sp.cancel((sp.pi * lam) ** count / block.det())) / 2


def _finite(problem: ControlProblem, quadratic: LinearQuadratic, data: _Data) -> ScalarSolution | None:
    """Only without affine terms; the constant only where no discount leaves an integral."""
    odd = [data.shift, data.gx, data.cost[0, 1], data.terminal[0, 1], *data.lean]
    steady = data.cost[0, 0] - _entropy(data, quadratic)
    if any(_tidy(e) != 0 for e in odd):
        return None
    if data.discount != 0 and (data.gg != 0 or steady != 0 or data.terminal[0, 0] != 0):
        return None
    riccati, letters = _riccati(data), _Letters(problem)
    if riccati.g == 0:
        return None
    if not float(problem.numeric(riccati.h**2 + 4 * riccati.g * riccati.q)) > 0:
        return None
    remaining = problem.objective.end - TIME
    end = data.terminal[1, 1] / riccati.half
    g = letters.name(riccati.g, "g", "b")
    h = letters.name(riccati.h, "h", "k") if riccati.h != 0 else sp.S.Zero
    d = letters.name(sp.sqrt(h**2 + 4 * g * riccati.q), "D", "w")
    th = letters.name(sp.tanh(d * remaining / 2), "th", "y", "w")
    p = letters.name((end * d + (2 * riccati.q - h * end) * th) / (d + (h + 2 * g * end) * th), "P", "Pi")
    level: sp.Expr = sp.S.Zero
    if data.gg != 0:
        # the integral of P over time-to-go s is log(y)/g for the linear equation y'' + h y' - g Q y = 0, whose solution is
        # y = exp(-h s/2) (cosh(D s/2) + k sinh(D s/2)), k = (h + 2 g P_T)/D; written so that nothing overflows
        ratio, decay = (h + 2 * g * end) / d, sp.exp(-d * remaining)
        growth = (d - h) * remaining / 2 + sp.log((1 + ratio + (1 - ratio) * decay) / 2)
        level = riccati.half * data.gg * growth / g
    level = level + steady * remaining + data.terminal[0, 0]
    level = letters.name(level, "c", "v", "m") if level != 0 else level
    sign = sp.Integer(int(quadratic.sign))
    return _assembled(problem, data, riccati, letters, (riccati.half * p, sp.S.Zero, level), None, sign)


def _assembled(
    problem: ControlProblem,
    data: _Data,
    riccati: _Riccati,
    letters: _Letters,
    parts: tuple[sp.Expr, sp.Expr, sp.Expr],
    average: sp.Expr | None,
    sign: sp.Integer,
) -> ScalarSolution:
    whole, slope, level = parts
    (x,) = problem.state_symbols
    value = sign * whole * x**2 + 2 * sign * slope * x + sign * level
    controls = {}
    if data.effort.rows:
        moves = -riccati.inverse * (data.lean + data.gain.T * slope + (data.cross + data.gain.T * whole) * x)
        symbols = (*problem.control_symbols, *problem.adversary_symbols)
        controls = {s: sp.factor_terms(sp.cancel(move)) for s, move in zip(symbols, moves, strict=True)}
    return ScalarSolution(value, controls, average, tuple(letters.definitions))

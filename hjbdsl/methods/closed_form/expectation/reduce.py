"""The dimensions a payoff really has: linear combinations it depends on, a centre it is symmetric about, a factor it scales with.

In: an expression of m coordinates. Out: a `Block`, found from gradients at random points and tested as an identity.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from hjbdsl.methods.closed_form.expectation.blocks import Block
from hjbdsl.methods.closed_form.expectation.corners import common_zeros
from hjbdsl.methods.closed_form.expectation.cubature import CubatureCore
from hjbdsl.methods.closed_form.expectation.line_core import line_core
from hjbdsl.methods.closed_form.expectation.pieces import TooManyBreaks, smooth_pieces, switching_functions
from hjbdsl.methods.closed_form.expectation.radial_core import radial_core
from hjbdsl.model.solution import Array, Rejected
from hjbdsl.numeric.compile import UnsupportedExpression
from hjbdsl.numeric.time_array import compiled

_LARGEST_CUBATURE = 3
_MOST_SUMMANDS = 12
_SAME = 1e-9


def reduce_payoff(
    payoff: sp.Expr,
    symbols: Sequence[sp.Symbol],
    index: Sequence[int],
    kappa: float,
    isotropic: bool,
    centre: Array,
    spread: Array,
) -> Block | Rejected:
    """The block of `payoff`, a function of `symbols`, the coordinates number `index`. `isotropic`: their law is, at all times;
    `centre`, `spread` (m,): where the final coordinates lie, to test there."""
    where = np.asarray(index, dtype=np.intp)
    try:
        if len(symbols) == 1:
            return Block(where, None, None, line_core(smooth_pieces(payoff, symbols[0]), kappa))
        return _reduce(payoff, tuple(symbols), where, kappa, isotropic, Probe(payoff, tuple(symbols), centre, spread))
    except (TooManyBreaks, UnsupportedExpression) as error:
        return Rejected(f"the terminal payoff cannot be integrated: {error}")


def orthogonal_summands(payoff: sp.Expr, symbols: Sequence[sp.Symbol], centre: Array, spread: Array) -> tuple[sp.Expr, ...]:
    """`payoff` as a sum of parts that depend on mutually orthogonal combinations: independent ones under an isotropic law."""
    terms = sp.Add.make_args(payoff)
    if not 1 < len(terms) <= _MOST_SUMMANDS:
        return (payoff,)
    spans = []
    for term in terms:
        probe = Probe(term, tuple(symbols), centre, spread)
        if len(probe.value) < len(symbols) + 2:
            return (payoff,)
        spans.append(_span(probe.gradient))
    clusters: list[set[int]] = []
    for i in range(len(terms)):
        met = [c for c in clusters if any(np.abs(spans[i].T @ spans[j]).max(initial=0.0) > _SAME for j in c)]
        clusters = [c for c in clusters if c not in met] + [{i}.union(*met)]
    return tuple(sp.Add(*(terms[i] for i in sorted(c))) for c in clusters)


class Probe:
    """Values and gradients of the payoff at seeded random points."""

    def __init__(self, payoff: sp.Expr, symbols: tuple[sp.Symbol, ...], centre: Array, spread: Array):
        m = len(symbols)
        random = np.random.default_rng(11)
        widths = np.repeat([0.3, 1.0, 2.0], m + 6)
        self.points = centre + spread * widths[:, None] * random.standard_normal((len(widths), m))
        function = compiled(symbols, (payoff, *(sp.diff(payoff, s) for s in symbols)))
        values = function(*self.points.T)
        self.value, self.gradient = values[0], np.stack(values[1:], axis=1)
        usable = np.isfinite(self.value) & np.all(np.isfinite(self.gradient), axis=1)
        self.points, self.value, self.gradient = self.points[usable], self.value[usable], self.gradient[usable]
        self.payoff = compiled(symbols, (payoff,))

    def agrees(self, other: Array) -> bool:
        return bool(np.all(np.abs(other - self.value) <= _SAME * (1 + np.abs(self.value))))


def _reduce(
    payoff: sp.Expr, symbols: tuple[sp.Symbol, ...], index: NDArray[np.intp], kappa: float, isotropic: bool, probe: Probe
) -> Block | Rejected:
    if len(probe.value) < len(symbols) + 2:
        return Rejected("the terminal payoff has no finite gradient where the process ends")
    directions = _span(probe.gradient)
    largest = 2 if switching_functions(payoff) else _LARGEST_CUBATURE
    if directions.shape[1] == 1 or (len(symbols) > directions.shape[1] <= largest):
        block = _along(payoff, symbols, index, kappa, directions, None, probe)
        if block is not None:
            return block
    if kappa == 0:
        block = _scaling(payoff, symbols, index, directions.shape[1], probe)
        if block is not None:
            return block
    if isotropic:
        block = _radial(payoff, symbols, index, kappa, probe)
        if block is not None:
            return block
    if len(symbols) <= largest:
        return Block(index, None, None, _cubature(payoff, symbols, kappa, probe.points))
    return Rejected(
        f"the terminal payoff depends on {directions.shape[1]} directions together and is not radial under an isotropic law;"
        f" quadrature reaches {largest} of them"
    )


def _span(rows: Array) -> Array:
    """An orthonormal basis (m, r) of the row space."""
    scale = np.linalg.norm(rows, axis=1)
    rows = rows[scale > 0] / scale[scale > 0, None]
    if not len(rows):
        return np.zeros((rows.shape[1], 0))
    _, sizes, basis = np.linalg.svd(rows, full_matrices=False)
    return basis[sizes > 1e-9 * sizes[0]].T


def _along(
    payoff: sp.Expr, symbols: tuple[sp.Symbol, ...], index: NDArray[np.intp], kappa: float, directions: Array,
    tilt: Array | None, probe: Probe,
) -> Block | None:  # fmt: skip
    """e^(c'z) h(U'z), h(y) = payoff(U y), tested as an identity."""
    projected = probe.points @ directions
    with np.errstate(all="ignore"):
        rebuilt = probe.payoff(*(projected @ directions.T).T)[0]
        if tilt is not None:
            rebuilt = rebuilt * np.exp(probe.points @ tilt)
    if not probe.agrees(rebuilt):
        return None
    r = directions.shape[1]
    letters = tuple(sp.Symbol(f"y{i + 1}", real=True) for i in range(r))
    table = {
        z: sp.Add(*(sp.Float(c, 17) * y for c, y in zip(row, letters, strict=True) if c != 0))
        for z, row in zip(symbols, directions, strict=True)
    }
    reduced = payoff.xreplace(table)
    core = line_core(smooth_pieces(reduced, letters[0]), kappa) if r == 1 else _cubature(reduced, letters, kappa, projected)
    return Block(index, directions, tilt, core)


def _scaling(payoff: sp.Expr, symbols: tuple[sp.Symbol, ...], index: NDArray[np.intp], rank: int, probe: Probe) -> Block | None:
    """A payoff homogeneous in prices is an exponential times a function of fewer combinations (a change of numeraire)."""
    live = np.abs(probe.value) > 1e-12 * np.max(np.abs(probe.value))
    if live.sum() < len(symbols) + 2:
        return None
    logarithmic = probe.gradient[live] / probe.value[live, None]
    middle = logarithmic.mean(axis=0)
    directions = _span(logarithmic - middle)
    if not 0 < directions.shape[1] < rank or directions.shape[1] > (2 if switching_functions(payoff) else _LARGEST_CUBATURE):
        return None
    tilt = middle - directions @ (directions.T @ middle)
    return _along(payoff, symbols, index, 0.0, directions, tilt, probe)


def radial_centre(probe: Probe) -> list[sp.Expr]:
    """The point that every gradient points to or from, by least squares; short decimals are taken as exact."""
    size = np.linalg.norm(probe.gradient, axis=1)
    live = size > 1e-9 * size.max(initial=0.0)
    normal, points = probe.gradient[live] / size[live, None], probe.points[live]
    matrix = live.sum() * np.eye(points.shape[1]) - normal.T @ normal
    right = points.sum(axis=0) - normal.T @ np.einsum("ki,ki->k", normal, points)
    centre, *_ = np.linalg.lstsq(matrix, right, rcond=None)
    return [sp.Rational(round(c * 10**6), 10**6) if abs(c - round(c, 6)) < 1e-8 else sp.Float(c, 17) for c in centre]


def _radial(payoff: sp.Expr, symbols: tuple[sp.Symbol, ...], index: NDArray[np.intp], kappa: float, probe: Probe) -> Block | None:
    """A function of the distance from a centre."""
    exact = radial_centre(probe)
    s = sp.Symbol("S", positive=True)
    centre = np.array([float(c) for c in exact])
    reduced = payoff.xreplace(dict(zip(symbols, (exact[0] + sp.sqrt(s), *exact[1:]), strict=True)))
    distance = np.sum((probe.points - centre) ** 2, axis=1)
    if reduced.free_symbols - {s} or not probe.agrees(compiled((s,), (reduced,))(distance)[0]):
        return None
    core = radial_core(smooth_pieces(reduced, s), centre, kappa)
    return None if core is None else Block(index, None, None, core)


def _cubature(payoff: sp.Expr, symbols: tuple[sp.Symbol, ...], kappa: float, points: Array) -> CubatureCore:
    """`points` (k, r) lie where the payoff is read."""
    gradient = tuple(sp.diff(payoff, s) for s in symbols)
    hessian = tuple(_without_deltas(sp.diff(g, s)) for g in gradient for s in symbols)
    jumps = payoff.has(sp.Piecewise, sp.sign, sp.Heaviside)
    switches = switching_functions(payoff)
    corners = common_zeros(switches, symbols, points) if len(symbols) == 2 else np.zeros((0, len(symbols)))
    return CubatureCore(symbols, payoff, gradient, hessian, switches, jumps, kappa, corners)


def _without_deltas(expression: sp.Expr) -> sp.Expr:
    """The second derivative off the kinks; what sits on them is in the score form."""
    return expression.replace(sp.DiracDelta, lambda *_: sp.S.Zero)

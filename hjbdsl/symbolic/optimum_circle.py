"""The maximiser over a heading: A cos a + B sin a on the whole circle is largest in the direction of (A, B).

In: a `Line` whose control runs over a full turn. Out: `BlockOptimum`, or None where H has another form.
"""

from __future__ import annotations

import sympy as sp

from hjbdsl.symbolic.optimum_blocks import BlockOptimum, Branch
from hjbdsl.symbolic.optimum_interval import Line


def maximise_on_circle(line: Line, stationarity: dict[sp.Symbol, sp.Expr]) -> BlockOptimum | None:
    """A heading a* = atan2(B, A); H there is the length of (A, B)."""
    low, high = line.bounds.lower, line.bounds.upper
    symmetric = line.bounds.periodic or ((low + sp.pi).is_nonpositive and (high - sp.pi).is_nonnegative)
    if not symmetric and not (low.is_nonpositive and (high - 2 * sp.pi).is_nonnegative):
        return None
    cosine, sine = sp.Dummy("c", real=True), sp.Dummy("s", real=True)
    moved = sp.expand(line.objective.xreplace({sp.cos(line.control): cosine, sp.sin(line.control): sine}))
    along, across = moved.coeff(cosine), moved.coeff(sine)
    rest = sp.expand(moved - along * cosine - across * sine)
    if rest != 0 or any(s in e.free_symbols for e in (along, across) for s in (line.control, cosine, sine)):
        return None
    value = sp.sqrt(sp.factor_terms(along**2 + across**2)) * (1 if line.maximised else -1)
    heading = sp.atan2(across, along)
    if not symmetric:
        heading = sp.Piecewise((heading, heading >= 0), (heading + 2 * sp.pi, True))
    return BlockOptimum((Branch("interior", "interior", {line.control: heading}, sp.true, value),), stationarity)

"""The maximiser over a ball |a| <= r of c.a + 1/2 q|a|^2: towards c, at full length or where the quadratic stops it."""

from __future__ import annotations

import sympy as sp

from hjbdsl.model.problem import ControlProblem
from hjbdsl.symbolic.optimum_blocks import Block, BlockOptimum, Branch, Quadratic, slopes
from hjbdsl.symbolic.optimum_constraints import Ball
from hjbdsl.symbolic.signs import sign_of


def maximise_on_ball(problem: ControlProblem, block: Block, coefficients: Quadratic, ball: Ball, maximised: bool) -> BlockOptimum:
    size = len(block.controls)
    stationarity = slopes(block, coefficients, 1 if maximised else -1)
    diagonal = [coefficients.hessian.get((i, i), sp.Integer(0)) for i in range(size)]
    if any(i != j for i, j in coefficients.hessian) or any(sp.expand(d - diagonal[0]) != 0 for d in diagonal):
        return BlockOptimum((), stationarity, (), "on a ball the maximiser of this quadratic solves a secular equation")
    curvature = diagonal[0]
    linear = [coefficients.linear.get(i, sp.Integer(0)) for i in range(size)]
    length = _length(linear)
    sign = sign_of(problem, curvature)
    rim = [_safe_ratio(ball.radius * c, length) for c in linear]
    if sign in (0, 1):
        value = ball.radius * length * (1 if maximised else -1) if sign == 0 else None
        edge = Branch("face", "on the sphere", dict(zip(block.controls, rim, strict=True)), sp.true, value)
        return BlockOptimum((edge,), stationarity)
    if sign is None:
        return BlockOptimum((), stationarity, (), "the curvature of H on the ball changes sign")
    inside = sp.Le(length, -curvature * ball.radius)
    interior = {a: -c / curvature for a, c in zip(block.controls, linear, strict=True)}
    return BlockOptimum(
        (
            Branch("interior", "interior", interior, inside),
            Branch("face", "on the sphere", dict(zip(block.controls, rim, strict=True)), sp.Not(inside)),
        ),
        stationarity,
    )


def _length(slopes: list[sp.Expr]) -> sp.Expr:
    """|c|, a common factor that is known to be positive taken out of the root."""
    return sp.sqrt(sp.factor_terms(sp.Add(*(c**2 for c in slopes))))


def _safe_ratio(numerator: sp.Expr, length: sp.Expr) -> sp.Expr:
    """numerator/length, 0 where the length is 0 (every direction is then optimal)."""
    if numerator == 0:
        return sp.Integer(0)
    return sp.Piecewise((numerator / length, sp.Gt(length, 0)), (sp.Integer(0), True))

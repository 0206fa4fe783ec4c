"""The ansätze: families of functions V(x; theta) that the equation may map into itself, proposed from the shape of a problem.

In: a problem. Out: `Ansatz` objects in the order in which they are tried. With w the wealth-like state, y the other continuous
states, q(y) = theta_0 + theta_i y_i (+ theta_ij y_i y_j):

    power         sign*exp(q(y)) w^p                      CRRA; p is the degree of the rewards
    logarithm     a log(w) + q(y)
    shifted       the two above in w + shift, for affine risk tolerance
    exponential   sign*exp(q(x))                          CARA, bonds, exponential-quadratic factors
    polynomial    q(x)                                    linear and quadratic values on a lattice or by mode

One set of coefficients for every discrete state (joint mode, lattice point).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import sympy as sp

from hjbdsl.methods.closed_form.ansatz.homogeneity import Scaling, scaling
from hjbdsl.methods.closed_form.ansatz.tolerance import hyperbolic_exponent
from hjbdsl.model.problem import ControlProblem

Kind = Literal["power", "logarithm", "exponential", "polynomial"]

_LARGEST_QUADRATIC, _LARGEST_AFFINE = 6, 16
"""States beyond which the coefficients are too many for the dense linear algebra of the matching."""


@dataclass(frozen=True, slots=True)
class Ansatz:
    """kind        family, with `name` for the reader
    expression   V in states, parameters and `unknowns`
    unknowns     coefficients theta; the first is the logarithm of the amplitude where `multiplicative`, a level otherwise
    weight       1/|natural size of V|: rows of the matching are divided by that size
    sign         of V, where it is an exponential
    scaling      the homogeneity it rests on, None without one
    shift        the unknown added to wealth, for utilities with affine risk tolerance; tried on the region alone
    """

    kind: Kind
    name: str
    expression: sp.Expr
    unknowns: tuple[sp.Symbol, ...]
    weight: sp.Expr
    sign: int
    scaling: Scaling | None = None
    shift: sp.Symbol | None = None

    @property
    def multiplicative(self) -> bool:
        return self.kind in ("power", "exponential")


def ansaetze(problem: ControlProblem) -> Iterator[Ansatz]:
    """Candidates in order of preference, cheapest structure first."""
    continuous = problem.continuous_states
    symbols = [problem.state_symbols[i] for i in continuous]
    if not continuous:
        yield _polynomial([], 0, "a number for each discrete state")
        return
    homogeneous = False
    for i in continuous:
        if problem.state_symbols[i].is_nonnegative and (found := scaling(problem, i)):
            homogeneous = True
            yield from _homogeneous(problem, found)
    if not homogeneous and len(symbols) == 1:
        yield from _shifted(problem, symbols[0])
    for degree in (1, 2):
        if len(symbols) > (_LARGEST_QUADRATIC if degree == 2 else _LARGEST_AFFINE):
            continue
        if not homogeneous or degree == 1 or len(symbols) > 1:
            for sign in _signs(problem):
                yield _exponential(symbols, degree, sign)
        yield _polynomial(symbols, degree, "affine in the states" if degree == 1 else "quadratic in the states")


def _homogeneous(problem: ControlProblem, found: Scaling) -> Iterator[Ansatz]:
    wealth = problem.state_symbols[found.state]
    factors = [problem.state_symbols[i] for i in problem.continuous_states if i != found.state]
    degrees = (0,) if not factors else (0, 1, 2)
    for degree in degrees:
        unknowns, form = _form(factors, degree)
        if found.degree == 0:
            slope = sp.Symbol("slope", real=True)
            yield Ansatz(
                "logarithm", f"logarithm of {wealth}", slope * sp.log(wealth) + form, (*unknowns, slope), sp.S.One, 1, found
            )
            continue
        for sign in _signs(problem, found.degree):
            amplitude = sign * sp.exp(form) * wealth**found.degree
            weight = sp.exp(-form) * wealth ** (-found.degree)
            name = f"power of {wealth}" + (
                "" if degree == 0 else f" times an exponential-{_shape(degree)} function of the factors"
            )
            yield Ansatz("power", name, amplitude, unknowns, weight, sign, found)


def _shifted(problem: ControlProblem, wealth: sp.Symbol) -> Iterator[Ansatz]:
    """Powers and logarithms of w + shift: subsistence levels, constant income, every utility with affine risk tolerance."""
    p = hyperbolic_exponent(problem)
    if p is None:
        return
    level, slope, shift = (sp.Symbol(name, real=True) for name in ("theta_0", "slope", "shift"))
    name = f"of {wealth} less a constant"
    if problem.numeric(p) == 0:
        form = level + slope * sp.log(wealth + shift)
        yield Ansatz("logarithm", f"logarithm {name}", form, (level, shift, slope), sp.S.One, 1, None, shift)
        return
    for sign in _signs(problem, p):
        unit = sp.exp(level) * (wealth + shift) ** p
        yield Ansatz("power", f"power {name}", sign * unit, (level, shift), 1 / unit, sign, None, shift)


def _shape(degree: int) -> str:
    return "affine" if degree == 1 else "quadratic"


def _signs(problem: ControlProblem, degree: sp.Expr | None = None) -> tuple[int, ...]:
    """The sign of an exponential value: that of a sampled reward where it has one (p itself, for utilities c^p/p)."""
    if degree is not None and problem.objective.sense == "maximize":
        first = 1 if problem.numeric(degree) > 0 else -1
        return (first, -first)
    return (-1, 1) if problem.objective.sense == "maximize" else (1, -1)


def _exponential(symbols: Sequence[sp.Symbol], degree: int, sign: int) -> Ansatz:
    unknowns, form = _form(symbols, degree)
    return Ansatz(
        "exponential",
        f"exponential of an {_shape(degree)} function".replace("an quad", "a quad"),
        sign * sp.exp(form),
        unknowns,
        sp.exp(-form),
        sign,
    )


def _polynomial(symbols: Sequence[sp.Symbol], degree: int, name: str) -> Ansatz:
    unknowns, form = _form(symbols, degree)
    return Ansatz("polynomial", name, form, unknowns, sp.S.One, 1)


def _form(symbols: Sequence[sp.Symbol], degree: int) -> tuple[tuple[sp.Symbol, ...], sp.Expr]:
    """theta_0 + theta_i y_i + theta_ij y_i y_j with its coefficients, constant first."""
    monomials: list[sp.Expr] = [sp.S.One]
    if degree >= 1:
        monomials += symbols
    if degree >= 2:
        monomials += [a * b for i, a in enumerate(symbols) for b in symbols[i:]]
    unknowns = tuple(sp.Symbol(f"theta_{k}", real=True) for k in range(len(monomials)))
    return unknowns, sp.Add(*(u * m for u, m in zip(unknowns, monomials, strict=True)))

"""The coefficients in the parameters' own letters, where the matched system is small enough to be solved by hand.

In: an equation on one discrete state, an ansatz without factors, and the branch of the maximiser that is active. Out: V and the
controls as expressions, with the letters they define and the conditions they need; or None.

A problem that scales is matched at w = 1: with V = A w^p/p there, V_w = A, V_ww = A (p - 1), and what is left is

    alpha + beta*A^e = 0   (stationary),     A' + alpha*A + beta*A^(1 + e) = 0   (finite horizon),

alpha = p*M - r with M the growth rate of the optimal portfolio, beta*A^e the share consumed. G = A^(-e) obeys a linear equation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sympy as sp

from hjbdsl.methods.closed_form.ansatz.basis import Ansatz
from hjbdsl.methods.closed_form.ansatz.homogeneity import euler
from hjbdsl.methods.closed_form.notation import unused_symbol
from hjbdsl.model.equation import VALUE, Candidate, HJBEquation
from hjbdsl.model.problem import TIME, ControlProblem

_QUICK = 60
"""Operations up to which an expression is factored."""


@dataclass(frozen=True, slots=True)
class Letters:
    """`value`, `controls`: in states, time, parameters and defined letters; `definitions`: (letter, meaning), a meaning
    built of those before it; `conditions`: must be positive."""

    value: sp.Expr
    controls: Mapping[sp.Symbol, sp.Expr]
    definitions: tuple[tuple[sp.Symbol, sp.Expr], ...]
    conditions: tuple[sp.Expr, ...]

    def expanded(self, expression: sp.Expr) -> sp.Expr:
        """`expression` with every defined letter written out."""
        for letter, meaning in reversed(self.definitions):
            expression = expression.xreplace({letter: meaning})
        return expression


@dataclass(frozen=True, slots=True)
class _Matched:
    """The equation divided by V: the terms without the amplitude and those with it, and the controls at w = 1."""

    free: sp.Expr
    bound: sp.Expr
    controls: Mapping[sp.Symbol, sp.Expr]


def letters(equation: HJBEquation, ansatz: Ansatz, candidate: Candidate) -> Letters | None:
    """None where the ansatz has factors, the problem modes or lattice states, or the system is not of the form above."""
    problem = equation.problem
    if len(problem.continuous_states) != 1 or problem.lattice_states or problem.modes or problem.jumps:
        return None
    rate = problem.objective.discount
    if TIME in rate.free_symbols or TIME in equation.hamiltonian.free_symbols:
        return None
    match ansatz.kind:
        case "power":
            return _power(equation, ansatz, candidate)
        case "logarithm":
            return _logarithm(equation, ansatz, candidate)
        case "exponential":
            return _exponential(equation, ansatz, candidate) if len(ansatz.unknowns) == 2 else None
        case _:
            return None


def _power(equation: HJBEquation, ansatz: Ansatz, candidate: Candidate) -> Letters | None:
    problem, scaling = equation.problem, ansatz.scaling
    if scaling is None or scaling.running_constant != 0 or scaling.terminal_constant != 0:
        return None
    p, wealth = scaling.degree, problem.state_symbols[scaling.state]
    amplitude, growth = unused_symbol(problem, "A", "K"), unused_symbol(problem, "M", "L")
    positive = sp.Symbol(amplitude.name, positive=True)
    table = {problem.state_symbols[scaling.state]: sp.S.One, VALUE: positive / p}
    matched = _matched(equation, candidate, table, (positive, positive * (p - 1)), positive, p)
    if matched is None:
        return None
    portfolio, rate = matched.free, problem.objective.discount
    alpha = p * growth - rate
    definitions = [(growth, portfolio)]
    value = amplitude * wealth**p / p
    restored = {a: e * wealth ** scaling.weights.get(a, 0) for a, e in matched.controls.items()}
    if matched.bound == 0:
        return _bequeathed(equation, scaling.degree, wealth, amplitude, alpha, definitions, restored)
    beta, exponent = _monomial(matched.bound, positive)
    if beta is None or exponent is None:
        return None
    if equation.stationary:
        share = -alpha / beta
        controls = {a: _put(e, positive, exponent, share) for a, e in restored.items()}
        definitions.append((amplitude, (1 / share) ** (-1 / exponent)))
        return Letters(value, controls, tuple(definitions), (-alpha * (1 if _sign(problem, beta) > 0 else -1),))
    return _annuity(equation, scaling.degree, wealth, (alpha, beta, exponent), definitions, restored, positive)


def _annuity(
    equation: HJBEquation,
    p: sp.Expr,
    wealth: sp.Symbol,
    coefficients: tuple[sp.Expr, sp.Expr, sp.Expr],
    definitions: list[tuple[sp.Symbol, sp.Expr]],
    restored: Mapping[sp.Symbol, sp.Expr],
    positive: sp.Symbol,
) -> Letters | None:
    """Finite horizon with consumption: G = A^(-e) solves G' = nu*G + e*beta, nu = e*alpha, backwards from the bequest."""
    problem = equation.problem
    alpha, beta, exponent = coefficients
    nu, annuity = unused_symbol(problem, "nu", "omega"), unused_symbol(problem, "G", "H")
    bequest = _amplitude_of(problem.objective.terminal, wealth)
    to_go = problem.objective.end - TIME
    source = sp.cancel(-exponent * beta)
    decay = sp.exp(-nu * to_go)
    start = bequest ** (-exponent) if bequest != 0 else sp.S.Zero
    definitions = [*definitions, (nu, -exponent * -alpha), (annuity, source * (1 - decay) / nu + start * decay)]
    if abs(float(problem.numeric(Letters(nu, {}, tuple(definitions), ()).expanded(nu)))) < 1e-9:
        return None
    controls = {a: _put(e, positive, exponent, 1 / annuity) for a, e in restored.items()}
    return Letters(annuity ** (-1 / exponent) * wealth**p / p, controls, tuple(definitions), ())


def _bequeathed(
    equation: HJBEquation,
    p: sp.Expr,
    wealth: sp.Symbol,
    amplitude: sp.Symbol,
    alpha: sp.Expr,
    definitions: list[tuple[sp.Symbol, sp.Expr]],
    restored: Mapping[sp.Symbol, sp.Expr],
) -> Letters | None:
    """Finite horizon without consumption: A = A(T) exp(alpha*(T - t)). `amplitude` is free for another use."""
    problem = equation.problem
    if equation.stationary:
        return None
    bequest = _amplitude_of(problem.objective.terminal, wealth)
    if any(amplitude.name == s.name for e in restored.values() for s in e.free_symbols):
        return None
    value = bequest * sp.exp(alpha * (problem.objective.end - TIME)) * wealth**p / p
    return Letters(value, restored, tuple(definitions), ())


def _logarithm(equation: HJBEquation, ansatz: Ansatz, candidate: Candidate) -> Letters | None:
    """V = a log(w) + b. Stationary: r a = slope of the utility, r b = the rest at w = 1. With an end: no running reward."""
    problem, scaling = equation.problem, ansatz.scaling
    if scaling is None:
        return None
    wealth, rate = problem.state_symbols[scaling.state], problem.objective.discount
    a, b = unused_symbol(problem, "a", "h", "k"), unused_symbol(problem, "b", "l", "m")
    slope = sp.Symbol(a.name, positive=True)
    table = {wealth: sp.S.One, VALUE: sp.S.Zero}
    matched = _matched(equation, candidate, table, (slope, -slope), None, sp.S.One)
    if matched is None:
        return None
    ones = dict.fromkeys((*problem.state_symbols, *problem.control_symbols), sp.S.One)
    moving = {wealth: 1, **{c: w for c, w in scaling.weights.items() if w}}
    weight = sp.cancel(euler(problem.objective.running, moving).xreplace(ones))
    restored = {c: e * wealth ** scaling.weights.get(c, 0) for c, e in matched.controls.items()}
    if equation.stationary:
        a_value = weight / rate
        b_value = _tidy(matched.free.xreplace({slope: a_value})) / rate
        controls = {c: _tidy(e.xreplace({slope: a_value})) for c, e in restored.items()}
        return Letters(a_value * sp.log(wealth) + b, controls, ((b, b_value),), (rate,))
    if problem.objective.running != 0:
        return None
    terminal = problem.objective.terminal or sp.S.Zero
    bequest = sp.cancel(euler(terminal, {wealth: 1}).xreplace(ones))
    to_go = problem.objective.end - TIME
    growth = unused_symbol(problem, "M", "L")
    value = bequest * sp.log(wealth) + terminal.xreplace({wealth: sp.S.One}) + bequest * growth * to_go
    controls = {c: _tidy(e.xreplace({slope: bequest})) for c, e in restored.items()}
    return Letters(
        value * sp.exp(-rate * to_go),
        controls,
        ((growth, sp.Add(*(_factored(t / slope) for t in sp.Add.make_args(matched.free)))),),
        (),
    )


def _exponential(equation: HJBEquation, ansatz: Ansatz, candidate: Candidate) -> Letters | None:
    """V = sign*exp(u - n x). The equation over V is affine in x; its slope fixes n, its value at 0 fixes u."""
    problem = equation.problem
    x = problem.state_symbols[problem.continuous_states[0]]
    u, n = sp.Symbol("u_level", real=True), sp.Symbol("n_slope", positive=True)
    value = ansatz.sign * sp.exp(u - n * x)
    table = {x: x, VALUE: value}
    matched = _matched(equation, candidate, table, (sp.diff(value, x), sp.diff(value, x, 2)), None, value)
    if matched is None:
        return None
    total = sp.expand(_tidy(sp.expand(matched.free)))
    slope = sp.diff(total, x)
    if x in slope.free_symbols:
        return None
    rest = sp.expand(total - slope * x)
    if equation.stationary:
        return _stationary_exponential(equation, ansatz, (x, u, n), (slope, rest), matched.controls)
    speed = sp.cancel(slope / n)
    if {u, n} & (speed.free_symbols | rest.free_symbols):
        return None
    terminal = sp.expand_log(sp.log(ansatz.sign * (problem.objective.terminal or sp.S.Zero)), force=True)
    to_go = problem.objective.end - TIME
    n_end, u_end = -sp.diff(terminal, x), terminal.xreplace({x: sp.S.Zero})
    if x in n_end.free_symbols:
        return None
    slope_then = n_end * sp.exp(-speed * to_go)
    controls = {a: _tidy(e.xreplace({n: slope_then})) for a, e in matched.controls.items()}
    exponent = -slope_then * x + _factored(rest) * to_go
    return Letters(ansatz.sign * sp.exp(u_end) * sp.exp(exponent), controls, (), ())


def _stationary_exponential(
    equation: HJBEquation,
    ansatz: Ansatz,
    unknowns: tuple[sp.Symbol, sp.Symbol, sp.Symbol],
    system: tuple[sp.Expr, sp.Expr],
    controls: Mapping[sp.Symbol, sp.Expr],
) -> Letters | None:
    """slope(n) = 0 has the positive root that matters once n is divided out; rest(u, n) = 0 is linear in u."""
    x, u, n = unknowns
    roots = [root for root in sp.solve(sp.cancel(system[0] / n), n) if equation.problem.numeric(root).is_positive]
    if len(roots) != 1:
        return None
    rest = system[1].xreplace({n: roots[0]})
    factor = sp.diff(rest, u)
    if u in factor.free_symbols or factor == 0:
        return None
    level = sp.expand(sp.expand_log(-rest.xreplace({u: sp.S.Zero}) / factor, force=True))
    letter = unused_symbol(equation.problem, "h", "u", "b")
    final = {a: _tidy(e.xreplace({n: roots[0]}).xreplace({u: letter})) for a, e in controls.items()}
    return Letters(ansatz.sign * sp.exp(letter - roots[0] * x), final, ((letter, level),), ())


# ------------------------------------------------------------------------------------------------- matching


def _matched(
    equation: HJBEquation,
    candidate: Candidate,
    at: Mapping[sp.Symbol, sp.Expr],
    derivatives: tuple[sp.Expr, sp.Expr],
    amplitude: sp.Symbol | None,
    unit: sp.Expr,
) -> _Matched | None:
    """The terms of f + b V_w + a V_ww/2 (- r V, except for `power`) divided by V.

    Each is tidied by itself, so that differences such as mu - r stay together. `unit` is the degree p for `power` (V = A/p at
    w = 1), V itself for `exponential`, 1 for `logarithm`.
    """
    problem = equation.problem
    table = {**at, equation.gradient[problem.continuous_states[0]]: derivatives[0]}
    table |= dict.fromkeys(equation.hessian.values(), derivatives[1])
    try:
        controls = {c: _tidy(e.xreplace(table)) for c, e in candidate.controls.items()}
    except (TypeError, ValueError):
        return None
    known = {**at, **controls}
    scale = amplitude / unit if amplitude is not None else unit
    drift, covariance = problem.drift[problem.continuous_states[0]], equation.covariance
    pieces = [(problem.objective.running, sp.S.One)]
    chosen = frozenset(controls)
    pieces += [(term, derivatives[0]) for term in _summands(drift, chosen)]
    pieces += [(term / 2, derivatives[1]) for entry in covariance.values() for term in _summands(entry, chosen)]
    if amplitude is None and unit != 1:
        pieces.append((-problem.objective.discount, unit))
    terms = [_tidy(piece.xreplace(known) * factor / scale) for piece, factor in pieces if piece != 0]
    if amplitude is None:
        return _Matched(sp.Add(*terms), sp.S.Zero, controls)
    free = sp.Add(*(_facing(_factored(t / unit), drift) for t in terms if amplitude not in t.free_symbols))
    return _Matched(free, sp.Add(*(t for t in terms if amplitude in t.free_symbols)), controls)


def _summands(expression: sp.Expr, chosen: frozenset[sp.Symbol]) -> list[sp.Expr]:
    """The terms of a sum, a factor such as `r + pi*(mu - r) - k` multiplied out where it holds a control; mu - r stays whole."""
    terms: list[sp.Expr] = []
    for term in sp.Add.make_args(expression):
        sums = [f for f in sp.Mul.make_args(term) if f.is_Add and f.free_symbols & chosen]
        if not sums:
            terms.append(term)
            continue
        rest = sp.Mul(*(f for f in sp.Mul.make_args(term) if f is not sums[0]))
        terms += [part for summand in sums[0].args for part in _summands(rest * summand, chosen)]
    return terms


def _tidy(expression: sp.Expr) -> sp.Expr:
    expanded = sp.expand_log(sp.expand_power_base(expression))
    tidied = sp.powsimp(sp.powdenest(expanded))
    return tidied.replace(lambda e: e.is_Pow and not e.exp.is_number, lambda e: e.base ** sp.cancel(e.exp))


def _facing(expression: sp.Expr, pattern: sp.Expr) -> sp.Expr:
    """Even powers of r - mu as powers of mu - r, where `pattern` writes the latter."""
    sums = pattern.atoms(sp.Add)
    return expression.replace(
        lambda e: e.is_Pow and e.exp.is_even and e.base.is_Add and -e.base in sums, lambda e: (-e.base) ** e.exp
    )


def _factored(expression: sp.Expr) -> sp.Expr:
    """Factored where that is quick: differences such as mu - r come out as factors."""
    return sp.factor(expression) if expression.count_ops() < _QUICK else expression


def _monomial(expression: sp.Expr, symbol: sp.Symbol) -> tuple[sp.Expr | None, sp.Expr | None]:
    """(beta, e) of beta*symbol^e; (None, None) where the terms have several exponents."""
    coefficients, exponents = [], set()
    for term in sp.Add.make_args(expression):
        coefficient, power = term.as_independent(symbol, as_Add=False)
        base, exponent = power.as_base_exp()
        if base != symbol:
            return None, None
        coefficients.append(coefficient)
        exponents.add(sp.cancel(exponent))
    if len(exponents) != 1:
        return None, None
    return sp.cancel(sp.Add(*coefficients)), exponents.pop()


def _put(expression: sp.Expr, amplitude: sp.Symbol, exponent: sp.Expr, power: sp.Expr) -> sp.Expr:
    """`expression` with amplitude^exponent replaced by `power`."""
    stand_in = sp.Dummy(positive=True)
    return _tidy(expression.xreplace({amplitude: stand_in ** (1 / exponent)})).xreplace({stand_in: power})


def _amplitude_of(reward: sp.Expr | None, wealth: sp.Symbol) -> sp.Expr:
    """A of a reward A*w^p/p."""
    if reward is None or reward == 0:
        return sp.S.Zero
    ones: dict[sp.Basic, sp.Expr] = {wealth: sp.S.One, TIME: sp.S.Zero}
    return sp.cancel(euler(reward, {wealth: 1}).xreplace(ones))


def _sign(problem: ControlProblem, expression: sp.Expr) -> float:
    number = problem.numeric(expression)
    return float(number) if number.is_extended_real else float("nan")

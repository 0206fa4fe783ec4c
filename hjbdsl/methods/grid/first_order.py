"""Equations of first order with time: which they are, and their characteristics as text of the generated program.

In: the emitter of an equation. Out: the context of the template `grid_front.py.j2`.
"""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp
from sympy.core.function import AppliedUndef

from hjbdsl.methods.grid.formulas import Emitter
from hjbdsl.model.equation import VALUE, Candidate, HJBEquation
from hjbdsl.model.problem import TIME

_CHEAP = (sp.Abs, sp.Max, sp.Min, sp.sign, sp.Piecewise, AppliedUndef)


def is_first_order(equation: HJBEquation, exits: bool) -> bool:
    """Whether the equation is of first order throughout, with time, on a domain without walls: then high order pays."""
    problem = equation.problem
    plain = not (equation.stationary or equation.covariance or problem.jumps or problem.modes or problem.lattice_states or exits)
    walls = any(c.kind in ("reflect", "slope", "constrain", "value", "absorbing") for c in equation.boundaries)
    return plain and not walls and equation.optimum.status != "implicit"


def front_context(emitter: Emitter) -> dict[str, object]:
    """`flow`: lines and results of the best control, the running reward less the discount, and the drift. `costly`: its terms
    that cost and depend on the last state alone (cos x of an angle), so that they can be worked out once for all lines."""
    equation, problem = emitter.equation, emitter.problem
    objective = problem.objective
    running = objective.running if objective.form in ("expectation", "average") else sp.S.Zero
    reward = sp.sympify(running) - sp.sympify(objective.discount) * VALUE
    drift = [sp.sympify(problem.drift[axis]) for axis in emitter.axes]
    cases = list(equation.optimum.candidates) if emitter.controls else []
    wheres = [sp.sympify(case.where) for case in cases]
    choices = [sp.sympify(case.controls[symbol]) for case in cases for symbol in emitter.controls]
    terms = _costly([reward, *drift, *wheres, *choices], problem.state_symbols[emitter.axes[-1]], set(problem.values))
    symbols = {term: sp.Symbol(f"e{k}", real=True) for k, term in enumerate(terms)}
    saved = dict(emitter.names)
    emitter.names |= {symbol: symbol.name for symbol in symbols.values()}
    lines = _choice(emitter, [e.xreplace(symbols) for e in wheres], [e.xreplace(symbols) for e in choices], cases)
    motion, results = emitter.lines([e.xreplace(symbols) for e in (reward, *drift)], controls=True)
    emitter.names = saved
    prepared, values = emitter.lines(terms) if terms else ([], [])
    chosen = [f"a{c}" for c in range(len(emitter.controls))]
    return _lines_of_the_mesh(len(emitter.axes)) | {
        "flow": {"lines": [*lines, *motion], "results": ", ".join([*chosen, *results])},
        "costly": {"count": len(terms), "lines": prepared, "results": ", ".join(values) + ",",
                   "names": "".join(f", e{k}" for k in range(len(terms))),
                   "at_k": "".join(f", E[{k}, k]" for k in range(len(terms))),
                   "row": ", ".join(f"E[{k}, k]" for k in range(len(terms))) + ","},
    }  # fmt: skip


def _lines_of_the_mesh(d: int) -> dict[str, object]:
    """Places in V and in P, V with its ghosts, of the line along the last axis through the node k0, k1, ..."""
    axes, across = range(d), range(d - 1)

    def product(factors: Sequence[str]) -> str:
        return " * ".join(factors) or "np.int64(1)"  # a plain 1 would have numba compile the kernel for that number alone

    def place(counts: Sequence[str], shift: str = "", start: int = 0) -> str:
        nodes = [f"(k{i} + {shift})" if shift else f"k{i}" for i in axes]
        return " + ".join(product([nodes[i], *counts[i + 1 :]]) for i in range(start, d - 1))

    ns, ms = [f"n{i}" for i in axes], [f"m{i}" for i in axes]
    names = (("lefts", "left"), ("rights", "right"), ("bls", "bl"), ("brs", "br"))
    return {
        "ms_padded": ", ".join(ms), "ns_padded": ", ".join(f"{n} + 2 * GHOSTS" for n in ns),
        "line_in_V": place(ns) or "0", "line_in_P": " + ".join(filter(None, (place(ms, "GHOSTS"), "GHOSTS"))),
        "outer": [product(ms[:i]) for i in axes], "inner_P": [product(ms[i + 1 :]) for i in axes],
        "carried": [" * ".join(ns[i + 1 : -1]) or "1" for i in across],
        "carried_at": [place(ns[:-1], start=i + 1) or "0" for i in across],
        "line_state": "".join(f"x{i}, " for i in across), "line_scales": ", ".join(f"scale{i}" for i in axes),
        **{name: ", ".join(f"{stem}{i}" for i in axes) for name, stem in names},
    }  # fmt: skip


def _choice(emitter: Emitter, wheres: Sequence[sp.Basic], choices: Sequence[sp.Expr], cases: Sequence[Candidate]) -> list[str]:
    """The control of the first case that holds, of the first case where none does."""
    if not cases:
        return []
    count = len(emitter.controls)
    lines, texts = emitter.lines([*wheres, *choices])
    conditions, values = texts[: len(cases)], texts[len(cases) :]
    names = ", ".join(f"a{c}" for c in range(count))
    assigned = [f"    {names} = {', '.join(values[k * count : (k + 1) * count])}" for k in range(len(cases))]
    if len(cases) == 1:
        return [*lines, assigned[0].strip()]
    for k, case in enumerate(cases):
        lines += [f"{'elif' if k else 'if'} {conditions[k]}:  # {case.name}", assigned[k]]
    return [*lines, "else:", assigned[0]]


def _costly(expressions: Sequence[sp.Basic], last: sp.Symbol, parameters: set[sp.Symbol]) -> list[sp.Expr]:
    """The largest subexpressions with a function or a root in them that depend on `last` and time alone."""
    found: dict[sp.Expr, None] = {}

    def walk(e: sp.Basic) -> None:
        free = e.free_symbols
        if last not in free or e.is_Symbol:
            return
        if isinstance(e, sp.Expr) and free <= {last, TIME} | parameters and not isinstance(e, _CHEAP) and _costs(e):
            found[e] = None
            return
        for argument in e.args:
            walk(argument)

    for expression in expressions:
        walk(expression)
    return list(found)


def _costs(expression: sp.Expr) -> bool:
    functions = any(not isinstance(f, _CHEAP) for f in expression.atoms(sp.Function))
    return functions or any(not power.exp.is_Integer for power in expression.atoms(sp.Pow))


__all__ = ["front_context", "is_first_order"]

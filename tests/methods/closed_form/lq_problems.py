"""Linear-quadratic problems built from arrays, so that the family is tested apart from the front end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import sympy as sp

from hjbdsl.errors import Span
from hjbdsl.model.problem import ControlProblem
from tests.symbolic.builder import LINE, group, make, objective

SPAN = Span("built.hjb", 1, 1, 1)


def exact(number: float) -> sp.Rational:
    return sp.Rational(str(round(float(number), 6)))


def quadratic(symbols, matrix) -> sp.Expr:
    vector = sp.Matrix(list(symbols))
    return sp.expand(
        (vector.T * sp.Matrix(np.shape(matrix)[0], np.shape(matrix)[1], lambda i, j: exact(matrix[i][j])) * vector)[0]
    )


def regulator(
    a, b, q, r, *, noise=None, discount=0.0, horizon=None, terminal=None, sense="minimize", form="expectation", cross=None,
    affine=None, state_noise=(), control_noise=(), running=0, adversaries=0, width=1.0, **fields,
) -> ControlProblem:  # fmt: skip
    """Minimal cost of x'q x + c'r c + 2 c'cross x + running (an expression in the symbols `states`, `controls` of the
    result); under maximize its negative. `noise` (n, k) additive, `state_noise` a list of (n, n), `control_noise` of (n, m)."""
    n, m = np.shape(b)
    states, controls = group("x", LINE, size=n), group("u", LINE, "control", size=m) if m else None
    x = states.symbols
    c = controls.symbols if controls else ()
    drift = [sum(exact(a[i][j]) * x[j] for j in range(n)) + sum(exact(b[i][j]) * c[j] for j in range(m)) for i in range(n)]
    if affine is not None:
        drift = [d + exact(v) for d, v in zip(drift, affine, strict=True)]
    columns = [] if noise is None else [[exact(v) for v in column] for column in np.transpose(noise)]
    columns += [[sum(exact(g[i][j]) * x[j] for j in range(n)) for i in range(n)] for g in state_noise]
    columns += [[sum(exact(d[i][j]) * c[j] for j in range(m)) for i in range(n)] for d in control_noise]
    diffusion = {(i, k): v for k, column in enumerate(columns) for i, v in enumerate(column) if v != 0}
    cost = quadratic(x, q) + (quadratic(c, r) if m else 0) + running
    if cross is not None:
        cost += sum(2 * exact(cross[i][j]) * c[i] * x[j] for i in range(m) for j in range(n))
    sign = -1 if sense == "maximize" else 1
    end = sp.oo if horizon is None else exact(horizon)
    final = None if horizon is None else sign * (sp.S.Zero if terminal is None else quadratic(x, terminal))
    goal = objective(
        sense, sign * cost, end=end, terminal=final, discount=exact(discount), form=form, risk=fields.pop("risk", None)
    )
    problem = make([states], drift, diffusion, goal, controls=[controls] if controls else (), noises=len(columns),
                   region=((exact(-width), exact(width)),) * n, origins={"objective": SPAN, "u": SPAN, "rho": SPAN, "x":
                   SPAN})  # fmt: skip
    if adversaries:
        last = c[m - adversaries :]
        mine = replace(
            controls, symbols=c[: m - adversaries], bounds=controls.bounds[: m - adversaries], shape=(m - adversaries,)
        )
        theirs = replace(
            controls, name="w", role="adversary", symbols=last, bounds=controls.bounds[m - adversaries :], shape=(adversaries,)
        )
        problem = replace(problem, controls=(mine,), adversaries=(theirs,), origins={**problem.origins, "w": SPAN})
    return replace(problem, **fields)


def at(function, x, t=0.0, mode=0):
    """(V, control) at one point."""
    point = function.evaluate(np.array([float(t)]), np.atleast_2d(np.asarray(x, dtype=float)), np.array([mode]))
    return point.value[0], point.control[0]

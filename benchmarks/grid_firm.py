"""The firm of Bolton, Chen and Wang (2011, case I) in finhjb, whose own example it is: the same equation, parameters, number of
nodes and tolerances as there; the payout boundary is searched by bisection.
"""

from __future__ import annotations

import numpy as np

Array = np.ndarray


# ruff: noqa: ARG004  finhjb calls these by position
def firm_finhjb(number: int) -> tuple[Array, Array]:
    """(w, V) on `number` nodes up to the payout boundary found."""
    import finhjb as fjb  # noqa: PLC0415  a peer that need not be installed
    import jax.numpy as jnp  # noqa: PLC0415

    class Parameter(fjb.AbstractParameter):
        r: float = 0.06
        delta: float = 0.1007
        mu: float = 0.18
        sigma: float = 0.09
        theta: float = 1.5
        carry: float = 0.01
        scrap: float = 0.9

    class Boundary(fjb.AbstractBoundary):
        @staticmethod
        def compute_v_left(p: Parameter) -> float:
            return p.scrap

        @staticmethod
        def compute_v_right(p: Parameter, s_max: float) -> Array:
            b = p.r + p.delta + 1.0 / p.theta
            c = p.mu - p.carry * s_max + 1.0 / (2.0 * p.theta)
            return s_max + p.theta * (b - jnp.sqrt(jnp.maximum(b * b - 2.0 * c / p.theta, 1e-12)))

    class Policy(fjb.AbstractPolicy):
        @staticmethod
        def initialize(grid: fjb.Grid, p: Parameter) -> dict[str, Array]:
            return {"investment": jnp.full_like(grid.s, 0.1)}

        @staticmethod
        @fjb.implicit_policy(
            order=1, solver="lm", policy_order=["investment"], implicit_diff=False, tol=1e-9, maxiter=20
        )  # fmt: skip
        def invest(policy: Array, v: Array, dv: Array, d2v: Array, s: Array, p: Parameter) -> Array:
            return jnp.array([(v / dv - s - 1.0) / p.theta - policy[0]])

    class Model(fjb.AbstractModel):
        @staticmethod
        def hjb_residual(v, dv, d2v, s, policy, jump, boundary, p):  # type: ignore[no-untyped-def]
            i = policy["investment"]
            flow = (p.r - p.carry) * s + p.mu - i - 0.5 * p.theta * i**2
            return (i - p.delta) * (v - s * dv) - p.r * v + flow * dv + 0.5 * p.sigma**2 * d2v

        @staticmethod
        def boundary_condition() -> list[fjb.BoundaryConditionTarget]:
            return [
                fjb.BoundaryConditionTarget(
                    boundary_name="s_max", condition_func=lambda grid: grid.d2v[-1], low=0.1, high=0.5, tol=1e-6, max_iter=80
                )
            ]

    config = fjb.Config(
        derivative_method="central", pe_max_iter=20, pe_tol=1e-8, pe_patience=100, pi_method="scan", policy_guess=True,
        pi_max_iter=120, pi_tol=1e-10, pi_patience=100, bs_max_iter=120, bs_tol=1e-6, bs_patience=40,
    )  # fmt: skip
    boundary = Boundary(p=Parameter(), s_min=0.0, s_max=0.22)
    solver = fjb.Solver(boundary=boundary, model=Model(policy=Policy()), policy_guess=True, number=number, config=config)
    grid = solver.boundary_search(method="bisection", verbose=False).grid
    return np.asarray(grid.s), np.asarray(grid.v)

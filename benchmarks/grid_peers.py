"""What others write for the problems of `benchmarks.grid`: implicit upwind with sparse matrices, algebraic multigrid inside
policy iteration; and the memory's bandwidth. (finhjb: `grid_firm`; hj-reachability: `reach`.)
"""

from __future__ import annotations

import numpy as np
from scipy import sparse
from scipy.sparse import linalg

Array = np.ndarray
GAMMA, RHO, RATE = 2.0, 0.05, 0.03


def upwind_income(assets: Array, incomes: Array, motion: sparse.csr_matrix) -> Array:
    """V of consumption and saving with income states (Achdou et al. 2022, numerical appendix): semi-implicit upwind iteration
    with a sparse direct solve, to a change of 1e-9. `motion`: generator of the income, on (incomes, assets) in that order."""
    n, count = assets.size, incomes.size
    da = np.diff(assets)
    ahead, behind = np.append(da, da[-1]), np.append(da[0], da)
    flow = RATE * assets[None, :] + incomes[:, None]
    V = flow ** (1 - GAMMA) / (1 - GAMMA) / RHO
    for _ in range(200):
        forward, backward = np.empty_like(V), np.empty_like(V)
        forward[:, :-1] = np.diff(V, axis=1) / da
        forward[:, -1] = flow[:, -1] ** -GAMMA
        backward[:, 1:] = np.diff(V, axis=1) / da
        backward[:, 0] = flow[:, 0] ** -GAMMA
        c_forward, c_backward = (np.maximum(p, 1e-12) ** (-1 / GAMMA) for p in (forward, backward))
        up, down = flow - c_forward, flow - c_backward
        saves, eats = up > 0, (down < 0) & (up <= 0)
        c = np.where(saves, c_forward, np.where(eats, c_backward, flow))
        x, y = np.where(saves, up, 0.0) / ahead, -np.where(eats, down, 0.0) / behind
        x[:, -1], y[:, 0] = 0.0, 0.0
        size = n * count
        A = sparse.diags([-(x + y).ravel(), x.ravel()[:-1], y.ravel()[1:]], [0, 1, -1], (size, size)) + motion
        system = (RHO + 1e-3) * sparse.eye(size) - A
        new = linalg.spsolve(system.tocsc(), (c ** (1 - GAMMA) / (1 - GAMMA)).ravel() + 1e-3 * V.ravel()).reshape(V.shape)
        change, V = float(np.max(np.abs(new - V))), new
        if change < 1e-9:
            break
    return V


def income_pair(n: int) -> tuple[Array, Array]:
    """Two income states, n asset nodes."""
    assets = np.linspace(-0.02, 2.0, n)
    rates = sparse.csr_matrix(np.array([[-1.5, 1.5], [1.0, -1.0]]))
    return assets, upwind_income(assets, np.array([0.1, 0.2]), sparse.kron(rates, sparse.eye(n)).tocsr())


def income_diffusion(n: int, m: int) -> tuple[Array, Array]:
    """Income dz = 0.35 (1 - z) dt + 0.1 dW reflected at 0.5 and 1.5 on m nodes, n asset nodes."""
    assets, incomes = np.linspace(0.0, 30.0, n), np.linspace(0.5, 1.5, m)
    h = incomes[1] - incomes[0]
    drift, noise = 0.35 * (1 - incomes), 0.01 / (2 * h * h)
    up, down = np.maximum(drift, 0) / h + noise, np.maximum(-drift, 0) / h + noise
    up[0], down[-1] = up[0] + noise, down[-1] + noise
    up[-1], down[0] = 0.0, 0.0
    Z = sparse.diags([-(up + down), up[:-1], down[1:]], [0, 1, -1])
    return assets, upwind_income(assets, incomes, sparse.kron(Z, sparse.eye(n)).tocsr())


def amg_policy_iteration(n: int, d: int, noise: float, tolerance: float = 1e-7) -> tuple[Array, int]:
    """V of: |u_i| <= 1, drift (-y + u, x + v[, -z + w]), cost |x|^2 + 0.1 |u|^2, discount 1, [-1, 1]^d reflecting; central
    differences where the matrix stays monotone, upwind else; pyamg's Ruge-Stueben multigrid with BiCGSTAB for every policy.
    Returns (V, policies)."""
    import pyamg  # noqa: PLC0415  a peer that need not be installed

    x = np.linspace(-1, 1, n)
    h = x[1] - x[0]
    X = np.meshgrid(*[x] * d, indexing="ij")
    own = [-X[1], X[0], -X[2]] if d == 3 else [-X[1], X[0]]
    V = sum(z**2 for z in X)
    diffusion = noise**2 / (2 * h * h)
    numbers = np.arange(n**d).reshape([n] * d)
    ends = np.append(np.arange(1, n), n - 2), np.append(1, np.arange(n - 1))
    after, before = ([np.take(numbers, k, axis=i) for i in range(d)] for k in ends)
    count, change = 0, np.inf
    while change >= tolerance and count < 30:
        count += 1
        weights, cost = [], sum(z**2 for z in X)
        for i in range(d):
            up, down = (V.ravel()[after[i]] - V) / h, (V - V.ravel()[before[i]]) / h
            u = np.clip(-5 * 0.5 * (up + down), -1, 1)
            b = own[i] + u
            central = np.abs(b) * h <= noise**2
            weights.append(np.where(central, diffusion + b / (2 * h), diffusion + np.maximum(b, 0) / h))
            weights.append(np.where(central, diffusion - b / (2 * h), diffusion + np.maximum(-b, 0) / h))
            cost = cost + 0.1 * u**2
        columns = [k.ravel() for i in range(d) for k in (after[i], before[i])]
        rows = np.tile(numbers.ravel(), 2 * d)
        A = sparse.diags(1.0 + sum(weights).ravel()) - sparse.csr_matrix(
            (np.concatenate([w.ravel() for w in weights]), (rows, np.concatenate(columns))), shape=(V.size, V.size)
        )
        solver = pyamg.ruge_stuben_solver(A.tocsr())
        new = solver.solve(cost.ravel(), x0=V.ravel(), tol=1e-9, accel="bicgstab").reshape(V.shape)
        change, V = float(np.max(np.abs(new - V))), new
    return V, count


def triad(size: int = 20_000_000) -> float:
    """Bytes per second of a = b + s c."""
    import time  # noqa: PLC0415

    a, b, c = np.zeros(size), np.ones(size), np.ones(size)
    best = np.inf
    for _ in range(5):
        began = time.perf_counter()
        np.multiply(c, 3.0, out=a)
        np.add(a, b, out=a)
        best = min(best, time.perf_counter() - began)
    return 5 * 8 * size / best

"""Upper and lower bounds of the optimal cost from paths of the learned control: one simulation gives both.

Let W be any function with W(T) = g, u its minimising control, R = W_t + min_u {f + b.DW} + 1/2 tr(SS'D²W) - r W, and D the
discount. Ito's formula gives, for every control v with Hamiltonian gap G(v) >= 0,

    J(v) = W(0, x) + E^v int D (R + G(v)) dt.                                                              (1)

Upper bound: v = u, where G = 0. Lower bound: let b be affine in the control, B = db/dv, and f strongly convex, f_vv = Q. Then
G(v) >= (v-u)'Q(v-u)/2, while the relative entropy of v's paths to u's grows at (v-u)'B'(SS')⁺B(v-u)/2 a unit of time. With the
largest c such that Q >= c B'(SS')⁺B, the variational formula of Donsker and Varadhan turns (1) into

    V(0, x) >= W(0, x) + sum_k (D_k - D_{k+1}) L_{k+1} + D_K L_K,     L_k = -c log E^u exp(-A_k / c),  A_k = int_0^{t_k} R dt,

for a discount free of state and control (summed by parts, the discount mixes horizons). The gap is about Var(A)/(2c), of second
order in the error of DW. Along a path, R dt = cost + D W(next) - W - DW.S dW: no second derivatives are needed; they only
reduce the noise of the martingale's increments, whose mean is zero whatever they are (`_Simulation._martingale`).

In: a model, a policy, points. Out: `Bounds`. (Boué and Dupuis, Annals of Probability 26, 1998, for the case of equality.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hjbdsl.methods.neural.path_model import PathModel
from hjbdsl.methods.neural.path_sampling import Policy
from hjbdsl.model.solution import Array
from hjbdsl.numeric.compile import compile_expressions
from hjbdsl.numeric.importance_weights import CERTAIN

ROWS = 8192
WIDEST = 2_000_000
"""Entries of a batch of states."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Of the optimal cost at k points: means with their standard errors. `effective` is the share of paths that carry the lower
    bound's average (1: all alike; 0: one path); `spread` the standard deviation of a path's corrected cost."""

    upper: Array
    upper_error: Array
    lower: Array
    lower_error: Array
    effective: Array
    spread: Array


@dataclass(frozen=True, slots=True)
class Plan:
    """`steps` over `span` (a horizon's rest where None); `paths` a point, in antithetic pairs; `coarsen` steps taken as one,
    under the same noise."""

    steps: int
    paths: int
    seed: int
    span: float | None = None
    coarsen: int = 1


def convexity(model: PathModel) -> float | None:
    """The constant c of the lower bound; None where the problem is not of that form."""
    program = model.program
    m, n = program.controls, model.states
    rate_varies = model.rate is None
    if m == 0 or rate_varies or model.loading_matrix is None or not _convex_set(model):
        return None
    generator = torch.Generator().manual_seed(0)
    found: list[tuple[Array, Array]] = []
    for _ in range(3):
        x = torch.randn(1, n, generator=generator) + torch.zeros(1, n)
        x = torch.maximum(torch.minimum(x, model.high), model.low)
        a = torch.rand(1, m, generator=generator)
        t = torch.rand(1, generator=generator) * (model.end if math.isfinite(model.end) else 1.0)
        pair = _second_order(model, t, x, a)
        if pair is None:
            return None
        found.append(pair)
    Q, B = found[0]
    same = all(np.allclose(Q, q, rtol=1e-4, atol=1e-6) and np.allclose(B, b, rtol=1e-4, atol=1e-6) for q, b in found[1:])
    if not same or np.linalg.eigvalsh(Q).min() <= 1e-9 * max(1.0, np.abs(Q).max()):
        return None
    S = model.loading_matrix.double().cpu().numpy()
    inverse = np.linalg.pinv(S @ S.T, rcond=1e-10)
    if np.abs(S @ S.T @ inverse @ B - B).max() > 1e-6 * np.abs(B).max():
        return None
    half = np.linalg.inv(np.linalg.cholesky(Q))
    largest = float(np.linalg.eigvalsh(half @ B.T @ inverse @ B @ half.T).max())
    return 1.0 / largest if largest > 0.0 else None


def _second_order(model: PathModel, t: Tensor, x: Tensor, a: Tensor) -> tuple[Array, Array] | None:
    """f_aa (m, m) and db/da (n, m) at one point, by automatic differentiation."""
    program = model.program
    m, n = program.controls, model.states
    rows = a.expand(m, -1).clone().requires_grad_(True)
    f = model.running(t.expand(m), x.expand(m, -1), rows)
    if not f.requires_grad:
        return None
    (slope,) = torch.autograd.grad(f.sum(), rows, create_graph=True)
    if not slope.requires_grad:
        return None
    (Q,) = torch.autograd.grad(slope, rows, grad_outputs=torch.eye(m), allow_unused=True)
    rows = a.expand(n, -1).clone().requires_grad_(True)
    b = program.module.drift(t.expand(n), x.expand(n, -1), model.modes(x.expand(n, -1)), rows)
    if Q is None or not b.requires_grad:
        return None
    (B,) = torch.autograd.grad(b, rows, grad_outputs=torch.eye(n))
    return Q.double().numpy(), B.double().numpy()


def _convex_set(model: PathModel) -> bool:
    """Whether the controls live in a convex set: boxes, and constraints c(u) <= 0 with c convex between random pairs."""
    problem = model.problem
    if any(b.is_finite_set or b.periodic for g in problem.controls for b in g.bounds):
        return False
    random = np.random.default_rng(0)
    for constraint in problem.constraints:
        if constraint.role != "control":
            continue
        condition = problem.numeric(constraint.condition)
        if not hasattr(condition, "gts") or not condition.free_symbols <= set(problem.control_symbols):
            return False
        function = compile_expressions(problem.control_symbols, (condition.lts - condition.gts,))
        ends = random.normal(size=(2, 300, len(problem.control_symbols))) * np.exp(random.normal(size=(2, 300, 1)))
        first, second, middle = (function(*rows.T)[0] for rows in (ends[0], ends[1], ends.mean(0)))
        if np.any(middle > 0.5 * (first + second) + 1e-9 * (1.0 + np.abs(middle))):
            return False
    return True


def bound(model: PathModel, policy: Policy, c: float | None, t: Array, x: Array, plan: Plan) -> Bounds:
    """Bounds at k points, t (k,), x (k, n). Without `c` the lower one is an estimate: from R's negative part along
    the learned paths."""
    rows = max(2, min(ROWS, WIDEST // model.states))
    per = max(1, rows // plan.paths)
    parts = []
    for start in range(0, len(t), per):
        generator = torch.Generator(device=model.device).manual_seed(plan.seed + start)
        torch.manual_seed(plan.seed + start)
        with torch.no_grad():
            parts.append(_Simulation(model, policy, c, plan, generator).run(t[start : start + per], x[start : start + per]))
    return Bounds(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


class _Simulation:
    """Paths of a few points at once; rows are (point, path), antithetic partners in the two halves of a point's paths."""

    def __init__(self, model: PathModel, policy: Policy, c: float | None, plan: Plan, generator: torch.Generator):
        self.model, self.policy, self.c, self.plan, self.generator = model, policy, c, plan, generator

    def run(self, t: Array, x: Array) -> tuple[Array, ...]:
        """The columns of `Bounds`."""
        model, plan = self.model, self.plan
        half = max(1, plan.paths // 2)
        shape, count = (len(t), 2 * half), plan.steps // plan.coarsen
        clock = torch.tensor(t, dtype=torch.float32, device=model.device).repeat_interleave(2 * half)
        state = torch.tensor(x, dtype=torch.float32, device=model.device).repeat_interleave(2 * half, 0)
        span = (model.end - clock) if plan.span is None else torch.full_like(clock, plan.span)
        h = span / count
        W, p = self.policy.slope(clock, state)
        tally = _Tally(W.double().reshape(shape), self.c)
        for step in range(count):
            noise = model.shaken(clock, state, self._increments(shape[0], half) * torch.sqrt(h / plan.coarsen)[:, None])
            u = self.policy.control(clock, state, W, p)
            moved, _ = model.step(clock, h, state, u, noise, self.policy)
            martingale, negative = self._martingale(clock, state, p, noise, h)
            clock, state, last = clock + h, moved.x, step + 1 == count
            if last and plan.span is None:
                after, p = model.terminal(clock, state), torch.zeros_like(state)
            else:
                after, p = self.policy.slope(clock, state)
            change = moved.cost + moved.factor * after - W - martingale
            tally.add(change.reshape(shape), moved.factor.reshape(shape), (h * negative).reshape(shape), last)
            W = after
        return tally.columns()

    def _increments(self, points: int, half: int) -> Tensor:
        """Antithetic standard increments of one coarse step, the sum over its fine ones: (rows, noises)."""
        shape, device = (points, half, self.model.noises), self.model.device
        draws = [torch.randn(shape, generator=self.generator, device=device) for _ in range(self.plan.coarsen)]
        total = torch.stack(draws).sum(0)
        return torch.cat([total, -total], 1).reshape(points * 2 * half, -1)

    def _martingale(self, t: Tensor, x: Tensor, p: Tensor, noise: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """An increment of mean zero close to DW.S dW, and max(-R, 0) where the lower bound is estimated from it."""
        first, model, value = (p * noise).sum(-1), self.model, self.policy.value
        negative = torch.zeros_like(t)
        constant = model.loading_matrix is not None
        if value is None or (self.c is not None and not constant):
            return first, negative
        full = value.complete(t, x + noise)
        if self.c is None:
            u = self.policy.control(t, x + noise, full.W, full.slope)
            z = model.modes(x)
            drift = (model.module.drift(t, x + noise, z, u) * full.slope).sum(-1)
            rest = model.running(t, x + noise, u) + drift - model.module.discount(t, x + noise, z, u) * full.W
            negative = torch.relu(-(full.W_t + full.diffusion + rest))
        if not constant:
            return first, negative
        # Stein's identity: E[DW(x + n).n] = h E[tr(S S' D²W)(x + n)]
        return 0.5 * (first + (full.slope * noise).sum(-1)) - h * full.diffusion, negative


class _Tally:
    """Sums along paths (points, paths), and the bounds that they make at the end."""

    def __init__(self, first: Tensor, c: float | None):
        self.first, self.c = first, c
        self.discount = torch.ones_like(first)
        self.total, self.summed, self.negative = torch.zeros_like(first), torch.zeros_like(first), torch.zeros_like(first)
        self.lower, self.influence = torch.zeros_like(first[:, 0]), torch.zeros_like(first)
        self.effective = torch.ones_like(first[:, 0])

    def add(self, change: Tensor, factor: Tensor, negative: Tensor, last: bool) -> None:
        """One step: R dt as `change`, the discount factor, max(-R, 0) dt."""
        self.total += self.discount * change.double()
        self.summed += change.double()
        self.negative += self.discount * negative.double()
        following = self.discount * factor.double()
        if self.c is not None:
            weight = self.discount[:, 0] if last else (self.discount - following)[:, 0]
            exponent = -self.summed / self.c
            level = torch.logsumexp(exponent, 1) - math.log(exponent.shape[1])
            weights = torch.exp(exponent - level[:, None])
            self.lower -= self.c * weight * level
            self.influence -= self.c * weight[:, None] * (weights - 1.0)
            self.effective = 1.0 / (weights**2).mean(1)
        self.discount = following

    def columns(self) -> tuple[Array, ...]:
        """Upper and lower bound with standard errors, the effective share, the spread."""
        cost = self.first + self.total
        upper, upper_error = _mean_of_pairs(cost)
        if self.c is None:
            lower, lower_error = _mean_of_pairs(self.first - self.negative)
        else:
            _, lower_error = _mean_of_pairs(self.influence)
            # the logarithm of an average of few paths lies above the logarithm of the mean
            lower = self.first[:, 0] + self.lower - 0.5 * lower_error**2 / self.c
        return tuple(v.cpu().numpy() for v in (upper, upper_error, lower, lower_error, self.effective, cost.std(1)))


def _mean_of_pairs(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Mean over antithetic pairs (points,) and its standard error."""
    half = rows.shape[1] // 2
    pairs = 0.5 * (rows[:, :half] + rows[:, half:])
    return pairs.mean(1), pairs.std(1) / math.sqrt(half)


__all__ = ["CERTAIN", "Bounds", "Plan", "bound", "convexity"]

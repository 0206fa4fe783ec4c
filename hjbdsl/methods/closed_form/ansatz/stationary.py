"""The stationary coefficients: the root of F(theta) = 0 that finite-horizon values tend to.

In: a matching. Out: theta with F(theta) = 0 to rounding, and the spectrum of the linearised flow there.

Pseudo-transient continuation (Kelley, Keyes, SIAM J. Numer. Anal. 35, 1998) follows the backward flow d theta/d tau = F, tau the
time to go, with growing steps that end as Newton's method; so the root found is one that finite-horizon values approach. At the
root the derivative of the flow in the direction of dV/dtheta_k is E[exp(-r T) dV/dtheta_k(X_T)] under the optimal control (the
envelope theorem). All eigenvalues negative means that exp(-r t) E[V(X_t)] -> 0, and the like for every function of the ansatz:
that is transversality.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hjbdsl.methods.closed_form.ansatz.matching import DEFECT, Matching
from hjbdsl.model.solution import Array

_STEPS = 400
_FAR = 300.0
"""A logarithmic amplitude beyond this has run away."""
_JUMP = 10.0
"""A step after which the flow is this much faster than here and at the start has left the path of finite-horizon values; a policy
that switches makes it a little faster."""
_TOLD = 1e-7
"""What rounding may leave open of a root, relative to its coefficients: all of it where finite-horizon values barely move."""
_CANCELLED = 1e-10


@dataclass(frozen=True, slots=True)
class StationaryRoot:
    """`theta` (D, K); `decay` = -(largest real part of the spectrum) > 0; `residual` |F|; `defect` of the matching there."""

    theta: Array
    decay: float
    residual: float
    defect: float


@dataclass(frozen=True, slots=True)
class NoRoot:
    """`diverges`: finite-horizon values certainly grow for ever, at `rate` a unit of time."""

    reason: str
    diverges: bool = False
    rate: float = 0.0


def stationary_root(matching: Matching) -> StationaryRoot | NoRoot:
    """The admissible root, or why there is none."""
    reason = NoRoot("no start from which the coefficients of the ansatz can be computed")
    for start in starts(matching):
        result = _continue(matching, start)
        if isinstance(result, StationaryRoot):
            if result.decay > max(result.residual / (_TOLD * (1.0 + float(np.abs(result.theta).max()))), _least_decay(matching)):
                return result
            what = "is not approached by finite-horizon values" if result.decay <= 0 else "is hardly told from an infinite value"
            reason = NoRoot(f"the only root found {what} (transversality fails)")
        elif result.diverges or not reason.diverges:
            reason = result
    return reason


def _least_decay(matching: Matching) -> float:
    """What rounding makes of a decay of 0: a share of the discount rate, which the growth of the rewards cancels there."""
    problem = matching.hamiltonian.equation.problem
    rate = problem.numeric(problem.objective.discount)
    return _CANCELLED * abs(float(rate)) if rate.is_number else 0.0


def starts(matching: Matching) -> Iterator[Array]:
    """Coefficients to begin from, the terminal reward or zero first."""
    shape = (matching.places, matching.coefficients)
    kind = matching.ansatz.kind
    terminal = matching.terminal() if matching.hamiltonian.equation.problem.objective.terminal is not None else None
    if terminal is not None and np.isfinite(terminal).all():
        yield terminal
    if kind == "logarithm":
        theta = np.zeros(shape)
        theta[:, -1] = 1.0
        yield theta
        return
    yield np.zeros(shape)
    if kind in ("power", "polynomial") and matching.coefficients == 1:
        return
    sign = 1.0 if matching.hamiltonian.equation.maximise else -1.0
    for size in (0.1, 1.0, 0.01):
        for direction in (-sign, sign):
            theta = np.zeros(shape)
            theta[:, 1:] = direction * size
            yield theta


def _continue(matching: Matching, start: Array) -> StationaryRoot | NoRoot:
    theta, here = start, matching(0.0, start)
    if not here.valid:
        return NoRoot("the optimum is not attained on the ansatz")
    if here.defect > DEFECT:
        return NoRoot(f"not invariant (defect {here.defect:.1e})")
    first = np.abs(here.flow).max()
    step = 1.0 / (1.0 + first)
    size = theta.size
    for _ in range(_STEPS):
        jacobian = flow_jacobian(matching, theta, here.control)
        if jacobian is None:
            return NoRoot("the optimum is not attained on the ansatz")
        change = np.linalg.solve(np.eye(size) / step - jacobian, here.flow.ravel()).reshape(theta.shape)
        trial = matching(0.0, theta + change, here.control)
        faster = np.abs(trial.flow).max() > _JUMP * max(first, np.abs(here.flow).max())
        if not trial.valid or faster or np.abs(change).max() > 5 + np.abs(theta).max():
            step /= 4
            if step < 1e-14:
                return NoRoot("the flow of the coefficients cannot be followed")
            continue
        if trial.defect > DEFECT:
            return NoRoot(f"not invariant (defect {trial.defect:.1e})")
        ratio = np.abs(here.flow).max() / max(np.abs(trial.flow).max(), 1e-300)
        step = min(step * float(np.clip(ratio, 0.5, 4.0)) * 1.5, 1e15)
        theta, here = theta + change, trial
        if np.abs(change).max() <= 1e-14 * (1 + np.abs(theta).max()) and step > 1e3:
            break
        if np.abs(theta).max() > (_FAR if matching.ansatz.multiplicative else 1e9):
            growth = growth_rate(matching, theta)
            return NoRoot("the coefficients of the finite-horizon problem grow without bound", growth > 0, growth)
    jacobian = flow_jacobian(matching, theta, here.control)
    residual = float(np.abs(here.flow).max())
    if jacobian is None or residual > 1e-9 * (1 + np.abs(theta).max()):
        return NoRoot(f"the coefficients did not settle (residual {residual:.1e})")
    decay = -float(np.linalg.eigvals(jacobian).real.max())
    return StationaryRoot(theta, decay, residual, here.defect)


def growth_rate(matching: Matching, theta: Array) -> float:
    """The rate at which the amplitudes of the finite-horizon value grow for ever, 0 where that is not certain.

    At amplitudes beyond every reward F no longer depends on their common size: there exp(theta_0) obeys a linear system by mode,
    or an optimum over such systems, with nonnegative entries off the diagonal. By Collatz and Wielandt its growth rate is at
    least the least F of any profile, so that a positive least F is proof. (Without modes: (1 - gamma) max_f G(f) - rho > 0.)
    """
    if not matching.ansatz.multiplicative:
        return 0.0
    flows = []
    for level in (_FAR, 1.2 * _FAR):
        moved = theta.copy()
        moved[:, 0] += level - theta[:, 0].min()
        match = matching(0.0, moved)
        if not match.valid or match.defect > DEFECT:
            return 0.0
        flows.append(match.flow)
    rounding = 1e-9 * (1e-3 + np.abs(flows[1]).max())
    settled = np.abs(flows[1][:, 1:]).max(initial=0.0) <= 1e-6 * (1 + np.abs(theta[:, 1:]).max(initial=0.0))
    least = float(flows[1][:, 0].min())
    certain = least > 100 * rounding and settled and np.abs(flows[1] - flows[0]).max() <= rounding
    return least if certain else 0.0


def flow_jacobian(matching: Matching, theta: Array, control: Array) -> Array | None:
    """dF/dtheta by central differences, (D*K, D*K)."""
    flat = theta.ravel()
    columns = []
    for k in range(len(flat)):
        h = 1e-5 * (1 + abs(flat[k]))
        moved = []
        for sign in (1, -1):
            shifted = flat.copy()
            shifted[k] += sign * h
            match = matching(0.0, shifted.reshape(theta.shape), control)
            if not match.valid:
                return None
            moved.append(match.flow.ravel())
        columns.append((moved[0] - moved[1]) / (2 * h))
    return np.stack(columns, axis=1)

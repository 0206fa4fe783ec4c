"""Family: noise and control enter the same way, and the equation becomes linear in phi = exp(-kappa V) (Hopf and Cole).

After the optimum over quadratic controls the Hamiltonian is b.p + l - p'N p/2 (risk and adversaries included in N). Where
N = kappa Q with a constant kappa, Q the covariance rate,

    V(t, x) = -(1/kappa) log E exp(-kappa (g(X_T) + int_t^T l(X_s) ds)),   dX = b dt + S dW,

under minimize (kappa > 0 for a control) and, with kappa < 0, under maximize. b linear, l quadratic, g of few dimensions.
Source: Fleming and Soner, Controlled Markov Processes and Viscosity Solutions, VI.4; Kappen (2005), J. Stat. Mech. P11011.
"""

from __future__ import annotations

import numpy as np

from hjbdsl.methods.closed_form.expectation.assemble import gaussian_value
from hjbdsl.methods.closed_form.expectation.chart import one_sided
from hjbdsl.methods.closed_form.expectation.integrability import require_integrable
from hjbdsl.methods.closed_form.expectation.linear_control import LinearControl, linear_control
from hjbdsl.methods.closed_form.expectation.report import measured_accuracy, reduced_dimensions
from hjbdsl.methods.closed_form.family import Proposal
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Rejected

_LARGEST_ERROR = 1e-8
_PROPORTIONAL = 1e-10


def propose(equation: HJBEquation) -> Proposal | Rejected:
    """The value as a Gaussian expectation. Raises `HjbError` (HJB121) where that expectation is infinite."""
    problem = equation.problem
    if not problem.control_symbols and problem.objective.form != "risk":
        return Rejected("there is nothing to choose")
    model = linear_control(problem)
    if isinstance(model, Rejected):
        return model
    if not np.isfinite(model.end):
        return Rejected("the horizon is infinite")
    if model.rest != 0:
        return Rejected("the running cost of the state is not quadratic")
    kappa = _exponent(model)
    if isinstance(kappa, Rejected):
        return kappa
    function = gaussian_value(model, model.terminal, kappa, problem)
    if isinstance(function, Rejected):
        return function
    if kappa != 0 and (border := require_integrable(problem, function, kappa)) is not None:
        return border
    accuracy = measured_accuracy(problem, function)
    if not accuracy.relative <= _LARGEST_ERROR:
        return Rejected(f"the quadrature reached only {accuracy.relative:.1e} of the size of V")
    return Proposal(
        family="Hopf-Cole: V = -log E exp(-kappa * cost)/kappa"
        if kappa != 0
        else "Hopf-Cole: control and risk cancel, V = E cost",
        function=function,
        statements=(
            f"noise and control enter the same way: G R^-1 G' = kappa * covariance with kappa = {kappa:.12g}",
            reduced_dimensions(function),
            accuracy.statement,
        ),
        accuracy=accuracy.absolute,
        warnings=one_sided(problem, model.chart),
    )


def _exponent(model: LinearControl) -> float | Rejected:
    """kappa with N = kappa Q at all times, the second-order condition checked."""
    if any(
        np.any(a(t)) for t in _times(model) for a in (model.discount.constant, model.discount.linear, model.discount.quadratic)
    ):
        return Rejected("a discounted equation does not become linear")
    found: list[float] = []
    for t in _times(model):
        reason = _second_order(model, t)
        if reason:
            return Rejected(reason)
        noise, quadratic = model.noise(t), model.quadratic_hamiltonian(t)
        size = float(np.sum(noise * noise))
        if size == 0:
            return Rejected("there is no noise")
        kappa = float(np.sum(noise * quadratic)) / size
        if np.max(np.abs(quadratic - kappa * noise)) > _PROPORTIONAL * (
            np.max(np.abs(quadratic)) + abs(kappa) * np.max(np.abs(noise))
        ):
            return Rejected("noise and control do not enter the same way")
        found.append(kappa)
    if max(found) - min(found) > _PROPORTIONAL * max(np.abs(found)):
        return Rejected("the ratio of control to noise changes with time")
    size = max(np.abs(model.risk), np.max(np.abs(found)))
    return 0.0 if abs(found[0]) <= 1e-14 * size else found[0]


def _times(model: LinearControl) -> list[float]:
    return [float(t) for t in np.linspace(0.0, model.end, 9)]


def _second_order(model: LinearControl, t: float) -> str:
    """Controls: R positive under minimize, negative under maximize; adversaries the other way."""
    cost = model.sense * model.cost(t)
    m = model.controllers
    own, other = cost[:m, :m], -cost[m:, m:]
    for block in (own, other):
        if block.size and np.linalg.eigvalsh(block).min() <= 0:
            return "the Hamiltonian is not strictly convex in what is chosen"
    return ""

"""The control that keeps a state without noise where it is."""

from __future__ import annotations

import numpy as np
import sympy as sp

from hjbdsl.methods.closed_form.one_dimensional.compiled import compiled
from hjbdsl.methods.closed_form.one_dimensional.component import Component
from hjbdsl.methods.closed_form.one_dimensional.policy_iteration import NoConvergence
from hjbdsl.model.solution import Array


def resting_controls(component: Component, x: Array) -> Array:
    """(m, k, 1): the control that keeps the state where it is; needs one control that enters the drift affinely."""
    controls = component.line.controls
    if len(controls) != 1:
        raise NoConvergence("without noise, one control is needed to rest at a point")
    a = controls[0]
    result = np.empty((component.modes, len(x), 1))
    for k, drift in enumerate(component.line.drift):
        gain = sp.diff(drift, a)
        if gain == 0 or gain.has(a):
            raise NoConvergence("without noise, the control must enter the drift affinely")
        result[k, :, 0] = compiled((component.line.state,), (-drift.subs(a, 0) / gain,))(x)[0]
    return result

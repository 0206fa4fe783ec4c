"""One continuous state: equations that are ordinary differential equations, solved by formula or to about 1e-11.

`perpetual_formula` first (a formula), then `free_boundary` (any other stopping), then `boundary_value` (exit,
discounted, average).
`first_order` takes the problems without noise.
"""

from __future__ import annotations

from hjbdsl.methods.closed_form.one_dimensional.boundary_value import propose_boundary_value
from hjbdsl.methods.closed_form.one_dimensional.first_order import propose_first_order
from hjbdsl.methods.closed_form.one_dimensional.free_boundary import propose_free_boundary
from hjbdsl.methods.closed_form.one_dimensional.perpetual_formula import propose_perpetual_stopping

__all__ = ["propose_boundary_value", "propose_first_order", "propose_free_boundary", "propose_perpetual_stopping"]

"""One continuous state: equations that are ordinary differential equations, solved by formula or to about 1e-11.

`perpetual_formula` first (a formula), then `free_boundary` (any other stopping), then `boundary_value` (exit,
discounted, average).
Without noise: `first_order` (discounted), `exit_flow` (exit).
"""

from __future__ import annotations

from hjbdsl.methods.closed_form.one_dimensional import boundary_value, exit_flow, first_order, free_boundary, perpetual_formula
from hjbdsl.methods.closed_form.one_dimensional.guard import guarded

propose_perpetual_stopping = guarded(20.0, perpetual_formula.propose_perpetual_stopping)
propose_free_boundary = guarded(60.0, free_boundary.propose_free_boundary)
propose_boundary_value = guarded(60.0, boundary_value.propose_boundary_value)
propose_first_order = guarded(60.0, first_order.propose_first_order)
propose_exit_flow = guarded(60.0, exit_flow.propose_exit_flow)

__all__ = [
    "propose_boundary_value",
    "propose_exit_flow",
    "propose_first_order",
    "propose_free_boundary",
    "propose_perpetual_stopping",
]

"""The derivation told, from the discrete Bellman equation with step h to the equation and its optimal control, for this problem.

In: an equation without its steps, and its composition. Out: the steps in order. Every axis of the equation brings its own: a part
that the problem does not have is not mentioned.
"""

from __future__ import annotations

from hjbdsl.model.equation import HJBEquation, Step
from hjbdsl.symbolic.composition import Composition
from hjbdsl.symbolic.steps_ends import average_step, boundary_step, exit_step, terminal_step, values_step
from hjbdsl.symbolic.steps_limit import generator_step, limit_step, transformed_step
from hjbdsl.symbolic.steps_optimum import (
    first_order_step,
    hamiltonian_step,
    isaacs_step,
    maximiser_step,
    policy_step,
    reduced_step,
    second_order_step,
)
from hjbdsl.symbolic.steps_principle import (
    discount_step,
    ito_step,
    jump_step,
    mode_step,
    principle_step,
    problem_step,
)
from hjbdsl.symbolic.steps_reversal import matching_step, reversal_steps, verification_step

_ORDER = (
    problem_step,
    principle_step,
    ito_step,
    jump_step,
    mode_step,
    discount_step,
    transformed_step,
    limit_step,
    average_step,
    generator_step,
    hamiltonian_step,
    first_order_step,
    second_order_step,
    maximiser_step,
    isaacs_step,
    policy_step,
    reduced_step,
    terminal_step,
    exit_step,
    boundary_step,
    values_step,
)


def tell(equation: HJBEquation, parts: Composition) -> tuple[Step, ...]:
    """The steps of this problem's derivation."""
    if equation.problem.reversal is not None:
        optimum = [first_order_step(equation, parts), maximiser_step(equation, parts), reduced_step(equation, parts)]
        ends = [terminal_step(equation, parts), verification_step(equation, parts), matching_step(equation, parts)]
        return (*reversal_steps(equation, parts), *(s for s in (*optimum, *ends) if s is not None))
    return tuple(step for tell_one in _ORDER if (step := tell_one(equation, parts)) is not None)

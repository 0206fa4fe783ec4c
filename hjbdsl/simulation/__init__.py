"""Paths of the controlled process: one integrator for simulation, learning and evidence.

    process = compile_process(equation)                      an HJBEquation; vectorised over paths, nothing is drawn yet
    process.step(t, x, mode, control, dt, generator)         one step of k paths under a held control -> Transition
    simulate(process, policy, start, dt, steps, generator)   recorded `Paths` with their cumulative discounted reward

Arrays: t (k,), x (k, n) in the order of `state_symbols`, mode (k,) indices into `mode_tuples()`, control (k, m) controls then
adversaries (under `reverse` the derived control). A `Policy` decides at places: `ValuePolicy(value_function)`, `GivenPolicy(any
function of t, x, mode)`.
"""

from hjbdsl.simulation.paths import ENDINGS, Paths, simulate
from hjbdsl.simulation.policy import Decision, GivenPolicy, Policy, ValuePolicy
from hjbdsl.simulation.process import ControlledProcess, Transition, compile_process

__all__ = [
    "ENDINGS",
    "ControlledProcess",
    "Decision",
    "GivenPolicy",
    "Paths",
    "Policy",
    "Transition",
    "ValuePolicy",
    "compile_process",
    "simulate",
]

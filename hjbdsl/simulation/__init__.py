"""Paths of the controlled process: one integrator for simulation, learning and evidence.

    process = compile_process(equation)                      an HJBEquation; vectorised over paths, nothing is drawn yet
    process.step(t, x, mode, control, dt, generator)         one step of k paths under a held control -> Transition
    simulate(process, policy, start, dt, steps, generator)   recorded `Paths` with their cumulative discounted reward
    clockwork_of(process, policy, start)                     a time step and a length that suit the problem
    policy_value(process, policy, start, clockwork, paths)   value of a policy at one point: mean, interval, bias of the step

Arrays: t (k,), x (k, n) in the order of `state_symbols`, mode (k,) indices into `mode_tuples()`, control (k, m) controls then
adversaries (under `reverse` the derived control). A `Policy` decides at places: `ValuePolicy(RememberedValue(value_function,
stationary))`, `GivenPolicy(any function of t, x, mode)`.
"""

from hjbdsl.simulation.estimate import PolicyValue, policy_value
from hjbdsl.simulation.gibbs import policy_of
from hjbdsl.simulation.paths import simulate
from hjbdsl.simulation.policy import Decision, GivenPolicy, Policy, ValuePolicy
from hjbdsl.simulation.process import ControlledProcess, Transition, compile_process
from hjbdsl.simulation.record import ENDINGS, Paths
from hjbdsl.simulation.remembered import RememberedValue
from hjbdsl.simulation.timescale import Clockwork, clockwork_of

__all__ = [
    "ENDINGS",
    "Clockwork",
    "ControlledProcess",
    "Decision",
    "GivenPolicy",
    "Paths",
    "Policy",
    "PolicyValue",
    "RememberedValue",
    "Transition",
    "ValuePolicy",
    "clockwork_of",
    "compile_process",
    "policy_of",
    "policy_value",
    "simulate",
]

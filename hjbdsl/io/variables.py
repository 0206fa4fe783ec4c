"""Names of what a result file holds: the file's own names for states, modes and controls, ours where they are free.

In: a `ControlProblem`. Out: the names of dimensions and variables, the same for the writer and the reader.
"""

from __future__ import annotations

from dataclasses import dataclass

from hjbdsl.model.problem import ControlProblem
from hjbdsl.numeric.state_space import control_groups

VALUE, ERROR, LOWER, UPPER, STOP = "value", "error", "lower", "upper", "stop"
GRADIENT, CONTROL, SPREAD, TABLE = "gradient", "control", "spread", "table"


@dataclass(frozen=True, slots=True)
class VariableNames:
    """`states` one a component, `controls` one a group; gradients by state component, spreads by control group."""

    time: str
    states: tuple[str, ...]
    chains: tuple[str, ...]
    value: str
    error: str
    lower: str
    upper: str
    stop: str
    gradients: tuple[str, ...]
    controls: tuple[str, ...]
    spreads: tuple[str, ...]

    @staticmethod
    def of(problem: ControlProblem) -> VariableNames:
        states = tuple(symbol.name for symbol in problem.state_symbols)
        chains = tuple(chain.name for chain in problem.modes)
        controls = tuple(group.name for group in control_groups(problem))
        taken = {"t", *states, *chains, *controls}

        def own(name: str) -> str:
            while name in taken:
                name += "_"
            taken.add(name)
            return name

        value = own("V")
        return VariableNames(
            "t", states, chains, value, own(f"{value}_error"), own(f"{value}_lower"), own(f"{value}_upper"), own("stop"),
            tuple(own(f"{value}_{name}") for name in states), controls, tuple(own(f"{name}_std") for name in controls),
        )  # fmt: skip


def component_dimension(name: str) -> str:
    """The dimension along which the components of a vector control lie."""
    return f"{name}_component"

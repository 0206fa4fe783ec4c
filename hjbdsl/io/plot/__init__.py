"""Pictures of a result, in the field's usual look: value, policy, paths, convergence, density.

In: a problem, its table (`io.dataset`), the result object. Out: a matplotlib `Figure`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from hjbdsl.errors import UsageError
from hjbdsl.io.plot.density import density_rows
from hjbdsl.io.plot.evidence import convergence_rows
from hjbdsl.io.plot.line import boundary_panel, policy_panels, value_panel
from hjbdsl.io.plot.panel import Panel, figure, save
from hjbdsl.io.plot.paths import path_rows
from hjbdsl.io.plot.plane import policy_rows, value_rows
from hjbdsl.io.plot.slices import slice_policy_rows, slice_value_rows
from hjbdsl.io.plot.view import View
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Solution

if TYPE_CHECKING:
    from xarray import Dataset

Rows = list[list[Panel]]


def _value(view: View) -> Rows:
    if not view.tensor:
        return slice_value_rows(view)
    if _planar(view):
        return value_rows(view)
    boundary = boundary_panel(view, _axis(view))
    return [[value_panel(view, _axis(view)), *([boundary] if boundary else [])]]


def _policy(view: View) -> Rows:
    if not view.tensor:
        return slice_policy_rows(view)
    return policy_rows(view) if _planar(view) else [policy_panels(view, _policy_axis(view), True)]


def _value_and_policy(view: View) -> Rows:
    """Side by side along one state, over a plane one below the other."""
    if not view.tensor:
        return _value(view) + _policy(view)
    if _planar(view):
        pairs = list(zip(value_rows(view), policy_rows(view), strict=True))
        return (
            [[*value, *policy] for value, policy in pairs] if len(pairs[0][0]) == 1 else [row for pair in pairs for row in pair]
        )
    axis, policy_axis = _axis(view), _policy_axis(view)
    boundary = boundary_panel(view, axis)
    policies = policy_panels(view, policy_axis, policy_axis != axis)
    return [[value_panel(view, axis), *policies, *([boundary] if boundary else [])]]


def _planar(view: View) -> bool:
    """Whether the picture is over a plane; with finite states beside it, lines for each of them say more."""
    return len(view.continuous) > 1 and not view.lattice


def _policy_axis(view: View) -> str:
    """Policies of problems with finite states are drawn against these."""
    return (*view.lattice, *view.continuous)[0] if len(view.lattice) == 1 else _axis(view)


def _filled(rows: Rows) -> Rows:
    """Panels that stand alone in neighbouring rows share one."""
    result: Rows = []
    for row in rows:
        if result and len(row) == 1 and len(result[-1]) == 1:
            result[-1] = [*result[-1], *row]
        else:
            result.append(row)
    return result


def _present(view: View) -> tuple[str, ...]:
    """The subjects of which the result holds something."""
    present = []
    for name, rows in SUBJECTS:
        try:
            if any(rows(view)):
                present.append(name)
        except UsageError:
            continue
    return tuple(present)


def _axis(view: View) -> str:
    axes = (*view.continuous, *view.lattice, *((view.names.time,) if view.timed else ()), *view.names.chains)
    if not axes:
        raise UsageError("the problem has no state to draw along")
    return axes[0]


SUBJECTS: tuple[tuple[str, Callable[[View], Rows]], ...] = (
    ("value", _value),
    ("policy", _policy),
    ("paths", path_rows),
    ("convergence", convergence_rows),
    ("density", density_rows),
)
"""What a picture may show, in the order of `all`."""


def draw(
    equation: HJBEquation, solution: Solution, table: Dataset, result: Mapping[str, Any], what: Sequence[str], seed: int = 0
) -> Figure:
    """The picture of some of the `SUBJECTS`; of all that there is something to draw of, where `what` is empty. `solution` is
    followed by the paths. Raises `UsageError` where there is nothing."""
    view, problem = View.of(equation, table, result, solution.function, seed), equation.problem
    if not what:
        return draw(equation, solution, table, result, _present(view), seed)
    subjects = dict(SUBJECTS)
    together = tuple(what[:2]) == ("value", "policy")
    rows = _value_and_policy(view) if together else []
    rows += [row for subject in (what[2:] if together else what) for row in subjects[subject](view)]
    rows = _filled([row for row in rows if row])
    if not rows:
        raise UsageError(f"the result holds nothing to draw of {', '.join(what)}")
    status = str(result["status"]).replace("_", " ")
    subtitle = f"{str(result['kind']).replace('_', ' ')}   ·   {result['method'].replace('_', ' ')}, {status}"
    return figure(rows, problem.title or problem.name, subtitle)


__all__ = ["SUBJECTS", "draw", "save"]

"""A grid answer as one program that needs numpy and numba only: the kernels, the solver around them, the table.

In: an equation and the solution that the grid found for it (which settles meshes, levels and artificial ends). Out: the source
text (template `grid_standalone.py.j2`). Every block of the problem cites the line of the file that it computes.
"""

from __future__ import annotations

import inspect
import math
import re
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hjbdsl.codegen.citations import cited, listing
from hjbdsl.codegen.pruning import pruned
from hjbdsl.codegen.templating import template
from hjbdsl.methods.grid import function as levels_function
from hjbdsl.methods.grid import interpolation
from hjbdsl.methods.grid.correction import STEPS
from hjbdsl.methods.grid.emit import emit
from hjbdsl.methods.grid.front import COURANT
from hjbdsl.methods.grid.function import GridFunction, Worth
from hjbdsl.methods.grid.howard import obstacle_side
from hjbdsl.methods.grid.levels import FIRST_CELLS, Runner
from hjbdsl.methods.grid.mark_rules import MOST_PANELS, PANEL_NODES, MarkRules, panel_rule
from hjbdsl.methods.grid.mesh import CIRCLE, LOGARITHMIC, UNIFORM, Axis, region_box
from hjbdsl.methods.grid.trials import CLEARLY, FINE, MOST_ROUNDS, NEGLIGIBLE, ROUGHLY
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.names import unicode_name
from hjbdsl.model.problem import ControlProblem
from hjbdsl.model.solution import Solution
from hjbdsl.numeric.points import Points, default_points, written
from hjbdsl.numeric.state_space import control_groups

_WIDTH = 98
"""Of a list that goes on below."""
_PARAMETERS = "# parameters of the file"
_SETTLED = ("EXIT", "SHOWN", "FINITE", "JUMPS", "FRONT", "DIRECT", "MODES")
"""Constants of the kernels that say what kind of problem it is."""
_NODE_KINDS = ("whether it lies beyond the exit", "exit value", "obstacle", "terminal value")
_CONDITION = re.compile(r"\(1\.0 if ((?:(?! if | else ).)*) else 0\.0\) > 0\.5")
"""A condition as the printer writes it, for a number."""


def program(equation: HJBEquation, solution: Solution, options: Mapping[str, float | str]) -> str:
    """The source. `options` as for `grid.solve`."""
    function = solution.function
    if not isinstance(function, GridFunction):
        raise TypeError("the program is made from an answer of the grid")
    runner = Runner(equation, float(options.get("nt", 0)), math.inf)
    form, problem = runner.form, equation.problem
    d, covariance = len(problem.continuous_states), form.equation.covariance
    way = "front" if runner.module.FRONT else "implicit" if "time_steps" in solution.tables else "explicit"
    axes = function.levels[-1].mesh.axes
    average = solution.average is not None
    asked = (runner.module.EXIT, runner.module.EXIT, obstacle_side(form.equation), not equation.stationary)
    kinds = [kind for kind, wanted in enumerate(asked) if wanted]
    parameters, kernels = _parted(problem, _kernels(equation, emit(form, runner.rules.counts), kinds))
    context: dict[str, object] = {
        "header": _header(equation), "listing": listing(problem), "parameters": parameters, "kernels": kernels, "d": d,
        "needs_prange": "prange" in kernels, "stationary": equation.stationary, "way": way,
        "levels": tuple(2**k for k in range(len(solution.tables["level_nodes"]))), "end": repr(runner.end),
        "courant": COURANT, "slices": runner.slices, "times": _followed(runner, way),
        "steps": _wrapped(_array(solution.tables.get("time_steps", np.zeros(0)))),
        **_marks(runner.rules),
        "floor": repr(float(function.worth.floor)), "region": repr(tuple(region_box(equation))),
        "points": _points(equation, function), "axes_data": [_axis(axis) for axis in axes],
        "circles": any(axis.kind == CIRCLE for axis in axes), "logarithms": any(axis.kind == LOGARITHMIC for axis in axes),
        "uniforms": any(axis.kind == UNIFORM for axis in axes),
        "node_kinds": ", ".join(f"{kind} {_NODE_KINDS[kind]}" for kind in kinds),
        "has_exit": bool(runner.module.EXIT), "side": obstacle_side(form.equation), "stops": obstacle_side(form.equation) != 0,
        "tries": equation.stationary and runner.module.CONTROLS > 0 and not all(runner.module.PLAYERS), "fine": FINE,
        "forgotten": interpolation.FORGOTTEN,
        "beside_exits": inspect.getsource(interpolation.beside_exits).rstrip().replace("NDArray[np.bool_]", "np.ndarray"),
        "torn": function.torn, "smeared": levels_function.SMEARED, "ranges": inspect.getsource(interpolation.ranges).rstrip(),
        "abrupt": function.levels[-1].abrupt, "monotone": inspect.getsource(interpolation.monotone).rstrip(),
        "roughly": ROUGHLY, "clearly": CLEARLY, "rounds": MOST_ROUNDS, "negligible": NEGLIGIBLE,
        "worth_options": _options_of_worth(function.worth), "worth_class": _worth_class(function.worth),
        "worth_constants": _constants_of_worth(),
        "controlled": runner.module.CONTROLS > 0, "shown": runner.module.SHOWN,
        "average": average, "central": function.left is not None, "corrections": STEPS,
        "noisy": runner.noisy, "needs_solver": equation.stationary or way == "implicit",
        "average_floor": repr(float(solution.evidence.residual * abs(solution.average or 0.0))),
        "first_cells": FIRST_CELLS[d], "noisy_everywhere": all((i, i) in covariance for i in problem.continuous_states),
        "names": repr(_names(equation)), "columns": repr(_columns(problem, function.controls)),
    }  # fmt: skip
    text = template("grid_standalone.py.j2").render(context)
    return pruned(re.sub(r"\n{4,}", "\n\n\n", text).rstrip() + "\n", _SETTLED)


def _followed(runner: Runner, way: str) -> str:
    """The times at which explicit steps are recorded, where the data ask for more than `SLICES`."""
    times = runner.marching.times if way in ("front", "explicit") and not runner.equation.stationary else np.zeros(0)
    return _wrapped(_array(times)) if times.size > runner.slices + 1 else ""


def _kernels(equation: HJBEquation, text: str, kinds: Sequence[int]) -> str:
    """The generated kernels without their heading, each under the lines of the file that it computes. `kinds`: what the program
    asks of nodes."""
    text = text[text.index("DIMENSION =") :].rstrip()
    for name, notes in _citations(equation).items():
        found = re.search(rf"^def {name}\(", text, re.MULTILINE)
        if found is None or not notes:
            continue
        place = text.rindex("@njit", 0, found.start())
        text = text[:place] + "".join(f"# {note}\n" for note in notes) + text[place:]
    for kind in range(len(_NODE_KINDS) - 1):  # the last of them stands under `else`
        if kind not in kinds:
            text = text.replace(f"if kind == {kind}:", "if False:")
        elif kind == kinds[-1]:
            text = text.replace(f"if kind == {kind}:", "if True:")
    text = re.sub(r"^(\s*if )\(([^()]*)\):", r"\1\2:", _CONDITION.sub(r"\1", text), flags=re.MULTILINE)
    return re.sub(r"[ \t]+\n", "\n", text)


def _parted(problem: ControlProblem, kernels: str) -> tuple[str, str]:
    """The parameters of the file, each with its line, and the kernels without them."""
    start = kernels.index(_PARAMETERS)
    end = kernels.index("\n\n", start)
    lines = kernels[start:end].splitlines()[1:]
    told = []
    for line in lines:
        name = line.partition(" = ")[0]
        span = problem.origins.get(name) or problem.origins.get(name.rstrip("_"))
        told.append(line if span is None or "#" in line else f"{line}  # {span.file.rpartition('/')[2]}:{span.line}")
    return "\n".join(told), kernels[:start].rstrip() + "\n" + kernels[end:].lstrip("\n")


def _citations(equation: HJBEquation) -> dict[str, list[str]]:
    """For each kernel the statements behind it."""
    problem = equation.problem
    origins = problem.origins
    motion = [origins[f"d{group.name}"] for group in problem.states if f"d{group.name}" in origins]
    objective = problem.objective.span
    discount = [origins["discount"]] if "discount" in origins else []
    players = [group.span for group in (*problem.controls, *problem.adversaries)]
    joint = [constraint.span for constraint in problem.constraints if constraint.role != "state"]
    exits = [problem.exit.span] if problem.exit is not None else []
    walls = [statement.span for statement in problem.boundaries if statement.kind == "value"]
    stopping = [problem.stopping.span] if problem.stopping is not None else []
    told = {
        "coefficients": [objective, *discount, *motion],
        "flow": [objective, *discount, *motion, *players],
        "bounds": players,
        "admissible": [*players, *joint],
        "ended": [*exits, *walls],
        "exit_value": [objective, *walls] if exits or walls else [],
        "obstacle": [*stopping, objective] if equation.obstacle is not None else [],
        "terminal": [] if equation.stationary else [objective],
        "mode_rate": [chain.span for chain in problem.modes],
    }
    told |= {f"jump_{k}": [jump.span, *motion] for k, jump in enumerate(problem.jumps)}
    notes = {name: cited(problem, spans) for name, spans in told.items()}
    notes["candidate"] = [f"maximiser: {entry.text}" for entry in equation.maximiser]
    notes["row"] = [f"one row of  {line}" for line in [equation.pde.text]]
    return notes


def _options_of_worth(worth: Worth) -> str:
    """What else the estimate of the error was told of this problem, as arguments."""
    further = list(inspect.signature(Worth.of).parameters)[2:]
    return "".join(f", {name}={getattr(worth, name)!r}" for name in further if getattr(worth, name))


def _worth_class(worth: Worth) -> str:
    """How levels are judged, without what other kinds of problem need."""
    text = inspect.getsource(Worth).rstrip()
    for flag in list(inspect.signature(Worth.of).parameters)[2:]:
        if not getattr(worth, flag):
            text = re.sub(rf"\n    {flag}: bool = False\b|, {flag}: bool = False\b|,\s+{flag}={flag}\b", "", text)
            text = re.sub(rf"\s+`{flag}`:[^;.]*[;.]", "", text)
            text = re.sub(rf"\bself\.{flag}\b|(?<![`=.\w]){flag}\b(?= and)", "False", text)
    for name in re.findall(r"\n +(\w+) = False and ", text):
        text = re.sub(rf"\n +{name} = False and .*| or {name}\b", "", text)
    return text.replace(';"""', '."""')


def _constants_of_worth() -> str:
    """The numbers that the estimate of the error uses, by their names there."""
    names = dict.fromkeys(re.findall(r"\b[A-Z][A-Z_]+\b", inspect.getsource(Worth)))
    values = {
        name: getattr(levels_function, name) for name in names if isinstance(getattr(levels_function, name, None), float | tuple)
    }
    return "Array = np.ndarray\n" + "\n".join(f"{name} = {value!r}" for name, value in values.items())


def _header(equation: HJBEquation) -> str:
    problem = equation.problem
    name = problem.source.path.rpartition("/")[2]
    lines = [f"{problem.title or problem.name}, solved on a grid.", "", f"    {equation.pde.text}"]
    lines += [f"    {entry.text}" for entry in equation.maximiser]
    if equation.obstacle is not None:
        lines.append("    with the obstacle of the stopping problem" if equation.obstacle.kind == "stop" else
                     "    with the running extreme as an obstacle")  # fmt: skip
    lines += [
        "", f"Written by `hjb compile {name} --method grid`; run it with `python solver.py`. It needs numpy and numba.",
        "", "A monotone finite-difference scheme (Barles, Souganidis 1991): central differences where the weights stay positive,",
        "upwind elsewhere, the maximum taken inside; nested meshes, each twice as fine as the one before; Richardson's",
        "extrapolation of the last ones, with an error for every number.",
    ]  # fmt: skip
    text = "\n".join(lines).replace("\\", "\\\\").replace('"""', "'''")
    return f'"""{text}\n"""'


def _axis(axis: Axis) -> str:
    kind = "circle" if axis.kind == CIRCLE else "logarithmic" if axis.kind == LOGARITHMIC else "uniform"
    ends = {1: "MIRROR", 2: "WRAP", 3: "OPEN", 4: "CONSTRAIN", 5: "WALL"}
    return (
        f'Axis("{kind}", {float(axis.near_low)!r}, {float(axis.near_high)!r}, {tuple(map(int, axis.cells))}, '
        f"{tuple(map(float, axis.widening))}, ({ends[axis.ends[0]]}, {ends[axis.ends[1]]}), {tuple(map(float, axis.slopes))})"
    )


def _marks(rules: MarkRules) -> dict[str, object]:
    """What the template needs of the jumps' marks: the rules where every level has the same, else how they are made."""
    if not rules.fixed:
        return {"marks": [], "mark_weights": [], "mark_rules": ""}
    if rules.same:
        marks, weights = rules.at(1)
        return {"marks": _arrays(marks), "mark_weights": _arrays(weights), "mark_rules": ""}
    calls = []
    for given, law, ends in zip(rules.fixed, rules.laws, rules.ends, strict=True):
        panels = f"{rules.coarsest} * multiple" if rules.growth == 1.0 else f"round({rules.coarsest} * multiple**{rules.growth})"
        most = MOST_PANELS[rules.dimension]
        rule = f"panel_rule({law[0]!r}, {law[1]!r}, {law[2]!r}, min({panels}, {most}), {PANEL_NODES})"
        if given is not None:
            rule = f"(np.array({_array(given[0])}), np.array({_array(given[1])}))"
        calls.append(f"with_ends({rule}, {_array(ends)})")
    return {"marks": calls, "mark_weights": [], "mark_rules": inspect.getsource(panel_rule).rstrip()}


def _array(values: NDArray[np.generic]) -> str:
    return repr([float(value) for value in values])


def _arrays(values: Sequence[NDArray[np.generic]]) -> list[str]:
    return [_wrapped(_array(part)) for part in values]


def _wrapped(text: str) -> str:
    """A long list, a line after another."""
    return textwrap.fill(text, _WIDTH, subsequent_indent="    ")


def _points(equation: HJBEquation, function: GridFunction) -> list[str]:
    """The points that `hjb solve` prints without `--at`."""
    problem = equation.problem
    points: Points = default_points(problem)
    discrete = function.discrete(points.x, points.mode)
    rows = []
    for k in range(len(points)):
        continuous = tuple(float(v) for v in points.x[k, list(problem.continuous_states)])
        rows.append(repr((float(points.t[k]), continuous, int(discrete[k]), written(problem, equation.stationary, points, k))))
    return rows


def _names(equation: HJBEquation) -> list[str]:
    problem = equation.problem
    names = [*(() if equation.stationary else ("t",)), *(g.name for g in problem.states), *(c.name for c in problem.modes)]
    return [unicode_name(name) for name in names]


def _columns(problem: ControlProblem, controls: int) -> list[tuple[str, list[int], list[int]]]:
    """For each control its columns among the policy's, and those of its standard deviation where it is random."""
    random = set(problem.exploration.controls) if problem.exploration is not None else set()
    result, start = [], 0
    for group in control_groups(problem):
        means = list(range(start, start + len(group.symbols)))
        start += len(group.symbols)
        deviations = [controls + c for c in means] if random.intersection(group.symbols) else []
        result.append((unicode_name(group.name), means, deviations))
    return result


__all__ = ["program"]

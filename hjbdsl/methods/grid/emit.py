"""From the derived equation to the text of a numba program.

In: a `Recast` equation with one to four continuous states. Out: the source of a module whose functions hold the problem's
coefficients as written in the file and the scheme's kernels (template `grid_scheme.py.j2`).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import sympy as sp

from hjbdsl.codegen.templating import template
from hjbdsl.methods.grid.choices import (
    bound_lines,
    candidate_branches,
    case_branches,
    constraint_lines,
    fallback_lines,
    idle,
    leaps_controlled,
    needed_differences,
    noise_unbounded,
    search_nodes,
    silent,
    soft_context,
)  # fmt: skip
from hjbdsl.methods.grid.first_order import front_context, is_first_order
from hjbdsl.methods.grid.formulas import Emitter
from hjbdsl.methods.grid.recast import Recast
from hjbdsl.methods.grid.steps import averaging, may_jump

THIN = sp.Float(1e-9)
"""Equalities in an exit hold to this: a node is there, and only a node."""
PARTS = {1: 64, 2: 12, 3: 5, 4: 3}


def _coefficients(emitter: Emitter) -> dict[str, object]:
    equation, problem = emitter.equation, emitter.problem
    running = problem.objective.running if problem.objective.form in ("expectation", "average") else sp.S.Zero
    discount = sp.S.Zero if problem.objective.form == "average" else problem.objective.discount
    drift = [problem.drift[axis] for axis in emitter.axes]
    covariance = [
        equation.covariance.get((min(a, b), max(a, b)), sp.S.Zero) for i, a in enumerate(emitter.axes) for b in emitter.axes[i:]
    ]
    lines, results = emitter.lines([running, discount, *drift, *covariance], controls=True)
    return {"coefficient_lines": lines, "coefficient_results": ", ".join(results)}


def _steps(emitter: Emitter, chosen: Sequence[sp.Symbol]) -> dict[str, object]:
    """What averaging over cells adds to coefficients that jump; no lines where none does."""
    widths = {emitter.problem.state_symbols[axis]: sp.Symbol(f"width {i}", positive=True) for i, axis in enumerate(emitter.axes)}
    averaged = averaging(emitter.equation, chosen, widths)
    emitter.names |= {width: f"g{i}" for i, width in enumerate(widths.values())}
    lines, results = emitter.lines(averaged.added) if averaged.jumps else ([], [])
    return {"step_lines": lines, "step_results": ", ".join(results), "steps_missed": averaged.missed}


def _jumps(emitter: Emitter) -> list[dict[str, object]]:
    jumps: list[dict[str, object]] = []
    for jump in emitter.problem.jumps:
        emitter.names[jump.mark] = "mark" if jump.mark is not None else ""
        moved = [emitter.problem.state_symbols[a] + jump.displacement.get(a, 0) for a in emitter.axes]
        lattice = [emitter.problem.state_symbols[a] + jump.displacement.get(a, 0) for a in emitter.problem.lattice_states]
        lines, results = emitter.lines([jump.rate, *moved, *lattice], controls=True)
        if lattice:
            lines.append("target = -1")
            lines.append("for other in range(MODES):")
            tests = [f"abs(LATTICE_{k}[other] - ({results[1 + len(moved) + k]})) < 1e-9" for k in range(len(lattice))]
            lines.append(f"    if JOINT[other] == JOINT[s] and {' and '.join(tests)}:")
            lines.append("        target = other")
        else:
            lines.append("target = s")
        jumps.append(
            {"name": jump.name, "lines": lines, "results": ", ".join([results[0], "target", *results[1 : 1 + len(moved)]])}
        )
    return jumps


def _leap_ends(emitter: Emitter) -> list[tuple[str, str]]:
    """The state space on each continuous axis, without end where a jump beyond is pushed back by reflection or goes round."""
    problem = emitter.problem
    soft = {(c.state, c.side) for c in emitter.equation.boundaries if c.kind in ("reflect", "periodic")}
    result = []
    for axis in emitter.axes:
        low, high = (float(problem.numeric(b)) for b in (problem.state_bounds[axis].lower, problem.state_bounds[axis].upper))
        least = "-np.inf" if (axis, "lower") in soft or low == -np.inf else repr(low - 1e-12 * (1.0 + abs(low)))
        most = "np.inf" if (axis, "upper") in soft or high == np.inf else repr(high + 1e-12 * (1.0 + abs(high)))
        result.append((least, most))
    return result


def _modes(emitter: Emitter) -> list[str]:
    lines: list[str] = []
    labels = emitter.discrete.labels
    for s, (mode, lattice) in enumerate(labels):
        for target, (other, other_lattice) in enumerate(labels):
            changed = [k for k in range(len(mode)) if mode[k] != other[k]]
            if len(changed) != 1 or lattice != other_lattice:
                continue
            rate = emitter.problem.modes[changed[0]].rates.get((mode[changed[0]], other[changed[0]]))
            if rate is None or rate == 0:
                continue
            body, results = emitter.lines([rate], controls=True)
            lines.append(f"if s == {s} and target == {target}:")
            lines += [f"    {line}" for line in body] + [f"    return {results[0]}"]
    return lines


def _returned(emitter: Emitter, expression: sp.Basic | None) -> list[str]:
    lines, results = emitter.lines([sp.S.Zero if expression is None else expression])
    return [*lines, f"return {results[0]}"]


def _tables(emitter: Emitter) -> list[str]:
    problem, labels = emitter.problem, emitter.discrete.labels
    lines = []
    for number, parameter in enumerate(problem.mode_parameters):
        if all(problem.numeric(value).is_number for value in parameter.values):
            values = [float(problem.numeric(parameter.values[mode[parameter.chain]])) for mode, _ in labels]
            lines.append(f"TABLE_{number} = np.array({values!r})  # {parameter.symbol.name} by mode")
    for k, axis in enumerate(problem.lattice_states):
        values = [float(problem.numeric(lattice[k])) for _, lattice in labels]
        lines.append(f"LATTICE_{k} = np.array({values!r})  # {problem.state_symbols[axis].name}")
    joint = {mode: number for number, mode in enumerate(problem.mode_tuples())}
    lines.append(f"JOINT = np.array({[joint[mode] for mode, _ in labels]!r})")
    return lines


def _geometry(d: int) -> dict[str, object]:
    axes = list(range(d))

    def flat(index: Mapping[int, str]) -> str:
        text = index[0]
        for i in axes[1:]:
            text = f"({text}) * n{i} + {index[i]}"
        return text

    def joint(index: Mapping[int, str]) -> str:
        return flat({**index, 0: f"s * n0 + {index[0]}"}) if d > 1 else f"s * n0 + {index[0]}"

    here = {i: f"k{i}" for i in axes}
    loops, depth = [], 2
    for i in axes:
        loops.append(f"{'    ' * depth if i else ''}for k{i} in range(n{i}):")
        depth += 1
    corners = list(itertools.product((0, 1), repeat=d))
    return {
        "d": d, "axes": axes,
        "xs": ", ".join(f"x{i}" for i in axes), "ks": ", ".join(f"k{i}" for i in axes),
        "ps": ", ".join(f"p{i}" for i in axes), "ms": ", ".join(f"M{i}{j}" for i in axes for j in axes if j >= i),
        "bs": ", ".join(f"b{i}" for i in axes), "qs": ", ".join(f"A{i}{j}" for i in axes for j in axes if j >= i),
        "ns": ", ".join(f"n{i}" for i in axes), "Xk": ", ".join(f"mesh[{3 * i}, k{i}]" for i in axes),
        "nodes": " * ".join(f"n{i}" for i in axes), "node": ", ".join(f"x{i}, g{i}, c{i}" for i in axes),
        "flat_k0": flat(here), "flat_p": joint({i: f"p{i}" for i in axes}), "flat_m": joint({i: f"m{i}" for i in axes}),
        "flat_side": [joint({**here, i: "k"}) for i in axes],
        "strides": [" * ".join(f"n{j}" for j in axes if j > i) or "1" for i in axes],
        "scaled": ", ".join(f"q{i}{j}" for i in axes for j in axes if j >= i),
        "scaled_values": ", ".join(f"A{i}{j} / (g{i} * g{j})" for i in axes for j in axes if j >= i),
        "axials": ", ".join([f"q{i}" for i in axes] + [f"z{i}" for i in axes]),
        "distances": ", ".join(f"ahead{i}, behind{i}" for i in axes),
        "sides": ", ".join(f"up{i}, ahead{i}, down{i}, behind{i}" for i in axes),
        "no_row": f"math.nan, 0.0, {'0.0, 0.0, ' * d}0, -1", "inner": "    " * (d + 1),
        "corners": corners,
        "corner_flat": [flat({i: f"(c{i} + {c[i]}) % n{i}" if c[i] else f"c{i}" for i in axes}) for c in corners],
        "loops_open": "\n".join(loops), "indent": "    " * depth,
    }  # fmt: skip


def _exit(emitter: Emitter) -> tuple[list[str], list[str]]:
    """Where the process has ended and what it pays there: the exit of the file, and ends with a written value."""
    problem = emitter.problem
    ended: sp.Basic = problem.exit.condition if problem.exit else sp.false
    ended = ended.replace(sp.Eq, lambda a, b: sp.Le(sp.Abs(a - b), THIN * (1 + sp.Abs(b))))
    paid = problem.objective.exit_value if problem.objective.exit_value is not None else sp.S.Zero
    for condition in emitter.equation.boundaries:
        if condition.kind == "value":
            symbol = problem.state_symbols[condition.state]
            beyond = symbol <= condition.location if condition.side == "lower" else symbol >= condition.location
            ended, paid = sp.Or(ended, beyond), sp.Piecewise((condition.amount, beyond), (paid, True))
    if ended == sp.false:
        return [], _returned(emitter, None)
    lines, results = emitter.lines([sp.Piecewise((1, ended), (0, True))])
    return [*lines, f"return {results[0]} > 0.5"], _returned(emitter, paid)


def _shown(emitter: Emitter, form: Recast) -> dict[str, object]:
    """How the policy asked for is read off the policy found; nothing to do where they are the same."""
    wanted = [*form.shown, *form.spread]
    if wanted == list(emitter.controls):
        return {"shown": 0, "shown_lines": [], "shown_results": ""}
    lines, results = emitter.lines(wanted, controls=True)
    return {"shown": len(wanted), "shown_lines": lines, "shown_results": ", ".join(results) + ","}


def emit(form: Recast, mark_counts: Sequence[int]) -> str:
    """The program's text. `mark_counts`: quadrature nodes a jump. Raises NotImplementedError with what it cannot write."""
    equation, soft = form.equation, form.soft
    emitter = Emitter(equation, soft)
    problem = equation.problem
    chosen = (*emitter.controls, *(soft.symbols if soft is not None else ()))
    d, m = len(emitter.axes), len(emitter.controls)
    objective = problem.objective
    candidates = candidate_branches(emitter)
    still = len(idle(emitter))
    controls = [f"a{c}" for c in range(m)]
    payoff = equation.obstacle.payoff if equation.obstacle else None
    final = objective.terminal if objective.terminal is not None else objective.stop_value
    if objective.form in ("running_min", "running_max"):
        final = payoff
    exit_lines, paid_lines = _exit(emitter)
    constraints = constraint_lines(emitter)
    finite = any(b.is_finite_set for group in problem.controls for b in group.bounds)
    has_cross = any(a != b for a, b in equation.covariance)
    has_leaps = bool(problem.jumps or problem.modes)
    scratch = ", cols, weights" + (", work, base, offsets" if has_cross else "") if has_cross or has_leaps else ""
    controlled = any(c in e.free_symbols for e in equation.covariance.values() for c in chosen)
    sense = (1.0 if equation.maximise else -1.0) * (1.0 if problem.control_symbols or not problem.adversary_symbols else -1.0)
    np_base = [[int(i == j) for j in range(d)] for i in range(d)] + [[-1] * d]
    terms = {2: 3, 3: 6}.get(d, d * d)  # most terms of a decomposition
    arrays = (f"np.zeros(({d + 1}, {terms}))", f"np.array({np_base})", f"np.zeros(({terms}, {d}), np.int64)")
    context: dict[str, object] = {
        **_geometry(d), **_coefficients(emitter),
        "problem": problem, "equation": equation, "m": m, "source_name": problem.source.path.rpartition("/")[2],
        "stationary": equation.stationary, "m_own": len(problem.control_symbols), "m_adversary": len(problem.adversary_symbols),
        "game": bool(problem.control_symbols and problem.adversary_symbols), "controls": controls,
        "modes": len(emitter.discrete.labels), "n_candidates": len(candidates) - still, "n_idle": still,
        "n_formulas": len(equation.optimum.candidates) + len(silent(emitter)),
        "width": (2 * terms if has_cross else 0) + sum(n * 2**d for n in mark_counts) + len(emitter.discrete.labels) - 1,
        "parameter_lines": [f"{emitter.names[s]} = {float(v)!r}" for s, v in problem.values.items()], "sense": sense,
        "diffusion_controlled": controlled, "diffusion_unbounded": any(noise_unbounded(equation)),
        "mixed": has_cross and controlled,
        "has_cross": has_cross, "has_leaps": has_leaps, "scratch": scratch, "parallel": d >= 3 and not equation.stationary,
        "scratch_cross": f"work, base, offsets = {', '.join(arrays)}" if has_cross else "",
        "table_lines": _tables(emitter),
        "comma_as": "".join(f", {a}" for a in controls), "comma_best": "".join(f", best{c}" for c in range(m)),
        "comma_policy": "".join(f", policy[j, {c}]" for c in range(m)),
        "lows_highs": ", ".join([f"low{c}" for c in range(m)] + [f"high{c}" for c in range(m)]),
        "bound_lines": bound_lines(emitter) if m else [], "constraint_lines": constraints,
        "has_constraints": constraints != ["return True"], "candidate_branches": candidates,
        "search": search_nodes(emitter), "fallback_lines": fallback_lines(emitter),
        **_steps(emitter, chosen), "gs": ", ".join(f"g{i}" for i in range(d)),
        "rises": ", ".join(f"rise{i}" for i in range(d)), "bs_risen": ", ".join(f"b{i} + rise{i}" for i in range(d)),
        "has_exit": bool(exit_lines), "has_finite": finite,
        "exit_lines": exit_lines or ["return False"], "exit_value_lines": paid_lines,
        "obstacle_lines": _returned(emitter, payoff), "terminal_lines": _returned(emitter, final),
        "jumps": _jumps(emitter), "leap_ends": _leap_ends(emitter), "mode_lines": _modes(emitter),
        "has_modes": bool(problem.modes), "soft": soft_context(emitter, soft), **_shown(emitter, form),
    }  # fmt: skip
    context["noisy"] = [(i, i) in equation.covariance for i in emitter.axes]
    shut = "edges[{}, {}] >= CONSTRAIN" if context["diffusion_unbounded"] else "edges[{}, {}] == CONSTRAIN"
    context["closed"] = [(shut.format(i, 0), shut.format(i, 1)) for i in range(d)]
    context["rough"] = PARTS[d] if final is not None and not equation.stationary and may_jump(final) else 0
    context["front"], context["cases"] = is_first_order(equation, bool(exit_lines)), case_branches(emitter)
    context["ps_centre"] = ", ".join(f"centre{i}" for i in range(d))
    if context["front"]:
        context |= front_context(emitter)
    context["differences"] = differences = needed_differences(emitter)
    context["direct"] = (
        equation.optimum.status == "symbolic" and bool(emitter.controls) and not context["game"] and soft is None
        and not differences and not (has_cross and controlled) and not leaps_controlled(problem, chosen)
    )  # fmt: skip
    context["comma_differences"] = "".join(f", D{k}" for k in differences)
    context["mesh_arguments"] = f"mesh, {context['ns']}, edges" + (", gone" if exit_lines else "")
    context["marks"] = ", marks, mark_weights" if problem.jumps else ""
    controlled_leaps = leaps_controlled(problem, chosen)
    context["cross_controlled"], context["cross_fixed"] = has_cross and controlled, has_cross and not controlled
    context["leaps_controlled"] = controlled_leaps
    context["fixed"] = (has_cross and not controlled) or (has_leaps and not controlled_leaps)
    at = f"t, s, {context['node']}, {context['ks']}{context['comma_policy']}"
    given = f"{at}, {context['mesh_arguments']}{context['marks']}{scratch}"
    # Python packs more than 30, which numba does not inline
    context["fixed_arguments"] = given.replace("[j, ", "").count(",") + 1
    context["row_scratch"] = row_scratch = (has_cross and controlled) or controlled_leaps
    context["extras"] = f", {context['ks']}, {context['mesh_arguments']}{context['marks']}{scratch}" if row_scratch else ""
    context["given"] = "known, leaving" + (f", {context['axials']}" if has_cross and not controlled else "")
    context["try_control"] = template("grid_try.py.j2").render(context).rstrip() if m else ""
    return template("grid_scheme.py.j2").render(context)

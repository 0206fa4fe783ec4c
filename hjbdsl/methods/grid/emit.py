"""From the derived equation to the text of a numba program.

In: an `HJBEquation` with at most three continuous states. Out: the source of a module whose functions hold the problem's
coefficients as written in the file and the scheme's kernels (template `grid_scheme.py.j2`).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sympy as sp
from jinja2 import Environment, PackageLoader, StrictUndefined

from hjbdsl.codegen.scalar import assignments, identifier
from hjbdsl.model.equation import VALUE, HJBEquation
from hjbdsl.model.problem import TIME, ControlProblem

_OWN_NAMES = re.compile(
    r"(([xabApkMXGCBnyzepmw]|axial)\d+|[frstV]|low|high|mark|target|rate|row|shift|position|ended|bounds|terminal|obstacle|"
    r"candidate|admissible|coefficients|exit_value|sweep|assemble|optimise|WIDTH|POOL|MODES|SENSE|CONTROLS|PLAYERS|DIMENSION)"
)
_ENVIRONMENT = Environment(
    loader=PackageLoader("hjbdsl.codegen"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    keep_trailing_newline=True, autoescape=False,
)  # fmt: skip
SEARCH_NODES = 33
SEARCH_LEVELS = range(5, 21)


@dataclass(frozen=True, slots=True)
class DiscreteStates:
    """The joint discrete index s: `labels[s]` = (joint mode, values of the lattice states)."""

    labels: tuple[tuple[tuple[int, ...], tuple[sp.Expr, ...]], ...]

    @staticmethod
    def of(problem: ControlProblem) -> DiscreteStates:
        lattices = [problem.state_bounds[i].points for i in problem.lattice_states]
        values = list(itertools.product(*lattices)) if lattices else [()]
        return DiscreteStates(tuple((mode, value) for mode in problem.mode_tuples() for value in values))


def spelled(name: str) -> str:
    """The user's name in the generated program, kept apart from the program's own names."""
    text = identifier(name)
    return text + "_" if _OWN_NAMES.fullmatch(text) else text


class _Emitter:
    """Collects the template's context for one equation."""

    def __init__(self, equation: HJBEquation):
        self.equation = equation
        self.problem = problem = equation.problem
        self.axes = problem.continuous_states
        self.discrete = DiscreteStates.of(problem)
        self.controls = problem.control_symbols + problem.adversary_symbols
        everything = problem.state_symbols + self.controls + tuple(problem.values)
        self.names: dict[sp.Symbol, str] = {symbol: spelled(symbol.name) for symbol in everything}
        self.names[TIME] = "t"
        self.names[VALUE] = "V"
        for i, axis in enumerate(self.axes):
            self.names[equation.gradient[axis]] = f"p{i}"
        for (a, b), symbol in equation.hessian.items():
            i, j = sorted((self.axes.index(a), self.axes.index(b)))
            self.names[symbol] = f"M{i}{j}"
        for parameter in problem.mode_parameters:
            self.names[parameter.symbol] = spelled(re.sub(r"\W+", "_", parameter.symbol.name).strip("_") + "_now")

    def body(self, expressions: Sequence[sp.Basic], controls: bool) -> tuple[list[str], list[str]]:
        """Lines that unpack what the expressions use, then the expressions."""
        free = set().union(*(sp.sympify(e).free_symbols for e in expressions)) if expressions else set()
        return self.unpack(free, controls), self.print(expressions)[0] + self.print(expressions)[1]

    def lines(self, expressions: Sequence[sp.Basic], controls: bool = False) -> tuple[list[str], list[str]]:
        """(preparation, results)."""
        expressions = [sp.sympify(e) for e in expressions]
        free: set[sp.Symbol] = set().union(*(e.free_symbols for e in expressions))
        for parameter in self.problem.mode_parameters:
            if parameter.symbol in free:
                free |= set().union(*(sp.sympify(v).free_symbols for v in parameter.values))
        shared, results = assignments(expressions, self.names)
        return self.unpack(free, controls) + shared, results

    def print(self, expressions: Sequence[sp.Basic]) -> tuple[list[str], list[str]]:
        return assignments(expressions, self.names)

    def unpack(self, free: set[sp.Symbol], controls: bool) -> list[str]:
        lines = []
        for i, axis in enumerate(self.axes):
            symbol = self.problem.state_symbols[axis]
            if symbol in free and self.names[symbol] != f"x{i}":
                lines.append(f"{self.names[symbol]} = x{i}")
        for k, axis in enumerate(self.problem.lattice_states):
            symbol = self.problem.state_symbols[axis]
            if symbol in free:
                lines.append(f"{self.names[symbol]} = LATTICE_{k}[s]")
        if controls:
            lines += [f"{self.names[symbol]} = a{c}" for c, symbol in enumerate(self.controls) if symbol in free]
        for number, parameter in enumerate(self.problem.mode_parameters):
            if parameter.symbol in free:
                lines.append(f"{self.names[parameter.symbol]} = {self.mode_value(number)}")
        return lines

    def mode_value(self, number: int) -> str:
        parameter = self.problem.mode_parameters[number]
        if all(self.problem.numeric(value).is_number for value in parameter.values):
            return f"TABLE_{number}[s]"
        text = "math.nan"
        for s, (mode, _) in reversed(list(enumerate(self.discrete.labels))):
            text = f"({self.print([parameter.values[mode[parameter.chain]]])[1][0]} if s == {s} else {text})"
        return text


def _coefficients(emitter: _Emitter) -> dict[str, object]:
    equation, problem = emitter.equation, emitter.problem
    running = problem.objective.running if problem.objective.form in ("expectation", "average") else sp.S.Zero
    discount = sp.S.Zero if problem.objective.form == "average" else problem.objective.discount
    drift = [problem.drift[axis] for axis in emitter.axes]
    covariance = [
        equation.covariance.get((min(a, b), max(a, b)), sp.S.Zero)
        for i, a in enumerate(emitter.axes)
        for b in emitter.axes[i:]
    ]
    lines, results = emitter.lines([running, discount, *drift, *covariance], controls=True)
    return {"coefficient_lines": lines, "coefficient_results": ", ".join(results)}


def _bounds(emitter: _Emitter) -> list[str]:
    groups = emitter.problem.controls + emitter.problem.adversaries
    every = [bound for group in groups for bound in group.bounds]
    low = [min(b.points) if b.is_finite_set else b.lower for b in every]
    high = [max(b.points) if b.is_finite_set else b.upper for b in every]
    finite = [sp.sympify(e) for e in low + high]
    lines, results = emitter.lines([sp.S.Zero if e.is_infinite else e for e in finite])
    texts = [("-np.inf" if e == -sp.oo else "np.inf") if e.is_infinite else r for e, r in zip(finite, results, strict=True)]
    m = len(every)
    lines += [f"low[{c}] = {texts[c]}" for c in range(m)] + [f"high[{c}] = {texts[m + c]}" for c in range(m)]
    return lines


def _admissible(emitter: _Emitter) -> list[str]:
    conditions = [c.condition for c in emitter.problem.constraints if c.role != "state"]
    tests = []
    for c, bound in enumerate(b for g in emitter.problem.controls + emitter.problem.adversaries for b in g.bounds):
        if bound.is_finite_set:
            tests.append("(" + " or ".join(f"abs(a{c} - {float(emitter.problem.numeric(p))!r}) < 1e-9" for p in bound.points) + ")")
    relaxed = []
    for condition in conditions:
        for part in condition.args if isinstance(condition, sp.And) else (condition,):
            if isinstance(part, sp.Rel) and not isinstance(part, (sp.Eq, sp.Ne)):
                relaxed.append(part.gts - part.lts)
            else:
                raise NotImplementedError(f"the constraint {part}")
    lines, results = emitter.lines(relaxed, controls=True) if relaxed else ([], [])
    tests += [f"({text}) >= -1e-9" for text in results]
    return [*lines, f"return {' and '.join(tests) if tests else 'True'}"]


def _unbounded(emitter: _Emitter) -> bool:
    """Whether no control has a bound: then a lone candidate is the interior stationary point."""
    bounds = [b for group in emitter.problem.controls + emitter.problem.adversaries for b in group.bounds]
    return not emitter.problem.constraints and all(b.lower == -sp.oo and b.upper == sp.oo and not b.points for b in bounds)


def _resting(emitter: _Emitter) -> list[tuple[str, Mapping[sp.Symbol, sp.Expr]]]:
    """Controls that hold one continuous state still: where the wind turns, the optimum may sit there."""
    candidates = emitter.equation.optimum.candidates
    found = []
    for axis in emitter.axes:
        drift = emitter.problem.drift[axis]
        for symbol in emitter.controls:
            slope = sp.diff(drift, symbol)
            if slope == 0 or any(c in slope.free_symbols for c in emitter.controls):
                continue
            rest = sp.S(symbol - drift / slope).expand()
            others = [c for c in emitter.controls if c != symbol]
            if any(c in rest.free_symbols for c in emitter.controls):
                continue
            base = candidates[0].controls if candidates else {}
            if all(c in base for c in others):
                found.append((f"{emitter.problem.state_symbols[axis]} at rest", {**{c: base[c] for c in others}, symbol: rest}))
    return found


def _candidates(emitter: _Emitter) -> list[dict[str, object]]:
    branches = []
    named = [(c.name, c.controls) for c in emitter.equation.optimum.candidates] + _resting(emitter)
    for name, controls in named:
        lines, results = emitter.lines([controls[symbol] for symbol in emitter.controls])
        branches.append({"name": name, "lines": lines + [f"a[{c}] = {text}" for c, text in enumerate(results)]})
    return branches


def _search(emitter: _Emitter) -> tuple[list[str], int]:
    """Lines that add a lattice of controls and a pattern round the old one, where no formula covers the optimum."""
    if emitter.equation.optimum.status != "implicit" or not emitter.controls:
        return [], 0
    m = len(emitter.controls)
    nodes = SEARCH_NODES if m == 1 else 9
    if m > 3:
        raise NotImplementedError("a numerical search over more than three control components")
    lines = []
    for c in range(m):
        lines.append(f"{'    ' * c}for i{c} in range({nodes}):")
    pad = "    " * m
    lines += [f"{pad}pool[size, {c}] = low[{c}] + (high[{c}] - low[{c}]) * i{c} / {nodes - 1}" for c in range(m)]
    lines.append(f"{pad}size += 1")
    lines.append(f"for level in range({SEARCH_LEVELS.start}, {SEARCH_LEVELS.stop}):")
    for c in range(m):
        for sign in "+-":
            lines += [f"    for i in range({m}):", "        pool[size, i] = pool[0, i]"]
            lines.append(f"    pool[size, {c}] = min(max(pool[0, {c}] {sign} (high[{c}] - low[{c}]) * 2.0 ** -level, low[{c}]), high[{c}])")
            lines.append("    size += 1")
    return lines, nodes**m + 2 * m * len(SEARCH_LEVELS)


def _jumps(emitter: _Emitter) -> list[dict[str, object]]:
    jumps = []
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
        jumps.append({"name": jump.name, "lines": lines, "results": ", ".join([results[0], "target", *results[1 : 1 + len(moved)]])})
    return jumps


def _modes(emitter: _Emitter) -> list[str]:
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


def _returned(emitter: _Emitter, expression: sp.Basic | None) -> list[str]:
    lines, results = emitter.lines([sp.S.Zero if expression is None else expression])
    return [*lines, f"return {results[0]}"]


def _tables(emitter: _Emitter) -> list[str]:
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

    here = {i: f"k{i}" for i in axes}
    loops, depth = [], 2
    for i in axes:
        loops.append(f"{'    ' * depth if i else ''}for k{i} in range(n{i}):")
        depth += 1
    corners = list(itertools.product((0, 1), repeat=d))
    return {
        "d": d, "axes": axes,
        "xs": ", ".join(f"x{i}" for i in axes), "ks": ", ".join(f"k{i}" for i in axes), "es": ", ".join(f"e{i}" for i in axes),
        "ps": ", ".join(f"p{i}" for i in axes), "ms": ", ".join(f"M{i}{j}" for i in axes for j in axes if j >= i),
        "bs": ", ".join(f"b{i}" for i in axes), "qs": ", ".join(f"A{i}{j}" for i in axes for j in axes if j >= i),
        "Xs": ", ".join(f"X{i}" for i in axes), "Xk": ", ".join(f"X{i}[k{i}]" for i in axes),
        "geometry": ", ".join(f"X{i}, G{i}, C{i}" for i in axes),
        "flat_k": flat(here), "flat_p": flat({i: f"p{i}" for i in axes}), "flat_m": flat({i: f"m{i}" for i in axes}),
        "flat_up": [flat({**here, i: "up"}) for i in axes], "flat_down": [flat({**here, i: "down"}) for i in axes],
        "cross": {
            (i, j): [flat({**here, i: a, j: b}) for a in ("iu", "il") for b in ("ju", "jl")] for i in axes for j in axes if j > i
        },
        "corners": corners,
        "corner_flat": [flat({i: f"(c{i} + {c[i]}) % n{i}" if c[i] else f"c{i}" for i in axes}) for c in corners],
        "loops_open": "\n".join(loops), "indent": "    " * depth,
    }  # fmt: skip


def emit(equation: HJBEquation, mark_counts: Sequence[int]) -> str:
    """The program's text. `mark_counts`: quadrature nodes a jump. Raises NotImplementedError with what it cannot write."""
    emitter = _Emitter(equation)
    problem = equation.problem
    d, m = len(emitter.axes), len(emitter.controls)
    objective = problem.objective
    candidates = _candidates(emitter)
    search, searched = _search(emitter)
    controls = [f"a{c}" for c in range(m)]
    width = 12 + 2 * d + sum(n * 2**d for n in mark_counts) + len(emitter.discrete.labels)
    payoff = equation.obstacle.payoff if equation.obstacle else None
    final = objective.terminal if objective.terminal is not None else objective.stop_value
    if objective.form in ("running_min", "running_max"):
        final = payoff
    context = {
        **_geometry(d), **_coefficients(emitter),
        "header": f"Grid solver for the problem `{problem.name}`.", "m": m,
        "m_own": len(problem.control_symbols), "m_adversary": len(problem.adversary_symbols),
        "modes": len(emitter.discrete.labels), "n_candidates": len(candidates), "width": width,
        "parameter_lines": [f"{emitter.names[s]} = {float(v)!r}" for s, v in problem.values.items()]
        + [f"SENSE = {1.0 if equation.maximise else -1.0}", f"POOL = {1 + 4 * len(candidates) + searched}",
           f"FIRST_FIXED = {len(equation.optimum.candidates)}  # candidates from here on do not depend on V"],
        "diffusion_controlled": any(c in e.free_symbols for e in equation.covariance.values() for c in emitter.controls),
        "uncorrelated": " and ".join(f"A{i}{j} == 0.0" for i in range(d) for j in range(i + 1, d)) or "True",
        "table_lines": _tables(emitter),
        "comma_as": "".join(f", {a}" for a in controls), "comma_trial": "".join(f", trial[{c}]" for c in range(m)),
        "comma_control": "".join(f", control[{c}]" for c in range(m)), "comma_policy": "".join(f", policy[j, {c}]" for c in range(m)),
        "bound_lines": _bounds(emitter) if m else [], "constraint_lines": _admissible(emitter),
        "sole_candidate": equation.optimum.status == "symbolic" and len(equation.optimum.candidates) == 1 and _unbounded(emitter),
        "candidate_branches": candidates, "search_lines": search,
        "exit_lines": _returned(emitter, problem.exit.condition) if problem.exit else ["return False"],
        "exit_value_lines": _returned(emitter, objective.exit_value), "obstacle_lines": _returned(emitter, payoff),
        "terminal_lines": _returned(emitter, final), "jumps": _jumps(emitter),
        "mode_lines": _modes(emitter), "has_modes": bool(problem.modes),
    }  # fmt: skip
    context["arguments"] = f"{context['geometry']}, circular, ends, gone, marks, mark_weights"
    return _ENVIRONMENT.get_template("grid_scheme.py.j2").render(context)

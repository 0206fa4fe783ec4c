"""Neural policy iteration of one problem as a program that needs torch only: network, equation, paths, maximiser, rounds, table.

In: an equation. Out: the source text (template `neural_standalone.py.j2`), or a reason. Simple policies are tried on the way: the
best of them is where the program starts, and its return settles the form of the network. Nothing is trained.
"""

from __future__ import annotations

import keyword
import math
import re
from dataclasses import dataclass

import sympy as sp
import torch

from hjbdsl.codegen.citations import listing
from hjbdsl.codegen.templating import own_names, template
from hjbdsl.codegen.torch_batched import Places, UnsupportedInTorch
from hjbdsl.methods.neural import refusals
from hjbdsl.methods.neural.emit import Emitter, smooth_end
from hjbdsl.methods.neural.learner import LearningRequest
from hjbdsl.methods.neural.networks import Architecture, Feature, clock_scales
from hjbdsl.methods.neural.policy_iteration import PolicyIteration
from hjbdsl.methods.neural.program import NeuralProgram
from hjbdsl.methods.neural.reach import started
from hjbdsl.methods.neural.sampling import Domain
from hjbdsl.methods.neural.standalone_paths import program_on_paths
from hjbdsl.methods.neural.standalone_text import header, notes, on_clock, without_unused
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.names import unicode_name
from hjbdsl.model.problem import Bounds
from hjbdsl.model.solution import Rejected
from hjbdsl.numeric.points import default_points, written
from hjbdsl.numeric.state_space import horizon
from hjbdsl.numeric.torch_threads import one_thread

MOST_STATES = 3
_ABOUT = (
    "Each round: the maximiser of the Hamiltonian with V frozen (improvement); what that policy earns, along simulated",
    "paths and by its linear equation, fitted by a network in least squares (evaluation). What is left of the equation",
    "with the exact maximiser, at points never trained on, says how far it got, and when to stop.",
)
_STATE, _CONTROLLED, _DERIVATIVES = "t, x", "t, x, a", "t, x, V, p, M"
_FORMULAS = {
    "shifted": ("V = offset + scale*N(x)", "{offset} + {scale} * N"),
    "exponential": ("V = sign*exp(offset + scale*N(x))", "{sign} * torch.exp({offset} + {scale} * N)"),
    "added": ("V = g(x) + (T - t)*scale*N(t, x)", "terminal(t, x) + (END - t) * {scale} * N"),
    "worn": (
        "V = g(x)/(1 + w*(T - t)) + (T - t)*scale*N(t, x)",
        "terminal(t, x) / (1 + {wear} * (END - t)) + (END - t) * {scale} * N",
    ),
    "multiplied": ("V = g(x)*exp((T - t)*scale*N(t, x))", "terminal(t, x) * torch.exp((END - t) * {scale} * N)"),
}


@dataclass(frozen=True, slots=True)
class Program:
    """The source text."""

    source: str


class _Named(Emitter):
    """Writes parameters by their names, and remembers which ones."""

    def __init__(self, equation: HJBEquation, taken: frozenset[str]):
        self.names = {symbol: _free(symbol.name, taken) for symbol in equation.problem.values}
        self.used: dict[sp.Symbol, str] = {}
        super().__init__(equation)

    def _places(self) -> Places:
        places = super()._places()
        return Places({**places.scalars, **self.names}, places.columns, places.widths)

    def prepared(self, expression: sp.Basic) -> sp.Basic:
        expression = sp.sympify(expression)
        self.used |= {symbol: name for symbol, name in self.names.items() if symbol in expression.free_symbols}
        return expression


def program(equation: HJBEquation, seed: int = 0) -> Program | Rejected:
    """The program, or why it is not written. Raises `SolverError` where no simple policy has a finite return."""
    reason = _refusal(equation)
    if reason is not None and equation.problem.dimension <= MOST_STATES:
        return Rejected(reason)
    try:
        if reason is not None:
            text = program_on_paths(equation, seed)
            return text if isinstance(text, Rejected) else Program(text)
        neural = NeuralProgram(equation)
        with torch.no_grad(), one_thread():
            training, _ = started(equation, LearningRequest(seed=seed), neural)
        return Program(_written(equation, neural, training, seed))
    except UnsupportedInTorch as unsupported:
        return Rejected(f"the torch program cannot hold {unsupported}")


def _refusal(equation: HJBEquation) -> str | None:
    problem = equation.problem
    reason = refusals.policy_iteration(equation)
    if reason is not None:
        return reason
    if problem.dimension > MOST_STATES:
        return f"{problem.dimension} states: a sample of the domain covers at most {MOST_STATES}"
    if problem.jumps or problem.modes:
        return "jumps and modes are not in the written program"
    if equation.optimum.status == "implicit":
        return "the maximiser has no formula that could be written into the program"
    if problem.exit is not None or any(c.kind not in ("natural", "growth", "periodic") for c in equation.boundaries):
        return "exits and walls are not in the written program"
    if not equation.stationary and not smooth_end(problem):
        return "there is no smooth terminal payoff to build into the network"
    if equation.stationary and problem.numeric(problem.objective.discount) == 0:
        return "without a discount or a horizon the paths of the written program have no end"
    return None


def _written(equation: HJBEquation, neural: NeuralProgram, training: PolicyIteration, seed: int) -> str:
    problem, architecture, domain = equation.problem, training.model.architecture, training.domain
    emitter = _Named(equation, _taken())
    _functions(emitter)
    meaning, formula = _FORMULAS["worn" if architecture.wear else architecture.form]
    numbers = {name: repr(float(getattr(architecture, name))) for name in ("offset", "scale", "sign", "wear")}
    box = torch.stack([domain.inner_low, domain.inner_high])
    noises = len(problem.noises)
    text = template("neural_standalone.py.j2").render(
        header=header(equation, _ABOUT), listing=listing(problem), parameters=_parameters(emitter), seed=seed,
        widths=repr(architecture.widths), samples=500 * (1 + problem.dimension) * (1 if equation.stationary else 2),
        lifetime=repr(training.lifetime.length), finite=not equation.stationary,
        stays_straight=architecture.form == "exponential" and equation.stationary,
        open_axes=repr([i for i, f in enumerate(domain.features) if f.kind != "angle"]),
        tilted=architecture.form == "exponential" and noises > 0, end=repr(float(horizon(problem))),
        states=problem.dimension, controls=neural.controls, noises=noises, low=_ends(domain.low, domain, -math.inf),
        high=_ends(domain.high, domain, math.inf), region_scaled=_table(domain.scaled(box)),
        half_width=_table([math.pi if f.kind == "angle" else f.width for f in domain.features]),
        positive=repr([f.kind == "logarithm" for f in domain.features]), origin=_table([f.origin for f in domain.features]),
        logarithms=any(f.kind == "logarithm" for f in domain.features), first_policy=_table(training.policy.fallback),
        points=_points(equation), constants=emitter.constants,
        functions=[on_clock(function) for function in emitter.functions], notes=notes(equation),
        branches=len(equation.optimum.candidates), features=_features(architecture), inputs=architecture.inputs,
        states_of=[_state(i, f) for i, f in enumerate(domain.features)], form=meaning, formula=formula.format(**numbers),
        names=repr([*([] if equation.stationary else ["t"]), *(unicode_name(g.name) for g in problem.states)]),
        control_names=repr([unicode_name(c.name) for c in problem.control_symbols]),
    )  # fmt: skip
    return re.sub(r"\n{4,}", "\n\n\n", without_unused(text))


def _functions(emitter: Emitter) -> None:
    """The coefficients of the equation, the bounds of the controls, the candidates of the maximiser."""
    problem = emitter.problem
    n, noises = problem.dimension, len(problem.noises)
    emitter.vector("drift", _CONTROLLED, "b.", problem.drift)
    if noises:
        entries = [emitter.loading.get((i, k), sp.S.Zero) for i in range(n) for k in range(noises)]
        shape = f"columns(like, [{{}}]).unflatten(-1, ({n}, {noises}))"
        emitter.texts("diffusion", _CONTROLLED, "S (states, noises), for independent Brownian motions.", entries, shape)
    emitter.scalar("running", _CONTROLLED, "f, the reward rate.", problem.objective.running)
    emitter.scalar("discount", _CONTROLLED, "r, the discount rate.", problem.objective.discount)
    if problem.objective.terminal is not None:
        emitter.scalar("terminal", _STATE, "g, paid at the end.", problem.objective.terminal)
    bounds: list[Bounds] = [b for group in problem.controls for b in group.bounds]
    emitter.vector("lowest", _STATE, "Lower bounds of the controls.", [min(b.points) if b.points else b.lower for b in bounds])
    emitter.vector("highest", _STATE, "Upper bounds of the controls.", [max(b.points) if b.points else b.upper for b in bounds])
    for k, candidate in enumerate(emitter.equation.optimum.candidates):
        controls = [candidate.controls[c] for c in emitter.controls]
        emitter.vector(f"candidate_{k}", _DERIVATIVES, f"Controls: {candidate.name}.", controls)
        where = sp.And(candidate.where, *emitter.equation.optimum.second_order) if k == 0 else candidate.where
        emitter.scalar(f"valid_{k}", _DERIVATIVES, "1 where they are the optimum.", sp.Piecewise((1, where), (0, True)))


def _parameters(emitter: _Named) -> list[str]:
    """The parameters that the functions use, each with its line."""
    problem, lines = emitter.problem, []
    for symbol, name in emitter.used.items():
        number = float(problem.numeric(symbol))
        span = problem.origins.get(symbol.name)
        note = "" if span is None else f"  # {span.file.rpartition('/')[2]}:{span.line}"
        lines.append(f"{name} = torch.tensor({number!r}){note}")
    return sorted(lines, key=lambda line: int(line.rpartition(":")[2]) if "#" in line else 0)


def _taken() -> frozenset[str]:
    """Names that the program itself uses."""
    of_template = {"drift", "diffusion", "running", "discount", "terminal", "grad", "grad_and_value", "jacfwd", "vmap"}
    arguments = {"lowest", "highest", "like", "t", "x", "a", "V", "p", "M"}
    return own_names("neural_") | of_template | arguments | set(keyword.kwlist)


def _free(name: str, taken: frozenset[str]) -> str:
    spelled = re.sub(r"\W", "_", name)
    return f"{spelled}_" if spelled in taken or re.fullmatch(r"w\d\w*", spelled) else spelled


def _features(architecture: Architecture) -> list[str]:
    """The inputs of the network; the clock last."""
    texts = []
    for i, feature in enumerate(architecture.features):
        s = f"x[..., {i}]"
        match feature.kind:
            case "angle":
                texts += [f"torch.sin({s})", f"torch.cos({s})"]
            case "logarithm":
                texts.append(
                    f"(torch.log({s} - {float(feature.origin)!r}) - {float(feature.centre)!r}) / {float(feature.width)!r}"
                )
            case _:
                texts.append(f"({s} - {float(feature.centre)!r}) / {float(feature.width)!r}")
    if architecture.horizon is None:
        return texts
    short, length = clock_scales(architecture.horizon)
    return [*texts, f"1.0 - {2.0 / length!r} * torch.log1p((END - t) / {short!r})"]


def _state(i: int, feature: Feature) -> str:
    match feature.kind:
        case "angle":
            return f"math.pi * s[..., {i}]"
        case "logarithm":
            return f"{float(feature.origin)!r} + torch.exp({float(feature.centre)!r} + {float(feature.width)!r} * s[..., {i}])"
        case _:
            return f"{float(feature.centre)!r} + {float(feature.width)!r} * s[..., {i}]"


def _table(values: torch.Tensor | list[float]) -> str:
    return repr(values.tolist() if isinstance(values, torch.Tensor) else [float(value) for value in values])


def _ends(values: torch.Tensor, domain: Domain, infinite: float) -> str:
    """Ends of the domain; an angle has none."""
    ends = [infinite if f.kind == "angle" else value for f, value in zip(domain.features, values.tolist(), strict=True)]
    return re.sub(r"\binf\b", "math.inf", repr(ends))


def _points(equation: HJBEquation) -> str:
    """The points that `hjb solve` prints without `--at`."""
    problem = equation.problem
    points = default_points(problem)
    rows = []
    for k in range(len(points)):
        cells = written(problem, equation.stationary, points, k)
        rows.append(f"    {(float(points.t[k]), points.x[k].tolist(), list(cells))!r},\n")
    return f"(\n{''.join(rows)})"


__all__ = ["Program", "program"]

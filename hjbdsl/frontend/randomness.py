"""Noises with their correlations, jump processes with their marks, and mode chains.

In: `noise`, `dW dB = rho dt`, `jump`, `mode`, `rate` statements. Out: `Noise`, correlation entries, jumps without
their displacements (the dynamics give those), `ModeChain`s. Laws are checked where they are numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import sympy as sp

from hjbdsl.errors import Span
from hjbdsl.frontend import ast
from hjbdsl.frontend.applications import whole_number
from hjbdsl.frontend.arithmetic import as_float
from hjbdsl.frontend.conditions import label_index
from hjbdsl.frontend.context import CONSTANT, EVERYTHING, Context
from hjbdsl.frontend.evaluate import Reader
from hjbdsl.frontend.findings import Fault, closest
from hjbdsl.frontend.notation_text import plain
from hjbdsl.frontend.scope import ChainName, NoiseName
from hjbdsl.frontend.shapes import Shape
from hjbdsl.model.problem import MarkLaw, ModeChain, Noise

TOLERANCE = 1e-9


@dataclass(slots=True)
class Noises:
    """The scalar Brownian motions in order; `first` gives the index of a group's first component, `shapes` its shape."""

    components: list[Noise] = field(default_factory=list)
    first: dict[str, int] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)


def read_noises(reader: Reader) -> Noises:
    noises = Noises()
    for name, entity in reader.scope.entities.items():
        if not isinstance(entity, NoiseName):
            continue
        with reader.scope.findings.attempt():
            shape = _noise_shape(entity, reader)
            noises.first[name], noises.shapes[name] = len(noises.components), shape
            names = [name] if shape == () else [f"{name}[{i}]" for i in range(1, shape[0] + 1)]
            noises.components.extend(Noise(component, name) for component in names)
    return noises


def _noise_shape(entity: NoiseName, reader: Reader) -> Shape:
    domain = entity.declaration.domain
    if domain is None:
        return ()
    if not isinstance(domain, ast.RealLine) or len(domain.shape) > 1:
        raise Fault(
            "HJB045", f"the noise `{entity.declaration.name}` is a Brownian motion in R^m", "write `noise W in R^2`", domain.span
        )
    sizes = tuple(whole_number(reader, extent, CONSTANT, "a dimension") for extent in domain.shape)
    if sizes and not 1 <= sizes[0] <= 2000:
        raise Fault("HJB043", f"the dimension {sizes[0]} is out of range", "from 1 to 2000", domain.span)
    return sizes


def read_correlation(statement: ast.Correlation, noises: Noises, reader: Reader) -> dict[tuple[int, int], sp.Expr]:
    """The entries {(k, l): rho}, k < l, of one statement. Vectors of one length are correlated component by component."""
    for name in (statement.first, statement.second):
        _noise_named(name, noises, reader)
    if statement.differential.id != "dt":
        remedy = f"write `d{statement.first.id} d{statement.second.id} = rho dt`"
        raise Fault("HJB048", "a correlation ends with `dt`", remedy, statement.differential.span)
    if statement.first.id == statement.second.id:
        remedy = "correlate two noises"
        raise Fault("HJB048", f"`d{statement.first.id} d{statement.first.id}` is dt by definition", remedy, statement.first.span)
    value = reader.value(statement.value, Context("a correlation", EVERYTHING))
    sizes = [(len(noises.shapes[n.id]) and noises.shapes[n.id][0]) or 1 for n in (statement.first, statement.second)]
    matrix = len(value.entries) == sizes[0] * sizes[1] and not (value.is_single and sizes != [1, 1])
    if not matrix and not (value.is_single and sizes[0] == sizes[1]):
        message = f"the correlation of {sizes[0]} with {sizes[1]} noises needs a {sizes[0]}x{sizes[1]} matrix"
        raise Fault("HJB030", message, "or one number, component by component", statement.value.span)
    entries = {}
    for i in range(sizes[0]):
        for j in range(sizes[1]):
            entry = value.entries[i * sizes[1] + j] if matrix else (value.entries[0] if i == j else sp.S.Zero)
            if entry != 0:
                _check_correlation(entry, statement.value, reader)
                pair = (noises.first[statement.first.id] + i, noises.first[statement.second.id] + j)
                entries[(min(pair), max(pair))] = entry
    return entries


def _noise_named(name: ast.Name, noises: Noises, reader: Reader) -> None:
    reader.scope.used.add(name.id)
    if name.id not in noises.first:
        near = closest(name.id, noises.first)
        remedy = f"did you mean `d{near}`?" if near else f"declare it, as in `noise {name.id}`"
        raise Fault("HJB026", f"`{name.id}` is no noise", remedy, name.span)


def _check_correlation(entry: sp.Expr, written: ast.Expr, reader: Reader) -> None:
    number = reader.arithmetic.number(entry)
    if number is not None and not abs(as_float(number)) <= 1:
        text = plain(written)
        shown = "" if text == str(as_float(number)) else f" ({as_float(number):g})"
        message = f"the correlation `{text}`{shown} is outside [-1, 1]"
        raise Fault("HJB048", message, "a correlation lies between -1 and 1", written.span)


def read_rate(statement: ast.Jump, reader: Reader) -> sp.Expr:
    rate = reader.scalar(statement.rate, Context("a jump rate", EVERYTHING))
    number = reader.arithmetic.number(rate)
    if number is not None and not as_float(number) >= 0:
        raise Fault("HJB047", f"the rate of `{statement.name.id}` is negative", "a rate is at least 0", statement.rate.span)
    return rate


def mark_symbol(statement: ast.Jump, law: MarkLaw, reader: Reader) -> sp.Symbol | None:
    """The symbol of the mark, positive where its law is."""
    if statement.mark is None:
        return None
    sizes = []
    match law.kind:
        case "exponential":
            sizes = [0.1]
        case "uniform":
            sizes = [as_float(n) for n in (reader.arithmetic.number(law.arguments[0]),) if n is not None]
        case "discrete":
            numbers = [reader.arithmetic.number(value) for value, _ in law.atoms]
            sizes = [as_float(n) if n is not None else -1.0 for n in numbers]
    positive = bool(sizes) and min(sizes) > 0
    return sp.Symbol(statement.mark.id, real=True, **({"positive": True} if positive else {}))


def read_mark_law(statement: ast.Jump, reader: Reader) -> MarkLaw:
    place = Context("the law of a mark", frozenset({"time", "state", "mode"}))
    match statement.law:
        case None:
            return MarkLaw("none")
        case ast.LawTable(entries):
            atoms = tuple((reader.scalar(v, place), reader.scalar(p, place)) for v, p in entries)
            check_weights([p for _, p in atoms], [p for _, p in entries], "probabilities", statement.law.span, reader)
            return MarkLaw("discrete", (), atoms)
        case ast.LawCall(name, args):
            return _law_call(name, args, statement.law.span, place, reader)
    remedy = "a mark has the law `normal(m, s^2)`, `exponential(k)`, `uniform(a, b)` or `{value: probability, ...}`"
    raise Fault("HJB047", "this is no law for a jump's mark", remedy, statement.law.span)


def _law_call(name: str, args: tuple[ast.Expr, ...], span: Span, place: Context, reader: Reader) -> MarkLaw:
    counts = {"normal": 2, "exponential": 1, "uniform": 2}
    if name not in counts:
        near = closest(name, counts)
        remedy = f"did you mean `{near}`?" if near else "the laws are normal, exponential, uniform and {value: probability}"
        raise Fault("HJB047", f"`{name}` is no law for a jump's mark", remedy, span)
    if len(args) != counts[name]:
        raise Fault("HJB032", f"`{name}` takes {counts[name]} argument{'s' * (counts[name] > 1)}, not {len(args)}",
                    "normal(mean, variance), exponential(rate), uniform(low, high)", span)  # fmt: skip
    values = tuple(reader.scalar(arg, place) for arg in args)
    numbers = [reader.arithmetic.number(value) for value in values]
    sizes = [as_float(number) if number is not None else None for number in numbers]
    match name, sizes:
        case "normal", [_, float(variance)] if not variance >= 0:
            raise Fault("HJB047", f"the variance `{plain(args[1])}` is negative", "normal(mean, variance)", args[1].span)
        case "exponential", [float(rate)] if not rate > 0:
            raise Fault(
                "HJB047", f"the rate `{plain(args[0])}` is not positive", "exponential(k) has density k*exp(-k*y)", args[0].span
            )
        case "uniform", [float(low), float(high)] if not low < high:
            raise Fault("HJB047", "the ends of the uniform law are not in order", "uniform(low, high)", span)
    kind = {"normal": "normal", "exponential": "exponential", "uniform": "uniform"}[name]
    return MarkLaw(kind, values)  # type: ignore[arg-type]


def check_weights(weights: list[sp.Expr], written: list[ast.Expr], what: str, span: Span, reader: Reader) -> None:
    """Weights must be at least 0 and sum to 1, where they are numbers."""
    numbers = [reader.arithmetic.number(weight) for weight in weights]
    total = sp.S.Zero
    for number, expression in zip(numbers, written, strict=True):
        if number is None:
            return
        if not as_float(number) >= 0:
            raise Fault("HJB047", f"`{plain(expression)}` is negative: {what} are at least 0", "change it", expression.span)
        total += number
    if abs(as_float(total) - 1) > TOLERANCE:
        raise Fault("HJB047", f"the {what} sum to {as_float(total):.10g}, not to 1", f"make the {what} sum to 1", span)


def read_chains(rates: list[ast.Rates], reader: Reader) -> tuple[ModeChain, ...]:
    """The chains with their rates; a label names its chain, so labels of different chains must differ."""
    scope = reader.scope
    chains = {name: entity for name, entity in scope.entities.items() if isinstance(entity, ChainName)}
    tables: dict[str, dict[tuple[int, int], sp.Expr]] = {name: {} for name in chains}
    place = Context("a rate", frozenset({"time", "state", "control", "mode"}))
    for transition in (one for statement in rates for one in statement.transitions):
        with scope.findings.attempt():
            name, chain = _chain_with(transition, chains)
            scope.used.add(name)
            key = label_index(transition.source, name, chain), label_index(transition.target, name, chain)
            if key[0] == key[1]:
                raise Fault(
                    "HJB049", f"`{transition.source.id} -> {transition.target.id}` goes nowhere", "remove it", transition.span
                )
            if key in tables[name]:
                message = f"the rate {transition.source.id} -> {transition.target.id} is given twice"
                raise Fault("HJB049", message, "remove one", transition.span)
            rate = reader.scalar(transition.rate, place)
            number = reader.arithmetic.number(rate)
            if number is not None and not as_float(number) >= 0:
                raise Fault(
                    "HJB047", f"the rate `{plain(transition.rate)}` is negative", "a rate is at least 0", transition.rate.span
                )
            if rate != 0:
                tables[name][key] = rate
    return tuple(ModeChain(name, chain.labels, tables[name], scope.spans[name]) for name, chain in chains.items())


def _chain_with(transition: ast.Transition, chains: dict[str, ChainName]) -> tuple[str, ChainName]:
    both = [(n, c) for n, c in chains.items() if transition.source.id in c.labels and transition.target.id in c.labels]
    if both:
        return both[0]
    labels = [label for chain in chains.values() for label in chain.labels]
    culprit = transition.source if transition.source.id not in labels else transition.target
    near = closest(culprit.id, labels)
    remedy = f"did you mean `{near}`?" if near else "declare the modes, as in `mode z in {good, bad}`"
    raise Fault("HJB049", f"no mode has the labels `{transition.source.id}` and `{transition.target.id}`", remedy, culprit.span)

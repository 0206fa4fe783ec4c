"""Equations of motion: drift, diffusion and jump displacements of every state.

In: `dx = f dt + s dW + g dN`. Out: one drift entry a state component, {(i, k): coefficient of noise k in state i},
and for each jump {i: displacement of state i}. Before a vector `dW` a matrix, or a scalar meaning s times the
identity; for a scalar state a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import sympy as sp

from hjbdsl.errors import Span
from hjbdsl.frontend import ast, shapes
from hjbdsl.frontend.context import EVERYTHING, Context
from hjbdsl.frontend.evaluate import Reader
from hjbdsl.frontend.findings import Consequence, Fault, closest
from hjbdsl.frontend.notation_text import plain
from hjbdsl.frontend.randomness import Noises
from hjbdsl.frontend.scope import JumpName, NoiseName, VariableName
from hjbdsl.frontend.shapes import Array, Shape, shape_text
from hjbdsl.model.problem import VariableGroup


@dataclass(slots=True)
class Motion:
    """What the dynamics statements give, gathered; `places` maps a state's name to its statement's span."""

    drift: dict[int, list[sp.Expr]] = field(default_factory=dict)
    diffusion: dict[tuple[int, int], list[sp.Expr]] = field(default_factory=dict)
    displacement: dict[str, dict[int, list[sp.Expr]]] = field(default_factory=dict)
    places: dict[str, Span] = field(default_factory=dict)
    statements: dict[str, ast.Dynamics] = field(default_factory=dict)

    def drift_entries(self, dimension: int) -> tuple[sp.Expr, ...]:
        return tuple(sp.Add(*self.drift.get(i, ())) for i in range(dimension))

    def diffusion_entries(self) -> dict[tuple[int, int], sp.Expr]:
        sums = {key: sp.Add(*terms) for key, terms in self.diffusion.items()}
        return {key: entry for key, entry in sorted(sums.items()) if entry != 0}

    def displacement_of(self, jump: str) -> dict[int, sp.Expr]:
        sums = {i: sp.Add(*terms) for i, terms in self.displacement.get(jump, {}).items()}
        return {i: entry for i, entry in sums.items() if entry != 0}


@dataclass(frozen=True, slots=True)
class StateLayout:
    """Where each state group starts in the flattened state."""

    groups: Mapping[str, VariableGroup]
    first: Mapping[str, int]


def layout(groups: tuple[VariableGroup, ...]) -> StateLayout:
    first, count = {}, 0
    for group in groups:
        first[group.name] = count
        count += len(group.symbols)
    return StateLayout({group.name: group for group in groups}, first)


def read_dynamics(statement: ast.Dynamics, states: StateLayout, noises: Noises, marks: Mapping[str, sp.Symbol | None],
                  reader: Reader, motion: Motion) -> None:  # fmt: skip
    """Add one statement to `motion`."""
    name = statement.state.id
    group = _state(statement, states, reader)
    if name in motion.statements:
        message = f"`{name}` has two equations: `d{name}` is given in line {motion.places[name].line} already"
        raise Fault("HJB020", message, "write all terms in one statement", statement.state.span)
    motion.places[name], motion.statements[name] = statement.state.span, statement
    for term in statement.terms:
        with reader.scope.findings.attempt():
            _term(term, group, states.first[name], noises, marks, reader, motion)


def _state(statement: ast.Dynamics, states: StateLayout, reader: Reader) -> VariableGroup:
    name, span = statement.state.id, statement.state.span
    reader.scope.used.add(f"d{name}")
    if name in states.groups:
        return states.groups[name]
    entity = reader.scope.entities.get(name)
    if isinstance(entity, VariableName) or name in reader.scope.broken:
        if isinstance(entity, VariableName) and entity.role != "state":
            raise Fault(
                "HJB025", f"`{name}` is {entity.what}: only states have an equation", f"declare `state {name} in R`", span
            )
        raise Consequence
    if entity is not None:
        raise Fault("HJB025", f"`{name}` is {entity.what}, not a state: it has no equation", f"declare `state {name} in R`", span)
    reader.scope.broken.add(name)
    reader.scope.spans.setdefault(name, span)
    near = closest(name, states.groups)
    remedy = f"did you mean `d{near}`?" if near and len(name) > 1 else f"declare it: `state {name} in R`"
    raise Fault("HJB025", f"`d{name}` is an equation for `{name}`, which is not declared as a state", remedy, span)


def _term(term: ast.DynamicsTerm, group: VariableGroup, first: int, noises: Noises, marks: Mapping[str, sp.Symbol | None],
          reader: Reader, motion: Motion) -> None:  # fmt: skip
    word = term.differential.id
    if word == "dt":
        drift = reader.value(term.coefficient, Context("the drift", EVERYTHING, expected=group.shape))
        if any(b.is_finite_set for b in group.bounds) and any(entry != 0 for entry in drift.entries):
            remedy = "let it move by jumps, as in `dq = dN - dM`"
            raise Fault("HJB045", f"`{group.name}` lives in a finite set and cannot drift", remedy, term.span)
        for i, entry in enumerate(_as_state(drift, group, term, "the drift").entries):
            motion.drift.setdefault(first + i, []).append(entry)
        return
    entity = reader.scope.entities.get(word[1:]) if word.startswith("d") else None
    if entity is not None or word[1:] in reader.scope.broken:
        reader.scope.used.add(word[1:])
    match entity:
        case NoiseName() if word[1:] in noises.first:
            _diffuse(term, group, first, noises, reader, motion)
        case JumpName():
            _jump(term, group, first, marks, reader, motion)
        case _ if word[1:] in reader.scope.broken or isinstance(entity, NoiseName):
            raise Consequence
        case _:
            raise _unknown_differential(term, reader)


def _unknown_differential(term: ast.DynamicsTerm, reader: Reader) -> Fault:
    word = term.differential.id
    entities = reader.scope.entities
    known = ["dt", *(f"d{name}" for name, e in entities.items() if isinstance(e, NoiseName | JumpName))]
    near = closest(word, known)
    if near is not None and (len(word) > 2 or near.lower() == word.lower()):
        remedy = f"did you mean `{near}`?"
    else:
        remedy = (
            f"declare it: `noise {word[1:]}`, or write `*` for a product" if word.startswith("d") else "write `*` for a product"
        )
    if word.startswith("d") and word[1:] in entities:
        message = f"`{word[1:]}` is {entities[word[1:]].what}, so `{word}` cannot drive a state"
    else:
        message = f"`{word}` is no differential: no noise or jump `{word[1:]}` is declared"
    return Fault("HJB026", message, remedy, term.differential.span)


def _diffuse(term: ast.DynamicsTerm, group: VariableGroup, first: int, noises: Noises, reader: Reader, motion: Motion) -> None:
    name = term.differential.id[1:]
    if any(b.is_finite_set for b in group.bounds):
        remedy = "let it move by jumps, as in `dq = dN - dM`"
        raise Fault("HJB045", f"`{group.name}` lives in a finite set and cannot diffuse", remedy, term.span)
    coefficient = reader.value(term.coefficient, Context("a diffusion coefficient", EVERYTHING))
    matrix = _noise_matrix(coefficient, group, noises.shapes[name], term)
    for (i, k), entry in matrix.items():
        motion.diffusion.setdefault((first + i, noises.first[name] + k), []).append(entry)


def _noise_matrix(
    coefficient: Array, group: VariableGroup, noise: Shape, term: ast.DynamicsTerm
) -> dict[tuple[int, int], sp.Expr]:
    """{(component, noise): entry} without zeros."""
    rows, columns = (group.shape or (1,))[0], (noise or (1,))[0]
    if coefficient.is_single:
        if rows != columns:
            sizes = f"but `{group.name}` has {rows} components and the noise {columns}"
            message = f"a scalar before `{term.differential.id}` means a multiple of the identity, {sizes}"
            raise Fault("HJB030", message, f"write a {rows}x{columns} matrix", term.coefficient.span)
        entries = {(i, i): coefficient.entries[0] for i in range(rows)}
    elif shapes.fits(coefficient, (rows, columns)):
        entries = {(i, k): coefficient.entries[i * columns + k] for i in range(rows) for k in range(columns)}
    else:
        text = plain(term.coefficient)
        wanted = f"`d{group.name}` needs {rows}x{columns} before `{term.differential.id}`"
        message = f"`{text}` is {shape_text(coefficient.shape)} but {wanted}"
        if coefficient.is_vector and rows == 1 and len(coefficient.entries) == columns:
            remedy = f"transpose it: `{text}'`" if isinstance(term.coefficient, ast.Name) else f"transpose it: `({text})'`"
        elif coefficient.is_vector and rows == columns == len(coefficient.entries):
            remedy = f"write `diag({text}) {term.differential.id}` for independent components"
        else:
            remedy = "a matrix has one row a state component and one column a noise"
        raise Fault("HJB030", message, remedy, term.coefficient.span)
    return {key: entry for key, entry in entries.items() if entry != 0}


def _jump(term: ast.DynamicsTerm, group: VariableGroup, first: int, marks: Mapping[str, sp.Symbol | None],
          reader: Reader, motion: Motion) -> None:  # fmt: skip
    name = term.differential.id[1:]
    if name not in marks:  # its law could not be read
        raise Consequence
    mark = marks[name]
    local = {str(mark): shapes.scalar(mark)} if mark is not None else {}
    coefficient = reader.value(term.coefficient, Context("a jump", EVERYTHING, locals=local, expected=group.shape))
    table = motion.displacement.setdefault(name, {})
    for i, entry in enumerate(_as_state(coefficient, group, term, "the jump").entries):
        table.setdefault(first + i, []).append(entry)


def _as_state(value: Array, group: VariableGroup, term: ast.DynamicsTerm, what: str) -> Array:
    if shapes.fits(value, group.shape):
        return value
    if value.is_single and value.entries[0] == 0:
        return shapes.filled(sp.S.Zero, group.shape)
    message = f"{what} `{plain(term.coefficient)}` is {shape_text(value.shape)} but `{group.name}` is {shape_text(group.shape)}"
    remedy = "the right-hand side needs the shape of the state"
    if value.is_single:
        remedy += f"; the same number in each component is `s*ones({len(group.symbols)})`"
    raise Fault("HJB030", message, remedy, term.coefficient.span)

"""`data y(0) ~ law` with `reverse y on [0, T]`: the law of the data and the control that the reversal brings.

In: both statements, and which noises move the state. Out: `Reversal`, with Gaussian mixtures checked (weights,
covariances) and files resolved.
"""

from __future__ import annotations

import math
import os

import sympy as sp

from hjbdsl.frontend import ast
from hjbdsl.frontend.arithmetic import as_float
from hjbdsl.frontend.context import Context
from hjbdsl.frontend.definite import is_positive_definite
from hjbdsl.frontend.evaluate import Reader
from hjbdsl.frontend.findings import Fault
from hjbdsl.frontend.horizon import check_start, read_end
from hjbdsl.frontend.notation_text import plain
from hjbdsl.frontend.randomness import check_weights
from hjbdsl.frontend.rules import named_group
from hjbdsl.frontend.scope import Entity, VariableName
from hjbdsl.frontend.shapes import shape_text
from hjbdsl.model.problem import Bounds, DataFile, GaussianMixture, Noise, Reversal, VariableGroup

CONTROL = "u"


def read_reversal(statement: ast.Reverse, data: ast.Data | None, entering: list[Noise], reader: Reader) -> Reversal:
    """`entering` are the noises with a nonzero coefficient in the state's equation."""
    group = named_group(statement.state, "state", reader)
    if data is None:
        remedy = f"write `data {group.name}(0) ~ normal(m, s^2)`"
        raise Fault("HJB057", f"`reverse {group.name}` needs the law of the data", remedy, statement.span)
    if data.state.id != statement.state.id:
        message = f"the data are those of `{data.state.id}`, but `{statement.state.id}` is reversed"
        raise Fault("HJB057", message, "name the same state in both", data.state.span)
    others = [n for n, e in reader.scope.entities.items() if _is_state(e) and n != group.name]
    if others:
        message = f"the data are those of `{group.name}` alone, but `{'`, `'.join(others)}` would have to be reversed with it"
        raise Fault("HJB057", message, "write all states as one vector, as in `state y in R^2`", data.state.span)
    if reader.scalar(data.time, Context("the time of the data", numeric=True)) != 0:
        raise Fault("HJB057", "the data are given at time 0", f"write `data {group.name}(0) ~ ...`", data.time.span)
    check_start(statement.interval.low, reader)
    end = read_end(statement.interval.high, reader)
    if end is None or end.value == sp.oo:
        raise Fault("HJB053", "time is reversed on a finite interval", "write `[0, T]`", statement.interval.span)
    if not entering:
        raise Fault("HJB057", f"no noise enters `{group.name}`: there is nothing to reverse", "add `s dW`", statement.span)
    return Reversal(group.name, end.value, _law(data, group, reader), _control(statement, entering, reader), statement.span)


def _is_state(entity: Entity) -> bool:
    return isinstance(entity, VariableName) and entity.role == "state"


def _control(statement: ast.Reverse, entering: list[Noise], reader: Reader) -> VariableGroup:
    if CONTROL in reader.scope.entities:
        line = reader.scope.spans[CONTROL].line
        message = f"`{CONTROL}` is declared in line {line}, but it is the name of the control that `reverse` derives"
        raise Fault("HJB020", message, "rename the declared one", reader.scope.spans[CONTROL])
    single = len(entering) == 1 and entering[0].name == entering[0].group
    names = [CONTROL] if single else [f"{CONTROL}[{i}]" for i in range(1, len(entering) + 1)]
    symbols = tuple(sp.Symbol(name, real=True) for name in names)
    free = Bounds(-sp.oo, sp.oo)
    shape = () if single else (len(entering),)
    return VariableGroup(CONTROL, "control", shape, symbols, (free,) * len(symbols), None, statement.span)


def _law(data: ast.Data, group: VariableGroup, reader: Reader) -> GaussianMixture | DataFile:
    match data.law:
        case ast.FileLaw(path, span):
            folder = os.path.dirname(span.file)
            resolved = os.path.normpath(os.path.join(folder, path))
            if not os.path.isfile(resolved):
                what = "is a folder" if os.path.isdir(resolved) else "does not exist"
                raise Fault("HJB057", f"the data file `{path}` {what}", "a path is relative to the .hjb file", span)
            return DataFile(resolved)
        case ast.LawCall() as law:
            mean, covariance = _gaussian(law, group, reader)
            return GaussianMixture((sp.S.One,), (mean,), (covariance,))
        case ast.Mixture(components, span):
            place = Context("a weight")
            weights = [reader.scalar(weight, place) for weight, _ in components]
            check_weights(weights, [weight for weight, _ in components], "weights", span, reader)
            laws = [_gaussian(law, group, reader) for _, law in components]
            return GaussianMixture(tuple(weights), tuple(mean for mean, _ in laws), tuple(c for _, c in laws))
    remedy = 'data are `normal(m, C)`, `mixture(0.5: normal(...), ...)` or `file "samples.npy"`'
    raise Fault("HJB057", "this is no law for data", remedy, data.law.span)


def _gaussian(law: ast.LawCall, group: VariableGroup, reader: Reader) -> tuple[tuple[sp.Expr, ...], sp.ImmutableMatrix]:
    """Mean and covariance; a scalar variance is that of every component."""
    if law.name != "normal" or len(law.args) != 2:
        raise Fault(
            "HJB057", f"`{law.name}` with {len(law.args)} arguments is no Gaussian", "write `normal(mean, covariance)`", law.span
        )
    size = len(group.symbols)
    mean, spread = (reader.value(arg, Context("the law of the data")) for arg in law.args)
    if len(mean.entries) != size or (len(mean.shape) > 1 and 1 not in mean.shape):
        wanted = f"`{group.name}` has {size} component{'s' * (size > 1)}"
        message = f"the mean `{plain(law.args[0])}` is {shape_text(mean.shape)} but {wanted}"
        raise Fault("HJB030", message, "one entry a component", law.args[0].span)
    if spread.is_single:
        matrix = sp.ImmutableMatrix(size, size, lambda i, j: spread.entries[0] if i == j else sp.S.Zero)
    elif spread.shape == (size, size):
        matrix = sp.ImmutableMatrix(size, size, list(spread.entries))
    else:
        message = f"the covariance `{plain(law.args[1])}` is {shape_text(spread.shape)}, `{group.name}` needs {size}x{size}"
        remedy = (
            f"write `diag({plain(law.args[1])})` for independent components" if spread.is_vector else "a covariance is square"
        )
        raise Fault("HJB030", message, remedy, law.args[1].span)
    _check_covariance(matrix, law.args[1], reader)
    return mean.entries, matrix


def _check_covariance(matrix: sp.ImmutableMatrix, written: ast.Expr, reader: Reader) -> None:
    """Symmetric and positive definite."""
    size = matrix.rows
    numbers = [reader.arithmetic.number(entry) for entry in matrix]
    flat = [as_float(number) if number is not None else math.nan for number in numbers]
    rows = [flat[i * size : (i + 1) * size] for i in range(size)]
    text = plain(written)
    if not all(math.isfinite(entry) for entry in flat):
        raise Fault("HJB047", f"the covariance `{text}` is not a finite number", "use constants", written.span)
    if any(abs(rows[i][j] - rows[j][i]) > 1e-12 * (1 + abs(rows[i][j])) for i in range(size) for j in range(i)):
        raise Fault("HJB047", f"the covariance `{text}` is not symmetric", "a covariance equals its transpose", written.span)
    if not is_positive_definite(rows):
        what = "variance" if size == 1 else "covariance"
        remedy = "normal(mean, variance): a variance is above 0" if size == 1 else "its eigenvalues must be above 0"
        raise Fault("HJB047", f"the {what} `{text}` is not positive{'' if size == 1 else ' definite'}", remedy, written.span)

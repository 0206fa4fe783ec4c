"""The built-in functions of the language, from arrays to arrays.

In: the evaluated arguments. Out: an `Array`; a wrong number or shape of arguments raises `Unworkable` with the remedy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import sympy as sp

from hjbdsl.frontend import shapes
from hjbdsl.frontend.arithmetic import Arithmetic, Unworkable
from hjbdsl.frontend.shapes import Array, scalar, shape_text

LARGEST_ARRAY = 1_000_000
Builtin = Callable[[Arithmetic, Sequence[Array]], Array]


def _scalars(name: str, arguments: Sequence[Array], count: int | None) -> list[sp.Expr]:
    if count is not None and len(arguments) != count:
        raise Unworkable(
            f"`{name}` takes {count} argument{'s' * (count != 1)}, not {len(arguments)}",
            "check the brackets and commas",
            "HJB032",
        )
    for argument in arguments:
        if not argument.is_single:
            raise Unworkable(
                f"`{name}` takes scalars, but its argument is {shape_text(argument.shape)}",
                f"apply it to each component, as in `[{name}(x[i]) for i in 1..{len(argument.entries)}]`, or take the norm `|x|`",
                "HJB030",
            )
    return [argument.entries[0] for argument in arguments]


def _elementary(name: str, function: Callable[..., sp.Expr], count: int = 1) -> Builtin:
    def apply(_arithmetic: Arithmetic, arguments: Sequence[Array]) -> Array:
        return scalar(function(*_scalars(name, arguments, count)))

    return apply


def _exponential(arithmetic: Arithmetic, arguments: Sequence[Array]) -> Array:
    return scalar(arithmetic.exponential(*_scalars("exp", arguments, 1)))


def _logarithm(arithmetic: Arithmetic, arguments: Sequence[Array]) -> Array:
    return scalar(arithmetic.logarithm(*_scalars("log", arguments, 1)))


def _square_root(arithmetic: Arithmetic, arguments: Sequence[Array]) -> Array:
    return scalar(arithmetic.square_root(*_scalars("sqrt", arguments, 1)))


def _bounded_growth(name: str, function: Callable[[sp.Expr], sp.Expr]) -> Builtin:
    """sinh and cosh grow as exp does, and share its guard."""

    def apply(arithmetic: Arithmetic, arguments: Sequence[Array]) -> Array:
        (argument,) = _scalars(name, arguments, 1)
        arithmetic.exponential(sp.Abs(argument))
        return scalar(function(argument))

    return apply


def _extreme(name: str, function: Callable[..., sp.Expr]) -> Builtin:
    def apply(_arithmetic: Arithmetic, arguments: Sequence[Array]) -> Array:
        if not arguments:
            raise Unworkable(f"`{name}` needs arguments", f"as in `{name}(x, 0)`", "HJB032")
        entries = arguments[0].entries if len(arguments) == 1 else _scalars(name, arguments, None)
        return scalar(function(*entries))

    return apply


def _normal_distribution(argument: sp.Expr) -> sp.Expr:
    return sp.erfc(-argument / sp.sqrt(2)) / 2


def _extent(name: str, argument: Array, arithmetic: Arithmetic) -> int:
    value = arithmetic.number(argument.entries[0]) if argument.is_single else None
    if value is None or not value.is_Integer or value < 1:
        raise Unworkable(f"`{name}` needs a whole number >= 1 for its size", f"as in `{name}(3)`", "HJB043")
    return int(min(value, LARGEST_ARRAY + 1))


def _shape(name: str, arguments: Sequence[Array], arithmetic: Arithmetic) -> tuple[int, ...]:
    if not 1 <= len(arguments) <= 2:
        raise Unworkable(
            f"`{name}` takes one size or two, not {len(arguments)}", f"as in `{name}(n)` or `{name}(n, m)`", "HJB032"
        )
    shape = tuple(_extent(name, argument, arithmetic) for argument in arguments)
    if shape[0] * shape[-1] > LARGEST_ARRAY and (len(shape) == 2 or shape[0] > LARGEST_ARRAY):
        raise Unworkable(f"`{name}` is too large", f"at most {LARGEST_ARRAY} entries are kept", "HJB040")
    return shape


def _ones(arithmetic: Arithmetic, arguments: Sequence[Array]) -> Array:
    return shapes.filled(sp.S.One, _shape("ones", arguments, arithmetic))


def _zeros(arithmetic: Arithmetic, arguments: Sequence[Array]) -> Array:
    return shapes.filled(sp.S.Zero, _shape("zeros", arguments, arithmetic))


def _eye(arithmetic: Arithmetic, arguments: Sequence[Array]) -> Array:
    if len(arguments) != 1:
        raise Unworkable("`eye` takes one size", "as in `eye(3)`", "HJB032")
    (size,) = _shape("eye", arguments, arithmetic)
    return _identity(sp.S.One, size, "eye")


def _identity(entry: sp.Expr, size: int, name: str) -> Array:
    if size * size > LARGEST_ARRAY:
        raise Unworkable(f"`{name}` is too large", f"at most {LARGEST_ARRAY} entries are kept", "HJB040")
    return shapes.diagonal((entry,) * size)


def _diagonal(arithmetic: Arithmetic, arguments: Sequence[Array]) -> Array:
    """`diag(v)` of a vector; `diag(s, n)` is s times the identity."""
    if len(arguments) == 2 and arguments[0].is_single:
        return _identity(arguments[0].entries[0], _extent("diag", arguments[1], arithmetic), "diag")
    if len(arguments) != 1 or len(arguments[0].shape) > 1:
        raise Unworkable("`diag` takes a vector, or a scalar and a size", "as in `diag([1, 2])` or `diag(-1, n)`", "HJB030")
    return shapes.diagonal(arguments[0].entries)


def _norm(_arithmetic: Arithmetic, arguments: Sequence[Array]) -> Array:
    if len(arguments) != 1:
        raise Unworkable("`norm` takes one vector", "as in `norm(x)` or `|x|`", "HJB032")
    return _norm_of(arguments[0])


def _norm_of(array: Array) -> Array:
    try:
        return shapes.norm(array)
    except shapes.ShapeMismatch:
        raise Unworkable(
            f"the norm is that of a vector, but this is {shape_text(array.shape)}",
            "take the norm of a row, or of `A*x`",
            "HJB030",
        ) from None


def _dot(_arithmetic: Arithmetic, arguments: Sequence[Array]) -> Array:
    if len(arguments) != 2:
        raise Unworkable("`dot` takes two vectors", "as in `dot(x, y)`, which is `x'*y`", "HJB032")
    try:
        return shapes.dot(*arguments)
    except shapes.ShapeMismatch:
        left, right = (shape_text(a.shape) for a in arguments)
        raise Unworkable(
            f"`dot` takes two vectors of one length, not {left} and {right}", "check the lengths", "HJB030"
        ) from None


def _sum(_arithmetic: Arithmetic, arguments: Sequence[Array]) -> Array:
    if len(arguments) != 1:
        raise Unworkable("`sum` takes one vector", "as in `sum(x[i] for i in 1..n)`", "HJB032")
    return scalar(sp.Add(*arguments[0].entries))


def _law(_arithmetic: Arithmetic, _arguments: Sequence[Array]) -> Array:
    raise Unworkable("a law is not a number", "it may stand after `~`, as in `mark J ~ normal(m, s^2)`", "HJB027")


BUILTINS: Mapping[str, Builtin] = {
    "exp": _exponential,
    "log": _logarithm,
    "sqrt": _square_root,
    "sin": _elementary("sin", sp.sin),
    "cos": _elementary("cos", sp.cos),
    "tan": _elementary("tan", sp.tan),
    "tanh": _elementary("tanh", sp.tanh),
    "sinh": _bounded_growth("sinh", sp.sinh),
    "cosh": _bounded_growth("cosh", sp.cosh),
    "atan": _elementary("atan", sp.atan),
    "atan2": _elementary("atan2", sp.atan2, 2),
    "erf": _elementary("erf", sp.erf),
    "Phi": _elementary("Phi", _normal_distribution),
    "abs": _elementary("abs", sp.Abs),
    "sign": _elementary("sign", sp.sign),
    "min": _extreme("min", sp.Min),
    "max": _extreme("max", sp.Max),
    "ones": _ones,
    "zeros": _zeros,
    "eye": _eye,
    "diag": _diagonal,
    "norm": _norm,
    "dot": _dot,
    "sum": _sum,
    "normal": _law,
    "uniform": _law,
    "exponential": _law,
    "mixture": _law,
}
"""`if` and `indicator` take conditions and are read where expressions are."""

"""Arrays of sympy scalars and the algebra that the blackboard gives them.

In: entries. Out: sums, products, transposes, norms, with `ShapeMismatch` where the shapes do not fit. A vector of n entries has
shape (n,), its transpose (1, n), a matrix (n, m), a scalar (). An array of a single entry serves as a scalar where a
scalar is wanted. Sums are built once from all their terms: adding terms one by one costs the square of their number.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sympy as sp

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Array:
    """`entries` row by row; `len(entries)` is the product of `shape`."""

    shape: Shape
    entries: tuple[sp.Expr, ...]

    @property
    def is_single(self) -> bool:
        return len(self.entries) == 1

    @property
    def is_vector(self) -> bool:
        return len(self.shape) == 1


class ShapeMismatch(Exception):
    """The operands do not fit; the caller knows their names and places."""


def scalar(entry: sp.Expr) -> Array:
    return Array((), (entry,))


def shape_text(shape: Shape) -> str:
    """`a scalar`, `3x1`, `2x2`."""
    match shape:
        case ():
            return "a scalar"
        case (rows,):
            return f"{rows}x1"
        case (rows, columns):
            return f"{rows}x{columns}"
    raise ValueError(f"no such shape: {shape}")


def _rows_and_columns(array: Array) -> tuple[int, int]:
    match array.shape:
        case ():
            return 1, 1
        case (rows,):
            return rows, 1
        case (rows, columns):
            return rows, columns
    raise ValueError(f"no such shape: {array.shape}")


def fits(array: Array, shape: Shape) -> bool:
    """Whether `array` may stand where `shape` is wanted: equal, or a column for a vector, or a single entry for a single one."""
    if array.shape == shape:
        return True
    wanted = Array(shape, ())
    return _rows_and_columns(array) == _rows_and_columns(wanted)


def reshaped(array: Array, shape: Shape) -> Array:
    if not fits(array, shape):
        raise ShapeMismatch
    return Array(shape, array.entries)


def add(terms: Sequence[Array]) -> Array:
    """The sum, entry by entry. All terms must have the shape of the first."""
    if all(term.shape == () for term in terms):
        return Array((), (sp.Add(*(term.entries[0] for term in terms)),))
    shape = next((term.shape for term in terms if not term.is_single), terms[0].shape)
    if any(not fits(term, shape) for term in terms):
        raise ShapeMismatch
    if len(terms) == 1:
        return terms[0]
    return Array(shape, tuple(sp.Add(*column) for column in zip(*(term.entries for term in terms), strict=True)))


def mapped(array: Array, function: Callable[[sp.Expr], sp.Expr]) -> Array:
    """`function` at every entry; equal entries are worked once."""
    if len(array.entries) == 1:
        return Array(array.shape, (function(array.entries[0]),))
    done: dict[sp.Expr, sp.Expr] = {}
    for entry in array.entries:
        if entry not in done:
            done[entry] = function(entry)
    return Array(array.shape, tuple(done[entry] for entry in array.entries))


def scale(factor: sp.Expr, array: Array) -> Array:
    if factor == 1:
        return array
    return mapped(array, lambda entry: sp.Mul(factor, entry))


def negate(array: Array) -> Array:
    return mapped(array, lambda entry: -entry)


def product(left: Array, right: Array) -> Array:
    """The matrix product where the shapes ask for it, a multiple where one operand is a scalar."""
    if left.shape == ():
        return scale(left.entries[0], right)
    if right.shape == ():
        return scale(right.entries[0], left)
    (rows, inner), (inner_right, columns) = _rows_and_columns(left), _rows_and_columns(right)
    if inner != inner_right:
        if left.is_single:
            return scale(left.entries[0], right)
        if right.is_single:
            return scale(right.entries[0], left)
        raise ShapeMismatch
    entries = tuple(
        inner_product(left.entries[i * inner : (i + 1) * inner], right.entries[j::columns])
        for i in range(rows)
        for j in range(columns)
    )
    if (rows, columns) == (1, 1):
        return Array((), entries)
    return Array((rows,) if right.is_vector else (rows, columns), entries)


def inner_product(left: Sequence[sp.Expr], right: Sequence[sp.Expr]) -> sp.Expr:
    zero = sp.S.Zero
    terms = [multiplied(a, b) for a, b in zip(left, right, strict=True) if a is not zero and b is not zero]
    return sp.Add(*terms) if terms else zero


def multiplied(left: sp.Expr, right: sp.Expr) -> sp.Expr:
    """left*right; a number times a symbol, the bulk of every large problem, is put together directly."""
    if left.is_Symbol and right.is_Rational:
        left, right = right, left
    if left.is_Rational and right.is_Symbol and left is not sp.S.One and left is not sp.S.Zero:
        return sp.Mul._from_args((left, right))
    return left * right


def dot(left: Array, right: Array) -> Array:
    if len(left.entries) != len(right.entries) or len(left.shape) > 1 or len(right.shape) > 1:
        raise ShapeMismatch
    return scalar(inner_product(left.entries, right.entries))


def transpose(array: Array) -> Array:
    match array.shape:
        case ():
            return array
        case (rows,):
            return Array((1, rows), array.entries)
        case (1, columns):
            return Array((columns,), array.entries)
        case (rows, columns):
            return Array((columns, rows), tuple(array.entries[i * columns + j] for j in range(columns) for i in range(rows)))
    raise ValueError(f"no such shape: {array.shape}")


def norm(array: Array) -> Array:
    """|v|: the absolute value of a scalar, the Euclidean norm of a vector."""
    if array.is_single:
        return scalar(sp.Abs(array.entries[0]))
    if len(array.shape) == 2 and 1 not in array.shape:
        raise ShapeMismatch
    return scalar(sp.sqrt(sp.Add(*(entry**2 for entry in array.entries))))


def stack(rows: Sequence[Array]) -> Array:
    """`[a, b, ...]`: a vector of scalars, or a matrix whose rows are the items."""
    first = rows[0].shape
    if any(row.shape != first for row in rows) or len(first) > 1:
        raise ShapeMismatch
    entries = tuple(entry for row in rows for entry in row.entries)
    return Array((len(rows), *first), entries)


def diagonal(entries: Sequence[sp.Expr]) -> Array:
    size = len(entries)
    return Array((size, size), tuple(entries[i] if i == j else sp.S.Zero for i in range(size) for j in range(size)))


def filled(entry: sp.Expr, shape: Shape) -> Array:
    count = 1
    for extent in shape:
        count *= extent
    return Array(shape, (entry,) * count)

"""Long sums of quadratic monomials, evaluated as matrix products: a 50 x 50 form is one product, not 1275 printed terms.

In: expressions in the argument symbols. Out: the expressions with such sums replaced by letters, and the letters' values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import sympy as sp

_LONG = 30
_DEPTH = 6
"""How deep below the top a long sum is looked for."""


class WidePolynomials:
    """Gathers the polynomials: letter k stands for linear_k . a + a' quadratic_k a, a the vector of the arguments."""

    def __init__(self, arguments: Sequence[sp.Symbol]):
        self._index = {symbol: i for i, symbol in enumerate(arguments)}
        self._linear: list[np.ndarray] = []
        self._quadratic: list[np.ndarray | None] = []

    @property
    def letters(self) -> tuple[str, ...]:
        return tuple(f"w{k}" for k in range(len(self._linear)))

    def pulled_out(self, expression: sp.Basic, depth: int = _DEPTH) -> sp.Basic:
        """`expression` with the polynomial part of every long sum replaced by a letter."""
        if isinstance(expression, sp.Add) and len(expression.args) > _LONG:
            return self._split(expression, depth)
        if depth == 0 or not isinstance(expression, (sp.Add, sp.Mul, sp.Pow, sp.Function)):
            return expression
        parts = [self.pulled_out(part, depth - 1) for part in expression.args]
        changed = any(new is not old for new, old in zip(parts, expression.args, strict=True))
        return expression.func(*parts) if changed else expression

    def _split(self, total: sp.Add, depth: int) -> sp.Expr:
        size = len(self._index)
        linear = np.zeros(size)
        quadratic: np.ndarray | None = None
        rest: list[sp.Expr] = []
        for term in total.args:
            monomial = self._monomial(term)
            if monomial is None:
                rest.append(self.pulled_out(term, depth - 1) if depth else term)
            elif len(monomial[1]) == 1:
                linear[monomial[1][0]] += monomial[0]
            else:
                quadratic = np.zeros((size, size)) if quadratic is None else quadratic
                quadratic[monomial[1]] += monomial[0]
        if len(rest) > len(total.args) - _LONG // 2:
            return sp.Add(*rest) if not np.any(linear) and quadratic is None else total
        letter = sp.Symbol(f"w{len(self._linear)}", real=True)
        self._linear.append(linear)
        self._quadratic.append(quadratic)
        return sp.Add(letter, *rest)

    def _monomial(self, term: sp.Expr) -> tuple[float, tuple[int, ...]] | None:
        """(number, indices) of a product of a number and one or two arguments."""
        number, indices = 1.0, []
        for factor in sp.Mul.make_args(term):
            if factor.is_Number:
                number *= float(factor)
            elif factor in self._index:
                indices.append(self._index[factor])
            elif isinstance(factor, sp.Pow) and factor.exp == 2 and factor.base in self._index:
                indices += [self._index[factor.base]] * 2
            else:
                return None
        return (number, tuple(indices)) if 1 <= len(indices) <= 2 else None

    def evaluate(self, arguments: Sequence[Any]) -> list[np.ndarray]:
        """The value of every letter."""
        shape = np.broadcast_shapes(*(np.shape(a) for a in arguments))
        stack = np.stack([np.broadcast_to(a, shape) for a in arguments]).reshape(len(arguments), -1)
        values = np.array(self._linear) @ stack
        for k, quadratic in enumerate(self._quadratic):
            if quadratic is not None:
                values[k] += np.einsum("ip,ip->p", stack, quadratic @ stack)
        return list(values.reshape(len(values), *shape))

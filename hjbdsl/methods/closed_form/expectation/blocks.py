"""One summand of the terminal payoff, reduced to few dimensions: e^(c'Y) h(U'Y) of the final coordinates it depends on.

In: the law of the final coordinates at k points. Out: the expectation with its derivatives in their mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hjbdsl.methods.closed_form.expectation.core import Core, Expectation
from hjbdsl.model.solution import Array


@dataclass(frozen=True, slots=True)
class Block:
    """`index` (m,): the coordinates; `directions` U (m, r), None for the identity; `tilt` c (m,), None for zero."""

    index: NDArray[np.intp]
    directions: Array | None
    tilt: Array | None
    core: Core

    def expectation(self, mean: Array, covariance: Array, *, with_hessian: bool) -> Expectation:
        """`mean` (k, n) and `covariance` (k, n, n), or (k, n) where it is diagonal, of all final coordinates; derivatives in the
        mean of the block's m coordinates."""
        m = mean[:, self.index]
        if covariance.ndim == 2:
            c = covariance[:, self.index][:, :, None] * np.eye(len(self.index))
        else:
            c = covariance[:, self.index[:, None], self.index]
        u = self.directions
        if self.tilt is not None:
            m = m + c @ self.tilt
        if u is None:
            core = self.core.expectation(m, c, with_hessian=with_hessian)
        else:
            core = self.core.expectation(m @ u, u.T @ c @ u, with_hessian=with_hessian)
            curve = u @ core.hessian @ u.T if with_hessian and core.hessian is not None else None
            core = Expectation(core.scale, core.value, core.gradient @ u.T, curve, core.error)
        return core if self.tilt is None else self._tilted(core, mean[:, self.index], c)

    def _tilted(self, core: Expectation, mean: Array, covariance: Array) -> Expectation:
        """E e^(c'Y) h(U'Y) = exp(c'm + c'C c/2) K(U'(m + C c))."""
        c = self.tilt
        assert c is not None
        exponent = mean @ c + np.einsum("i,kij,j->k", c, covariance, c) / 2
        curve = None
        if core.hessian is not None:
            mixed = c[:, None] * core.gradient[:, None, :]
            curve = core.hessian + mixed + mixed.transpose(0, 2, 1) + core.value[:, None, None] * np.outer(c, c)
        return Expectation(
            core.scale + exponent,
            core.value,
            core.gradient + core.value[:, None] * c,
            curve,
            core.error,
        )

"""Invariant ansätze: value functions known up to a few coefficients, which obey algebraic or ordinary differential equations."""

from hjbdsl.methods.closed_form.ansatz.propose import propose

__all__ = ["propose"]

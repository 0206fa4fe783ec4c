"""Why a Riccati equation gives no answer; `diagnostics` puts them into words."""

from __future__ import annotations


class Escape(ArithmeticError):
    """The solution becomes infinite at time-to-go `remaining`; `no_saddle` where the Hamiltonian lost its optimum there."""

    def __init__(self, remaining: float, no_saddle: str = ""):
        super().__init__(f"escape at T - t = {remaining:g}")
        self.remaining = remaining
        self.no_saddle = no_saddle


class Infinite(ArithmeticError):
    """The finite-horizon values diverge; `remaining` is the time-to-go where they blow up, or inf for slow growth."""

    def __init__(self, remaining: float, what: str):
        super().__init__(what)
        self.remaining = remaining
        self.what = what


class Undecided(ArithmeticError):
    """No root could be certified; the message says why."""

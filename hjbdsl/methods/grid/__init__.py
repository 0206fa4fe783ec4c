"""Grid method: any problem of one to three continuous states, on a generated numba program."""

from hjbdsl.methods.grid.solve import solve

__all__ = ["solve"]

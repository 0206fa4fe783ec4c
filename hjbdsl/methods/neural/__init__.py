"""Neural method: value functions as networks, trained on a generated torch program.

In: an `HJBEquation`, options. Out: the answer of the first learner that accepts. The learners stand in `LEARNERS`, in the order
in which they are asked; each is a file of its own with a function `propose`. Torch is imported by the learners only.
"""

from hjbdsl.methods.neural.solve import LEARNERS, solve

__all__ = ["LEARNERS", "solve"]

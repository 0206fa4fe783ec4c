"""Generative problems: scores learned from data, samplers, likelihoods, control on top.

`solve` learns the score of a time reversal; `samples` draws from a solved one, by whatever method. The exact score of Gaussian
mixtures is a closed form and belongs to `closed_form`; it comes in here through the `ValueFunction` interface.
"""

from hjbdsl.methods.generative.describe import samples
from hjbdsl.methods.generative.function import LearnedReversal
from hjbdsl.methods.generative.solve import solve
from hjbdsl.methods.generative.tilting import tilted_problem
from hjbdsl.methods.generative.verification_gap import gap_of_learned

__all__ = ["LearnedReversal", "gap_of_learned", "samples", "solve", "tilted_problem"]

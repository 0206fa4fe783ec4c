"""Problems from text and their proved answers, for the tests of this room."""

from __future__ import annotations

import numpy as np

from hjbdsl.frontend.load import loads_problem
from hjbdsl.methods.closed_form.engine import explain
from hjbdsl.model.solution import Accepted
from hjbdsl.symbolic.derive import derive


def proposed(family, text):
    return family(derive(loads_problem(text)))


def proved(family, text):
    """The solution of `family` alone, through the engine and its verifier."""
    answer = explain(derive(loads_problem(text)), (("tested", family),)).answer
    assert isinstance(answer, Accepted), answer
    return answer.solution


def at(solution, t, x):
    x = np.atleast_2d(np.asarray(x, dtype=float))
    return solution.function.evaluate(np.full(len(x), float(t)), x, np.zeros(len(x), dtype=np.int64))

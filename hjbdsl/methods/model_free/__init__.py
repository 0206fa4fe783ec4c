"""Model-free: value and advantage rate from transitions (x, a, r, x') alone, by martingale orthogonality conditions.

`taught(equation, lesson)` finds the transitions that the lesson names (a simulator of the file, an environment, a recorded
file), learns, and plays. `learn` does the learning on transitions in hand. Of the equation both read the sense, discount and
horizon of the objective and the kinds of states and controls: no drift, no noise, no reward."""

from hjbdsl.methods.model_free.environment import Environment, make
from hjbdsl.methods.model_free.learn import gathered, learn
from hjbdsl.methods.model_free.lesson import Lesson
from hjbdsl.methods.model_free.recorded import read, write
from hjbdsl.methods.model_free.teach import Taught, taught
from hjbdsl.methods.model_free.transitions import Transitions, transitions

__all__ = [
    "Environment",
    "Lesson",
    "Taught",
    "Transitions",
    "gathered",
    "learn",
    "make",
    "read",
    "taught",
    "transitions",
    "write",
]

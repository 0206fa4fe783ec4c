"""Letters of ours that a problem's own names may take: the clock under an integral, the step, the average, Q and the advantage.

In: a problem. Out: for each role the first letter of a list that the file does not use, as `Notation`. Also the file's notation
made ready for the page.
"""

from __future__ import annotations

import re
from dataclasses import replace

from hjbdsl.model.names import unicode_name
from hjbdsl.model.problem import ControlProblem, Notation

_CLOCKS = ("s", "v", "z", "y", "l", "n")
_STEPS = (Notation("h", "h"), Notation("δ", r"\delta"), Notation("ε", r"\varepsilon"), Notation("Δt", r"\Delta t"))
_AVERAGES = (Notation("η", r"\eta"), Notation("λ", r"\lambda"), Notation("κ", r"\kappa"), Notation("ξ", r"\xi"))
_Q_FUNCTIONS = (Notation("Q", "Q"), Notation("Q̂", r"\hat Q"))
_ADVANTAGES = (Notation("q", "q"), Notation("q̂", r"\hat q"))


def taken(problem: ControlProblem) -> frozenset[str]:
    """Every name of the file as it is written on paper, heads of components and of modes included."""
    groups = (*problem.states, *problem.controls, *problem.adversaries)
    names = {parameter.name for parameter in problem.parameters} | {group.name for group in groups}
    names |= {symbol.name.partition("(")[0].partition("[")[0] for symbol in problem.values}
    names |= {jump.name for jump in problem.jumps} | {str(jump.mark) for jump in problem.jumps if jump.mark is not None}
    names |= {chain.name for chain in problem.modes} | {parameter.symbol.name for parameter in problem.mode_parameters}
    names |= {noise.group for noise in problem.noises}
    names |= {rule.name for rule in (problem.stopping, problem.exit) if rule is not None}
    return frozenset(unicode_name(name) for name in names)


def _free(problem: ControlProblem, candidates: tuple[Notation, ...]) -> Notation:
    names = taken(problem)
    return next((letter for letter in candidates if letter.text not in names), candidates[-1])


def clock(problem: ControlProblem) -> Notation:
    """The time under an integral from t on: s."""
    return _free(problem, tuple(Notation(letter, letter) for letter in _CLOCKS))


def inner_clock(problem: ControlProblem) -> Notation:
    """The time under the integral of a discount rate, inside the other: the next free letter."""
    used = clock(problem).text
    return _free(problem, tuple(Notation(letter, letter) for letter in _CLOCKS if letter != used))


def step_letter(problem: ControlProblem) -> Notation:
    """The length of the step in the discrete Bellman equation: h."""
    return _free(problem, _STEPS)


def average_letter(problem: ControlProblem) -> Notation:
    """The long-run average: η."""
    return _free(problem, _AVERAGES)


def q_function_letter(problem: ControlProblem) -> Notation:
    return _free(problem, _Q_FUNCTIONS)


def advantage_letter(problem: ControlProblem) -> Notation:
    """The advantage rate: q (Jia, Zhou 2023, JMLR 24)."""
    return _free(problem, _ADVANTAGES)


def ready_for_print(problem: ControlProblem) -> ControlProblem:
    """The problem with its own notation in the marks of this stage: √ for sqrt, space round words, a dot before a number."""
    return replace(problem, notation={key: _ready(written) for key, written in problem.notation.items()})


_ROOT = re.compile(r"\bsqrt\(")
_NUMBER_AFTER = re.compile(r"(?<=[\w)\]²³])(?<! in) (?=\d+(?:\.\d+)?(?![\d.]))")
_LATEX_NUMBER_AFTER = re.compile(r"((?<![\\A-Za-z])[A-Za-z](?:_\w|_\{\w+\})?) (?=\d)")
_BEFORE_WORD = re.compile(r"(?<=[A-Za-z0-9})])(?<!cases\}) (?=\\mathrm\{\w{2,}\})")
_AFTER_WORD = re.compile(r"(\\mathrm\{\w{2,}\}(?:[_^](?:\{[^{}]*\}|\w))*) (?=[A-Za-z(]|\\(?!le|ge|right|cdot|quad|text|,|;|\}))")


def _ready(written: Notation) -> Notation:
    text = _NUMBER_AFTER.sub("·", _ROOT.sub("√(", written.text))
    return Notation(text, words_apart(_LATEX_NUMBER_AFTER.sub(r"\1 \\cdot ", written.latex)))


def words_apart(latex: str) -> str:
    r"""A thin space on either side of a name of several letters in a product: `\mathrm{corr}\, r`."""
    return _AFTER_WORD.sub(r"\1\\, ", _BEFORE_WORD.sub(r" \\,", latex))

"""Exact solutions: families of ansatz propose, one verifier proves, the first proved proposal is the answer."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from hjbdsl.methods.closed_form import engine
from hjbdsl.methods.closed_form.engine import Outcome
from hjbdsl.methods.closed_form.family import Family, Proposal
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.problem import ControlProblem
from hjbdsl.model.solution import Accepted, Rejected


def _family(module: str, name: str = "propose") -> Family:
    """`name` of a module of this package, imported when it is first asked: what the families stand on (scipy's integrators and
    optimisers) loads slower than most answers take."""

    def propose(equation: HJBEquation) -> Proposal | Rejected:
        answer: Proposal | Rejected = getattr(import_module(f"{__name__}.{module}"), name)(equation)
        return answer

    return propose


def _where(applies: Callable[[ControlProblem], bool], otherwise: str, family: Family) -> Family:
    """`family`, asked (and imported) only where the problem has what it is for."""

    def propose(equation: HJBEquation) -> Proposal | Rejected:
        return family(equation) if applies(equation.problem) else Rejected(otherwise)

    return propose


def _stops(problem: ControlProblem) -> bool:
    return problem.stopping is not None


def _is_reversed(problem: ControlProblem) -> bool:
    return problem.reversal is not None


def _separable(equation: HJBEquation) -> Proposal | Rejected:
    """Sums of independent parts, each given to the whole engine again."""
    answer: Proposal | Rejected = import_module(f"{__name__}.expectation.separable").family(solve)(equation)
    return answer


_NO_STOPPING = "there is no stopping time"

# One line a family, tried from top to bottom: the cheapest test of applicability and the strongest form first.
FAMILIES: tuple[tuple[str, Family], ...] = (
    ("linear_quadratic", _family("linear_quadratic")),
    ("perpetual_stopping", _where(_stops, _NO_STOPPING, _family("one_dimensional", "propose_perpetual_stopping"))),
    ("invariant_ansatz", _family("ansatz")),
    ("time_reversal", _where(_is_reversed, "the problem is no time reversal", _family("reversal"))),
    ("feynman_kac", _family("expectation.feynman_kac")),
    ("hopf_cole", _family("expectation.hopf_cole")),
    ("hopf_lax", _family("expectation.hopf_lax")),
    ("free_boundary", _where(_stops, _NO_STOPPING, _family("one_dimensional", "propose_free_boundary"))),
    ("boundary_value", _family("one_dimensional", "propose_boundary_value")),
    ("deterministic_flow", _family("one_dimensional", "propose_first_order")),
    ("deterministic_exit", _family("one_dimensional", "propose_exit_flow")),
    ("radial", _family("symmetry.radial")),
    ("homogeneous", _family("symmetry.homogeneous")),
    ("separable", _separable),
)  # fmt: skip


def solve(equation: HJBEquation) -> Accepted | Rejected:
    """The first proved closed form, or every family's reason. Raises `HjbError` where a family shows the problem ill posed."""
    return engine.explain(equation, FAMILIES).answer


def explain(equation: HJBEquation) -> Outcome:
    """The same with each declined family's reason beside the answer, for `hjb solve --explain`."""
    return engine.explain(equation, FAMILIES)


def examine(equation: HJBEquation) -> tuple[str, ...]:
    """Raises `HjbError` where a family shows the problem ill posed; names the families that broke down. For `hjb check`."""
    return engine.examine(equation, FAMILIES)

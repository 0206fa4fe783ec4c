"""The library as a person uses it from Python: thin wrappers round the stages of the pipeline.

`load(path)` -> `Problem` -> `.hjb`, an `Equation` that shows itself in a notebook -> `.solve()`, a `Solution` to be called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import numpy as np
from numpy.typing import ArrayLike

from hjbdsl import pipeline, uses
from hjbdsl.errors import UsageError
from hjbdsl.evidence.checks import run_checks
from hjbdsl.io.dataset import to_dataset
from hjbdsl.io.result import result_object
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.evidence import CheckResult
from hjbdsl.model.problem import ControlProblem
from hjbdsl.model.solution import Array, Evidence, Formula, PointValues
from hjbdsl.model.solution import Solution as SolvedProblem
from hjbdsl.numeric.points import Points, default_points, stated_array
from hjbdsl.numeric.state_space import control_groups
from hjbdsl.simulation.trial import Settings as TrialSettings
from hjbdsl.simulation.trial import Trial

if TYPE_CHECKING:
    from xarray import Dataset


@final
@dataclass(frozen=True, slots=True)
class Equation:
    """The HJB equation of a problem. In a notebook it shows itself in type; `str` gives plain text."""

    model: HJBEquation

    def text(self, steps: bool = False) -> str:
        return pipeline.set_equation(self.model, "text", steps)

    def latex(self, steps: bool = False) -> str:
        return pipeline.set_equation(self.model, "latex", steps)

    def __str__(self) -> str:
        return self.text()

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.model.pde.latex}$"

    def _repr_html_(self) -> str:
        return pipeline.set_equation(self.model, "html", False)


@final
@dataclass(frozen=True, slots=True)
class Solution:
    """An answer. Calling it gives V; points are stated by name, each state a number or an array (vector states: last axis)."""

    equation: HJBEquation
    solved: SolvedProblem
    considered: tuple[pipeline.Considered, ...]
    checks: tuple[CheckResult, ...]

    @property
    def method(self) -> str:
        return self.solved.method

    @property
    def status(self) -> str:
        return self.solved.status

    @property
    def formula(self) -> Formula | None:
        return self.solved.formula

    @property
    def evidence(self) -> Evidence:
        return self.solved.evidence

    @property
    def average(self) -> float | None:
        """The long-run average of an `average` problem."""
        return self.solved.average

    def __call__(self, **point: ArrayLike | str) -> Any:
        """V at the point; `t` is 0 where it is left out, a mode is named by its label. Arrays broadcast. Raises
        `UsageError`."""
        shape, points = _points(self.equation, point)
        return _unwrapped(self.at(points).value, shape)

    def error(self, **point: ArrayLike | str) -> Any:
        """The bound on |V - exact| at the point."""
        shape, points = _points(self.equation, point)
        return _unwrapped(self.at(points).error, shape)

    def policy(self, **point: ArrayLike | str) -> dict[str, Any]:
        """The optimal control at the point, by name; its mean where the policy is random."""
        shape, points = _points(self.equation, point)
        control = self.at(points).control
        return _by_group(control_groups(self.equation.problem), control, shape)

    def gradient(self, **point: ArrayLike | str) -> dict[str, Any]:
        """The derivatives of V by state, at the point."""
        shape, points = _points(self.equation, point)
        return _by_group(self.equation.problem.states, self.at(points).gradient, shape)

    def at(self, points: Points) -> PointValues:
        return self.solved.function.evaluate(points.t, points.x, points.mode)

    def simulate(
        self,
        paths: int = 2000,
        dt: float | None = None,
        horizon: float | None = None,
        seed: int = 0,
        **start: ArrayLike | str,
    ) -> Trial:
        """Play the policy from a point (else the middle of the region): paths, what they earn, and whether that is V. The step
        and, where the problem has no end, the length are chosen where they are not given. Raises `UsageError`,
        `SolverError`."""
        answer = pipeline.Answer(self.equation, self.solved, {})
        wanted = TrialSettings(paths, dt, horizon, seed, record=paths)
        return uses.simulated(answer, start or None, wanted)  # type: ignore[arg-type]

    def to_xarray(self) -> Dataset:
        """V, its error, gradient and controls as a labelled table over the region, with what is needed to read the problem again
        (`hjbdsl.io.dataset`). Raises `UsageError` where xarray is not installed."""
        return to_dataset(self.equation, self.solved, self.to_json())

    def to_json(self) -> dict[str, Any]:
        """The object that `hjb solve --json` prints, at the centre and corners of the region."""
        return result_object(self.equation, self.solved, default_points(self.equation.problem), self.checks, {})


@final
@dataclass(frozen=True, slots=True)
class Problem:
    """A stochastic control problem, read and checked."""

    model: ControlProblem

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def hjb(self) -> Equation:
        """The Hamilton-Jacobi-Bellman equation. Raises `HjbError` where the problem has none."""
        return Equation(pipeline.derive(self.model))

    def solve(self, method: str = "auto", tol: float | None = None, seed: int = 0) -> Solution:
        """Raises `HjbError` (ill-posed), `NoMethodError`, `SolverError`, `UsageError` (no such method)."""
        equation = pipeline.derive(self.model)
        solved, considered = pipeline.solve(equation, pipeline.Request(method, tol, seed))
        checks = run_checks(self.model, solved, equation.stationary, seed)
        return Solution(equation, solved, considered, checks)

    def learn(self, dt: float, **options: Any) -> Solution:
        """V and policy learned from transitions of a time step `dt` alone, of a simulator of the problem unless the options name
        another source: those of `hjbdsl.methods.model_free.Lesson`, as in `learn(0.1, steps=50_000, data="runs.npz")`. Raises
        `NoMethodError` where the learner does not apply, `SolverError`, `UsageError`."""
        from hjbdsl.methods.model_free.lesson import Lesson  # noqa: PLC0415 (only where something is learned)

        try:
            lesson = Lesson(dt, **options)
        except TypeError as error:
            raise UsageError(f"no such option of a lesson: {str(error).split('__init__() ')[-1]}") from None
        equation = pipeline.derive(self.model)
        return Solution(equation, uses.taught(equation, lesson).solution, (), ())

    def to_gymnasium(self, dt: float, horizon: float | None = None) -> Any:
        """A Gymnasium environment with the time step `dt`: see `hjbdsl.simulation.environment` for its observations, actions
        and rewards. An endless problem is cut off after `horizon`. Raises `UsageError` where gymnasium is missing or nothing is
        controlled."""
        return uses.environment(pipeline.derive(self.model), dt, horizon)

    def __repr__(self) -> str:
        return f"<hjbdsl.Problem {self.name}: {self.model.title or 'no title'}>"


def load(path: str, variant: str | None = None, **overrides: object) -> Problem:
    """Read a `.hjb` file; keywords put other values for its parameters, numbers or text of the language. Raises `HjbError`."""
    return Problem(pipeline.load(str(path), _as_text(overrides), variant))


def loads(text: str, variant: str | None = None, **overrides: object) -> Problem:
    """As `load`, from text."""
    return Problem(pipeline.loads(text, _as_text(overrides), variant))


def derive(problem: Problem | str) -> Equation:
    """The equation of a problem, or of a file."""
    return (load(problem) if isinstance(problem, str) else problem).hjb


def solve(problem: Problem | str, method: str = "auto", tol: float | None = None, seed: int = 0) -> Solution:
    """The answer to a problem, or to a file."""
    return (load(problem) if isinstance(problem, str) else problem).solve(method, tol, seed)


def _as_text(overrides: Mapping[str, object]) -> dict[str, str]:
    return {name: value if isinstance(value, str) else _number_text(value) for name, value in overrides.items()}


def _number_text(value: object) -> str:
    if isinstance(value, Sequence | np.ndarray):
        return f"[{', '.join(_number_text(entry) for entry in value)}]"
    return repr(float(value)) if isinstance(value, float | np.floating) else str(value)


def _points(equation: HJBEquation, point: Mapping[str, ArrayLike | str]) -> tuple[tuple[int, ...], Points]:
    """The points stated, broadcast together, and the shape that the answer takes."""
    problem = equation.problem
    vectors = {group.name for group in problem.states if group.shape}
    arrays = {name: np.asarray(value) for name, value in point.items() if not isinstance(value, str)}
    try:
        shape = np.broadcast_shapes(*(a.shape[:-1] if name in vectors else a.shape for name, a in arrays.items()))
    except ValueError as error:
        raise UsageError(f"the arrays of the point do not broadcast together: {error}") from error
    count = int(np.prod(shape))
    rows: dict[str, ArrayLike] = {name: value for name, value in point.items() if isinstance(value, str)}
    for name, array in arrays.items():
        tail = array.shape[-1:] if name in vectors else ()
        rows[name] = np.broadcast_to(array, (*shape, *tail)).reshape(count, *tail)
    return shape, stated_array(problem, equation.stationary, rows, count)


def _by_group(groups: Sequence[Any], table: Array, shape: tuple[int, ...]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    start = 0
    for group in groups:
        part = table[:, start : start + len(group.symbols)]
        start += len(group.symbols)
        result[group.name] = part.reshape(*shape, -1) if group.shape else _unwrapped(part[:, 0], shape)
    return result


def _unwrapped(values: Array, shape: tuple[int, ...]) -> Any:
    return values.reshape(shape) if shape else float(values[0])

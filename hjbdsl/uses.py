"""What an answer is used for: kept in a file, drawn, played, held against simulation, written out as a program; and what is
made of a problem without one answer in front: a lesson learned from transitions, draws from a generative model.

In: a problem, or what `pipeline.worked_out` left. Each use imports what it runs on when it is asked, since those libraries are
slow to load.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from hjbdsl.errors import NoMethodError, SolverError, UsageError
from hjbdsl.evidence.checks import run_checks
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.problem import TIME, ControlProblem
from hjbdsl.model.samples import SampleRequest, Samples
from hjbdsl.model.solution import Accepted, Rejected
from hjbdsl.numeric.points import StatedPoint, default_points, stated_points
from hjbdsl.pipeline import NO_TORCH, Answer, Request, derive, loads, solve

if TYPE_CHECKING:
    from sympy import Expr
    from xarray import Dataset

    from hjbdsl.methods.model_free import Taught
    from hjbdsl.methods.model_free.lesson import Lesson
    from hjbdsl.simulation.trial import Settings, Trial

_REVERSE_STEPS = 100


def stored(path: str) -> Answer:
    """What a result file holds: the problem derived again, the solution interpolated. Raises `UsageError` for a damaged file."""
    from hjbdsl.io.netcdf import read_result  # noqa: PLC0415 (xarray: only where a file is read)

    found = read_result(path)
    return Answer(derive(found.problem), found.solution(), dict(found.result), found.dataset)


def draw(worked: Answer, subjects: Sequence[str], path: str, seed: int = 0) -> None:
    """A picture of some subjects of `io.plot`, of all that there are where none is named, in the format of the path's ending."""
    from hjbdsl.io import plot  # noqa: PLC0415 (matplotlib: only where a picture is asked for)

    plot.save(plot.draw(worked.equation, worked.solution, tabulated(worked), worked.result, subjects, seed), path)


def tabulated(worked: Answer) -> Dataset:
    """The solution as a labelled table, which holds the problem and the result object too."""
    if worked.table is not None:
        return worked.table
    from hjbdsl.io.dataset import to_dataset  # noqa: PLC0415 (xarray: only where a table is asked for)

    return to_dataset(worked.equation, worked.solution, worked.result)


def save(worked: Answer, path: str) -> None:
    """The table as a result file (NetCDF-4). Raises `UsageError` where it cannot be written."""
    from hjbdsl.io.netcdf import write_dataset  # noqa: PLC0415 (xarray: only where a file is asked for)

    write_dataset(tabulated(worked), path)


def simulated(worked: Answer, point: StatedPoint | None, settings: Settings) -> Trial:
    """The policy played from a point, or from the middle of the region, and what it earns held against V."""
    from hjbdsl.simulation.trial import middle, try_out  # noqa: PLC0415 (only where paths are asked for)

    equation = worked.equation
    given = stated_points(equation.problem, equation.stationary, [point]) if point is not None else None
    start = given if given is not None else middle(equation, default_points(equation.problem))
    return try_out(equation, worked.solution, start, settings)


def verified(worked: Answer, points: Sequence[StatedPoint], settings: Settings) -> dict[str, Any]:
    """Brackets of the value at the points, or in the middle of the region, and a verdict (`hjb.verification/1`). A learned score
    whose optimum is known is held against it by the verification identity instead, where no points are named."""
    from hjbdsl.io.verification import verification  # noqa: PLC0415 (only where it is asked for)
    from hjbdsl.simulation.bracket import bracket  # noqa: PLC0415
    from hjbdsl.simulation.trial import middle  # noqa: PLC0415

    equation = worked.equation
    problem = equation.problem
    identity = _identity(worked, settings) if worked.solution.method == "generative" else None
    starts = [stated_points(problem, equation.stationary, [point]) for point in points]
    if not starts and identity is None:
        starts = [middle(equation, default_points(problem))]
    brackets = [bracket(equation, worked.solution, start, settings) for start in starts]
    checks = run_checks(problem, worked.solution, equation.stationary, settings.seed)
    return verification(equation, worked.solution, brackets, checks, identity)


def _identity(worked: Answer, settings: Settings) -> dict[str, float] | None:
    """J(u) - V and E int |u - u*|^2 dt/2 of a learned control, where the optimum is known in closed form."""
    from hjbdsl.methods import closed_form, generative  # noqa: PLC0415 (a method is imported when it is asked)

    match closed_form.solve(worked.equation), worked.solution.function:
        case Accepted(exact), generative.LearnedReversal() as learned:
            paths = max(settings.paths // 4, 1)
            gap = generative.gap_of_learned(
                worked.equation.problem, exact.function, learned.score, paths, _REVERSE_STEPS, settings.seed
            )
            return None if gap is None else asdict(gap) | {"paths": float(paths)}
        case _:
            return None


def environment(equation: HJBEquation, dt: float, horizon: float | None = None) -> Any:
    """The problem as a Gymnasium environment. Raises `UsageError` where gymnasium is not installed or nothing is controlled."""
    if importlib.util.find_spec("gymnasium") is None:
        raise UsageError("environments need gymnasium: pip install 'hjbdsl[gym]'")
    from hjbdsl.simulation.environment import ControlEnvironment  # noqa: PLC0415 (an extra)
    from hjbdsl.simulation.process import compile_process  # noqa: PLC0415 (only where paths are asked for)

    return ControlEnvironment(compile_process(equation), dt, horizon)


def taught(equation: HJBEquation, lesson: Lesson) -> Taught:
    """What a learner makes of transitions alone. Raises `NoMethodError` with the reason where it does not apply."""
    from hjbdsl.methods import model_free  # noqa: PLC0415 (only where something is learned)

    match model_free.taught(equation, lesson):
        case Rejected(reason):
            raise NoMethodError({"model_free": reason})
        case model_free.Taught() as answer:
            return answer


def learned(problem: ControlProblem, lesson: Lesson, cached: bool = True) -> dict[str, Any]:
    """What a learner makes of transitions alone, beside the answer of the first method that accepts (`hjb.lesson/1`)."""
    from hjbdsl.evidence.comparison import compare  # noqa: PLC0415 (only where something is learned)
    from hjbdsl.io.lesson import Judged, lesson_object  # noqa: PLC0415

    equation = derive(problem)
    answer = taught(equation, lesson)
    solution, returns = answer.solution, answer.returns
    try:
        model, _ = solve(equation, Request(seed=lesson.seed), cached)
        judged = Judged(model, compare(equation, solution, model).as_numbers())
    except (NoMethodError, SolverError) as error:
        judged = Judged(None, {}, str(error).splitlines()[0])
    return lesson_object(equation, solution, judged, default_points(problem), lesson.as_asked(), returns)


def sample(problem: ControlProblem, request: SampleRequest, cached: bool = True) -> Samples:
    """Draws from a generative problem: solved by the first method that accepts, then run from noise to data. From a problem whose
    control enters as its noise does: draws of the state in which the optimum ends."""
    if find_spec("torch") is None:
        raise UsageError(f"samples: {NO_TORCH}")
    if problem.reversal is None:
        return _sample_end(problem, request)
    if request.start is not None:
        raise UsageError("--from is where a controlled process starts; a reverse process starts from noise")
    from hjbdsl.methods import generative  # noqa: PLC0415 (a method is imported when it is asked)

    request = replace(request, sampler=request.sampler or "exponential", steps=request.steps or _REVERSE_STEPS)
    reward = _reward(problem, request.tilt) if request.tilt is not None else None
    exact = generative.tilted_problem(problem, reward) if reward is not None and request.method != "generative" else None
    if exact is not None:
        problem = exact.problem
    solution, _ = solve(derive(problem), Request(request.method, None, request.seed), cached)
    if exact is not None:
        return generative.samples(problem, solution, request, None, exact.log_normaliser)
    return generative.samples(problem, solution, request, reward)


def _sample_end(problem: ControlProblem, request: SampleRequest) -> Samples:
    """Raises `NoMethodError` with the reason where the problem is not of the kind."""
    if request.tilt is not None or request.likelihood:
        raise UsageError("--tilt and --likelihood are for files with a `reverse` statement")
    if request.method not in ("auto", "neural"):
        raise UsageError(
            f"draws of the optimal end are made by `neural`; the file has no `reverse` statement for `{request.method}`"
        )
    from hjbdsl.methods.neural.terminal_draws import terminal_samples  # noqa: PLC0415 (a method is imported when it is asked)
    from hjbdsl.simulation.trial import middle  # noqa: PLC0415

    equation = derive(problem)
    given = [request.start] if request.start is not None else []
    start = stated_points(problem, equation.stationary, given) if given else middle(equation, default_points(problem))
    if start.t[0] != 0.0:
        raise UsageError("draws of the optimal end are of paths that start at t = 0")
    match terminal_samples(equation, start.x[0], request):
        case Rejected(reason):
            raise NoMethodError({"reverse": "the file has no such statement", "neural": reason})
        case drawn:
            return drawn


def _reward(problem: ControlProblem, text: str) -> Expr:
    """An expression in the states of the problem, read as a `check` line at the end of its file would be."""
    if "\n" in text or "\r" in text:
        raise UsageError("--tilt is one expression on one line")
    source = problem.source
    lines = "\n".join(source.files[source.path])
    read = loads(f"{lines}\ncheck V = {text}\n", source.overrides, source.variant, source.path)
    reward = read.checks[-1].expected[0]
    if TIME in reward.free_symbols:
        raise UsageError("--tilt is a reward of the final state; it cannot depend on t")
    return reward


@dataclass(frozen=True, slots=True)
class Compiled:
    """A program of its own: its text, the libraries that it needs, and the status of the answer behind it."""

    source: str
    needs: str
    status: str


def _compile_grid(equation: HJBEquation, request: Request, cached: bool) -> Compiled:
    solution, _ = solve(equation, request, cached)
    from hjbdsl.methods.grid import standalone  # noqa: PLC0415 (a method is imported when it is asked)

    return Compiled(standalone.program(equation, solution, _hinted(equation, "grid")), "numpy and numba", solution.status)


def _compile_neural(equation: HJBEquation, request: Request, _cached: bool) -> Compiled:
    if find_spec("torch") is None:
        raise UsageError(f"programs with a network: {NO_TORCH}")
    from hjbdsl.methods.neural import standalone  # noqa: PLC0415 (a method is imported when it is asked)

    match standalone.program(equation, request.seed):
        case Rejected(reason):
            raise NoMethodError({"neural": reason})
        case written:
            return Compiled(written.source, "torch", "untrained")


Compiler = Callable[[HJBEquation, Request, bool], Compiled]


COMPILERS: tuple[tuple[str, Compiler], ...] = (("grid", _compile_grid), ("neural", _compile_neural))
"""Methods that can be written out as a program."""


def compile_solver(problem: ControlProblem, method: str, cached: bool = True) -> Compiled:
    """A standalone program that prints what `hjb solve --method METHOD` prints; one with a network trains it anew. Raises as
    `solve`, and `UsageError` for a method that cannot be written out."""
    compilers = dict(COMPILERS)
    if method not in compilers:
        raise UsageError(f"there is no compiler for the method `{method}`; there is one for {', '.join(compilers)}")
    return compilers[method](derive(problem), Request(method), cached)


def _hinted(equation: HJBEquation, method: str) -> Mapping[str, float | str]:
    """The options of the file's `solve` statement, where it names the method."""
    hint = equation.problem.hint
    return hint.options if hint is not None and hint.method == method else {}

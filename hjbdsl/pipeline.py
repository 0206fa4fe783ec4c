"""The stages in order, nothing else.

text -> `ControlProblem` -> `HJBEquation` -> `Solution` (by the first method that accepts) -> judged by the file's checks.

Each stage bounds its own time. Front end and derivation are imported here; a method is imported when it is asked, since the
libraries that methods run on are slow to load.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.util import find_spec
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from hjbdsl.budget import BudgetExceeded, time_budget
from hjbdsl.errors import Diagnostic, HjbError, NoMethodError, SolverError, UsageError
from hjbdsl.evidence.checks import run_checks
from hjbdsl.frontend.load import load_problem, loads_problem
from hjbdsl.io import store
from hjbdsl.io.result import result_object
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.problem import ControlProblem, DataFile
from hjbdsl.model.solution import Accepted, Rejected, Solution
from hjbdsl.numeric.data_file import read_rows
from hjbdsl.numeric.points import StatedPoint, default_points, stated_points
from hjbdsl.symbolic.derive import derive as derive_equation

if TYPE_CHECKING:
    from xarray import Dataset


DERIVING_SECONDS = 30.0
DERIVING_SECONDS_OF_CHECK = 5.0
WELL_POSED_SECONDS = 5.0
NO_TORCH = "torch is not installed; pip install 'hjbdsl[neural]' brings it"


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a method: `tol` the accuracy of V wanted (None: the method's own), `seed` of anything random, `options`
    of the command line, and of the file's `solve` hint where it names the method."""

    method: str = "auto"
    tol: float | None = None
    seed: int = 0
    options: Mapping[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Considered:
    """One entry of `--explain`: a method, whether it took the problem, and why; `families` are its rooms that declined."""

    method: str
    accepted: bool
    reason: str
    families: tuple[tuple[str, str], ...] = ()
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """What a method says, which of its families had declined before: (family, reason), and which of them broke down."""

    answer: Accepted | Rejected
    declined: tuple[tuple[str, str], ...] = ()
    failed: tuple[str, ...] = ()


def _closed_form(equation: HJBEquation, _request: Request) -> Reply:
    from hjbdsl.methods import closed_form  # noqa: PLC0415 (a method is imported when it is asked)

    outcome = closed_form.explain(equation)
    return Reply(outcome.answer, outcome.declined, outcome.failed)


def _generative(equation: HJBEquation, request: Request) -> Reply:
    if equation.problem.reversal is None:  # said here, so that other problems need not load torch
        return Reply(Rejected("the problem is no time reversal"))
    if find_spec("torch") is None:
        return Reply(Rejected(NO_TORCH))
    from hjbdsl.methods import generative  # noqa: PLC0415 (a method is imported when it is asked)

    return Reply(generative.solve(equation, request.options, request.seed, store.directory() / "training"))


def _grid(equation: HJBEquation, request: Request) -> Reply:
    from hjbdsl.methods import grid  # noqa: PLC0415 (a method is imported when it is asked)

    return Reply(grid.solve(equation, request.options, request.tol))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a solve leaves: the equation, the solution, the result object made from both; the table where it was read from one."""

    equation: HJBEquation
    solution: Solution
    result: dict[str, Any]
    table: Dataset | None = None


def _neural(equation: HJBEquation, request: Request) -> Reply:
    from hjbdsl.methods import neural  # noqa: PLC0415 (a method is imported when it is asked)

    return Reply(neural.solve(equation, request.options, request.tol, request.seed))


Method = Callable[[HJBEquation, Request], Reply]


METHODS: tuple[tuple[str, Method], ...] = (
    ("closed_form", _closed_form),
    ("generative", _generative),
    ("grid", _grid),
    ("neural", _neural),
)
"""In the order in which `auto` asks them: exact answers before approximate ones."""


def load(path: str, overrides: Mapping[str, str] | None = None, variant: str | None = None) -> ControlProblem:
    """Read, resolve and check a file. Raises `HjbError` with every diagnostic of the file."""
    return load_problem(path, overrides or {}, variant)


def loads(
    text: str, overrides: Mapping[str, str] | None = None, variant: str | None = None, path: str = "<text>"
) -> ControlProblem:
    """As `load`, from text; includes are relative to `path`, and diagnostics name it."""
    return loads_problem(text, path, overrides or {}, variant)


def derive(problem: ControlProblem, seconds: float = DERIVING_SECONDS) -> HJBEquation:
    """Compose the equation. Raises `HjbError` where it has no optimum, `SolverError` past `seconds`."""
    try:
        with time_budget(seconds):
            return derive_equation(problem)
    except BudgetExceeded:
        reason = f"the derivation was given up after {seconds:g} s; the problem is too large to be derived in symbols"
        raise SolverError(reason) from None


def set_equation(equation: HJBEquation, form: str, steps: bool) -> str:
    """The equation set in type: `form` is text, latex, html or json; with `steps` the whole derivation."""
    from hjbdsl.symbolic.render import render  # noqa: PLC0415 (typesetting is asked for by `derive` alone)

    return render(equation, format=form, steps=steps)


def well_posed(equation: HJBEquation) -> tuple[Diagnostic, ...]:
    """Ask the closed-form engine, briefly, whether it can show that the problem has no finite value; then raises `HjbError`.

    An engine that fails is no mistake of the file: that is a warning.
    """
    from hjbdsl.methods import closed_form  # noqa: PLC0415 (a method is imported when it is asked)

    if data_files(equation.problem):
        read_rows(equation.problem)
    try:
        with time_budget(WELL_POSED_SECONDS):
            failed = closed_form.examine(equation)
    except BudgetExceeded:
        return ()
    help_text = "this is a bug of hjb; please report it with the file"
    message = "whether the problem is well posed could not be examined by all families: {}"
    return tuple(Diagnostic("HJB190", message.format(reason), help_text, None, severity="warning") for reason in failed)


def solve(equation: HJBEquation, request: Request, cached: bool = True) -> tuple[Solution, tuple[Considered, ...]]:
    """The answer of the first method that accepts, and what every method asked had to say.

    A method (or a family of one) that fails leaves the word to the next one, and its failure on record. Raises `NoMethodError`
    with the reasons where none accepts, `SolverError` where none accepts and one has failed, `UsageError` where `request.method`
    is not a method.
    """
    considered: list[Considered] = []
    failure: Exception | None = None
    for name, method in _order(equation.problem, request.method):
        hint = equation.problem.hint
        options = hint.options if hint is not None and hint.method == name else {}
        asked = Request(name, request.tol, request.seed, {**options, **request.options})
        try:
            reply = _ask(name, method, equation, asked, cached)
        except (HjbError, UsageError):
            raise
        except Exception as error:
            failure = error
            considered.append(Considered(name, False, f"failed: {_described(error)}", failed=True))
            continue
        reasons = dict(reply.declined)
        considered += [Considered(f"{name}/{family}", False, reasons[family], failed=True) for family in reply.failed]
        match reply.answer:
            case Accepted(solution):
                considered.append(Considered(name, True, solution.family, reply.declined))
                return solution, tuple(considered)
            case Rejected(reason):
                considered.append(Considered(name, False, reason, reply.declined))
    broken = "; ".join(f"{entry.method} {entry.reason}" for entry in considered if entry.failed)
    if broken:
        raise SolverError(broken) from failure
    raise NoMethodError(_reasons(considered) | _absent(equation.problem))


def worked_out(
    problem: ControlProblem,
    request: Request,
    points: Sequence[StatedPoint] = (),
    cached: bool = True,
    started: float | None = None,
    on_stage: Callable[[str], None] = lambda _stage: None,
) -> Answer:
    """All stages from the problem on. The result object (`hjb.result/1`) is given at the points stated, or at the centre and
    corners of the region.

    `started` is when reading began, on the clock `time.perf_counter`; it becomes the time of the stage `parse`.
    """
    clock = [time.perf_counter() if started is None else started, time.perf_counter()]
    on_stage("deriving the equation")
    equation = derive(problem)
    places = stated_points(problem, equation.stationary, points) if points else default_points(problem)
    clock.append(time.perf_counter())
    on_stage("solving")
    solution, considered = solve(equation, request, cached)
    clock.append(time.perf_counter())
    on_stage("checking")
    checks = run_checks(problem, solution, equation.stationary, request.seed)
    clock.append(time.perf_counter())
    parse, derived, solved, checked = (after - before for before, after in pairwise(clock))
    timings = {"parse": parse, "derive": derived, "generate": 0.0, "compile": 0.0, "solve": solved, "check": checked}
    result = result_object(equation, solution, places, checks, timings)
    result["warnings"] += [f"{entry.method} {entry.reason}" for entry in considered if entry.failed]
    result["warnings"] += _beyond(result, request.tol)
    return Answer(equation, solution, result | {"explain": [asdict(entry) for entry in considered]})


def answer(problem: ControlProblem, request: Request, points: Sequence[StatedPoint] = (), cached: bool = True) -> dict[str, Any]:
    """The result object alone, as `worked_out` gives it."""
    return worked_out(problem, request, points, cached).result


def _beyond(result: Mapping[str, Any], tol: float | None) -> list[str]:
    """The label of an answer that is not as accurate as was asked."""
    errors = [math.inf if entry["error"] is None else entry["error"] for entry in result["value"]]
    if tol is None or not errors or max(errors) <= tol:
        return []
    return [f"the tolerance {tol:.3g} is not reached: the largest error here is {max(errors):.2g}"]


def data_files(problem: ControlProblem) -> tuple[str, ...]:
    """Files of samples that the problem reads, beside its text."""
    law = problem.reversal.law if problem.reversal is not None else None
    return (law.path,) if isinstance(law, DataFile) else ()


def _order(problem: ControlProblem, wanted: str) -> tuple[tuple[str, Method], ...]:
    """The methods to ask. `auto` looks for structure first, then follows the file's hint, then goes down the list."""
    known = dict(METHODS)
    if wanted == "auto":
        hinted = problem.hint.method if problem.hint is not None else ""
        exact, others = METHODS[:1], METHODS[1:]
        return (*exact, *(m for m in others if m[0] == hinted), *(m for m in others if m[0] != hinted))
    if wanted not in known:
        raise UsageError(f"there is no method `{wanted}`; there are auto, {', '.join(known)}")
    return ((wanted, known[wanted]),)


def _described(error: Exception) -> str:
    return str(error) if isinstance(error, SolverError) else f"{type(error).__name__}: {error}"


def _reasons(considered: Sequence[Considered]) -> dict[str, str]:
    """Why each method declined, and below a method each of its families, as `method/family`."""
    reasons: dict[str, str] = {}
    for entry in considered:
        count = len(entry.families)
        reasons[entry.method] = f"none of its {count} families gives an answer" if count else entry.reason
        reasons |= {f"{entry.method}/{family}": why for family, why in entry.families}
    return reasons


def _absent(problem: ControlProblem) -> dict[str, str]:
    hint = problem.hint
    if hint is None or hint.method in dict(METHODS):
        return {}
    return {hint.method: "the file asks for this method, which this version does not have"}


def interrupted(warnings: Sequence[str]) -> bool:
    """Whether an answer is only what was there at an interrupt: shown, but not kept."""
    return any("interrupted" in warning for warning in warnings)


def _ask(name: str, method: Method, equation: HJBEquation, request: Request, cached: bool) -> Reply:
    """The method's answer, from the shelf where it stands there: a solve is worked out once for each content. A rejection is not
    kept: on a busy machine it may only mean that an attempt ran out of time."""
    key = store.digest(
        ["solution", equation.problem.source.digest, name, request.tol, request.seed, sorted(request.options.items()),
         *(store.file_digest(path) for path in data_files(equation.problem)), store.fingerprint()]
    )  # fmt: skip
    found = store.read_solution(key) if cached else None
    if isinstance(found, Reply):
        return found
    reply = method(equation, request)
    if cached and isinstance(reply.answer, Accepted) and not interrupted(reply.answer.solution.warnings):
        store.write_solution(key, reply)
    return reply

"""The method: solve on nested levels over a domain of `domain`, measure the order, and say what the answer is worth.

In: an `HJBEquation`. Out: `Accepted(Solution)` or `Rejected(reason)`. Raises SolverError where it had accepted and failed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import pairwise, product
from types import MappingProxyType

import numpy as np
import sympy as sp

from hjbdsl.budget import BudgetExceeded, time_budget
from hjbdsl.errors import SolverError
from hjbdsl.methods.grid.correction import STEPS
from hjbdsl.methods.grid.domain import Domain, Points
from hjbdsl.methods.grid.escape import killed
from hjbdsl.methods.grid.formulas import DiscreteStates
from hjbdsl.methods.grid.free_boundary import cost_of_jumps, cost_of_nodes
from hjbdsl.methods.grid.function import GridFunction, Worth
from hjbdsl.methods.grid.judgement import Judge, Judged
from hjbdsl.methods.grid.levels import COARSEST, Runner, Solved, TooLarge, nodes_of, share_done
from hjbdsl.methods.grid.mesh import Axis, region_box
from hjbdsl.methods.grid.missed import BROKEN, GAIN, missed, refusal
from hjbdsl.methods.grid.refusals import singular_constraint, thin_targets, wrong_sign
from hjbdsl.methods.grid.resolution import unseen
from hjbdsl.methods.grid.steps import carries_jumps, may_jump
from hjbdsl.methods.grid.tables import tables
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Accepted, Array, Evidence, Rejected, Solution
from hjbdsl.numeric.growing_discount import growing_discount
from hjbdsl.progress import report

NODES = {1: 801, 2: 161, 3: 49, 4: 41}
NODES_IN_TIME = NODES | {4: 33}
FINEST = {1: 4001, 2: 641, 3: 97, 4: 49}
FINEST_FRONT = {1: 801, 2: 145, 3: 65, 4: 33}
"""Most nodes an axis taken from a hint; high order needs fewer."""
SECONDS = 45.0
STEP_RESIDUAL = 1e-4
"""A step in time may leave over more than an equation without time: a share of what the step itself errs."""
MOST_FURTHER = 8
"""Further refinement for `tol`, beyond which rounding wins over the scheme's order."""

INTERRUPTED = "interrupted: the answer is that of the levels done so far"


def rejection(equation: HJBEquation) -> str | None:
    """Why the grid does not apply, or None."""
    problem = equation.problem
    dimension = len(problem.continuous_states)
    if problem.reversal is not None:
        return "a generative problem has no equation to march on a grid"
    if not 1 <= dimension <= 4:
        return f"{dimension} continuous states: the grid takes one to four"
    if problem.exit is not None and not _still(equation, problem.exit.condition):
        return "the exit moves with time or depends on a discrete state, and the grid's domain does not"
    if any(c.kind in ("slope", "value") and c.written and not _still(equation, c.location) for c in equation.boundaries):
        return "a boundary that moves is not in the scheme"
    if any(c.kind == "slope" and not problem.numeric(c.amount).is_number for c in equation.boundaries):
        return "a slope at a boundary that is no constant is not in the scheme"
    if thin_targets(equation) is None:
        return "the exit is a thin set that is not given by states alone, which no node need meet"
    if any(c.role == "state" for c in problem.constraints):
        return "a joint constraint on states is not in the scheme"
    if not equation.stationary and problem.objective.end == sp.oo:
        return "the problem changes with time and never ends: there is no time to march back from (give a finite horizon)"
    if equation.stationary and problem.objective.form in ("running_min", "running_max"):
        return "reachability without end is not in the scheme"
    return singular_constraint(equation) or growing_discount(equation)


def _still(equation: HJBEquation, expression: sp.Basic) -> bool:
    """Whether an expression depends on nothing but continuous states and parameters that are numbers."""
    problem = equation.problem
    allowed = {problem.state_symbols[i] for i in problem.continuous_states}
    return bool(problem.numeric(expression).free_symbols <= allowed)


def solve(
    equation: HJBEquation, options: Mapping[str, float | str] = MappingProxyType({}), tol: float | None = None
) -> Accepted | Rejected:
    """Solve on nested levels, widening the artificial ends until they no longer matter. `options`: nx nodes an axis, nt time
    steps, seconds; `tol`: the absolute accuracy wanted, for which levels are added while time lasts."""
    reason = rejection(equation)
    if reason is not None:
        return Rejected(reason)
    began = time.thread_time()
    deadline = began + float(options.get("seconds", SECONDS))
    equation, killing = killed(equation)
    try:
        runner = Runner(equation, float(options.get("nt", 0)), deadline)
    except NotImplementedError as unsupported:
        return Rejected(f"the scheme cannot write {unsupported}")
    try:
        return Accepted(_Search(equation, runner, options, deadline, killing).solution(tol))
    except TooLarge as failure:
        return Rejected(str(failure))


class _Search:
    """The sequence of levels of one equation."""

    def __init__(
        self, equation: HJBEquation, runner: Runner, options: Mapping[str, float | str], deadline: float, killing: float
    ):
        self.equation, self.runner, self.deadline, self.killing = equation, runner, deadline, killing
        self.box = region_box(equation)
        d = len(self.box)
        most = FINEST_FRONT if runner.module.FRONT else FINEST
        usual = (NODES if equation.stationary else NODES_IN_TIME)[d]
        wanted = min(int(options.get("nx", usual)), most[d])
        cells = max(4, round((wanted - 1) / COARSEST[d]))
        self.labels = DiscreteStates.of(equation.problem).labels
        self.points = self._samples()
        self.domain = Domain(equation, runner, self.points, cells, killing)
        stepped = runner.module.AVERAGED or runner.module.UNAVERAGED
        stopped = equation.obstacle is not None and equation.obstacle.kind == "stop"
        self.torn = carries_jumps(equation)
        self.judge = Judge(self.points, stepped or stopped, runner.module.EXIT and d > 1, bool(runner.module.FRONT))
        self.note = ""
        self.interrupted = False

    def _samples(self) -> Points:
        """Points of the region, discrete states and times at which levels are compared."""
        generator = np.random.default_rng(0)
        count = 600
        low, high = np.array([b[0] for b in self.box]), np.array([b[1] for b in self.box])
        x = low + (high - low) * generator.random((count, len(self.box)))
        end = 0.0 if self.equation.stationary else self.runner.end
        return end * generator.random(count) ** 2, x, generator.integers(0, len(self.labels), count)

    def solution(self, tol: float | None) -> Solution:
        axes, first = self.domain.choose()
        self.note = self.domain.note
        levels = self._refine(axes, first, tol)
        if len(levels) < 2:
            raise SolverError(f"only {len(levels)} of the levels was finished in time{self.note}; ask for fewer nodes with nx")
        missing = unseen(self.equation, levels[-1].level.mesh, self.box, self.runner.end)
        if missing is not None:
            raise SolverError(f"{missing}: ask for more nodes with nx, or for a smaller region")
        seen = self.judge.of(levels, 0.0)
        values = [level.level.at(*self.points) for level in levels[-3:]]
        usual = float(np.median(seen.worth.extrapolate(seen.values)[1]))
        self.note += self.domain.look_again(levels, values, usual, self.deadline)
        floor = self._beyond() + levels[-1].residual * float(np.max(np.abs(values[-1])))
        floor += self._cost_of_nodes(levels)
        return self._present(levels, self.judge.of(levels, floor), self._refused(levels, tol))

    def _beyond(self) -> float:
        """What the ends and the killing may do: no refinement of the mesh removes it."""
        return self.domain.outside + self.domain.escaping

    def _cost_of_nodes(self, levels: list[Solved]) -> float:
        """What V may lose because stopping begins at a node, or a coefficient jumps between nodes: to first order, and the last
        levels may be luckier than those before."""
        solved, lost = levels[-1], 0.0
        level = solved.level
        if self.runner.module.UNAVERAGED:
            values = [other.level.at(*self.points) for other in levels]
            steps = [float(np.mean(np.abs(b - a))) for a, b in pairwise(values)]
            lost = max(step / 2.0 ** (len(steps) - 1 - k) for k, step in enumerate(steps))
        obstacle = self.equation.obstacle
        if solved.stopped is None or obstacle is None or obstacle.kind != "stop":
            return lost  # a running extremum is met wherever it is met: nobody stops there
        program = self.runner.program(level.mesh)
        payoff = np.array([program.data(t, 2) for t in level.times]).reshape(level.V.shape)
        inner = level.mesh.inner()
        lost += cost_of_nodes(np.abs(level.V - payoff), solved.stopped, inner)
        return lost + (cost_of_jumps(level.V, payoff, solved.stopped, inner) if may_jump(obstacle.payoff) else 0.0)

    def _refine(self, axes: tuple[Axis, ...], first: Solved, tol: float | None) -> list[Solved]:
        """Twice as many cells again and again, until the finest level or the time is reached."""
        levels = [first]
        multiple = 2
        while multiple <= COARSEST[len(self.box)] or self._wants_more(levels, multiple, tol):
            left = self.deadline - time.thread_time()
            # the estimate counts compilation; a march notices by itself when it will not end in time
            if len(levels) >= 2 and levels[-1].seconds * self.runner.growth > left * (1.0 if self.equation.stationary else 4.0):
                needed = levels[-1].seconds * self.runner.growth
                self.note = f" (a level of {needed:.0f} s would not end in the {max(left, 0):.0f} s left)"
                break
            report(f"level {len(levels) + 1}, {nodes_of(axes, multiple)}", share_done(axes, multiple))
            try:
                with time_budget(2.0 * max(left, 1.0)):  # its clock counts every thread
                    levels.append(self.runner.level(axes, multiple, levels[-1]))
            except BudgetExceeded:
                self.note = " (out of time)"
                break
            except KeyboardInterrupt:
                if len(levels) < 2:
                    raise
                self.note, self.interrupted = " (interrupted)", True
                break
            except SolverError as failure:
                if len(levels) < 2:
                    raise
                self.note = f" ({failure})"
                break
            self._hold_optimum(levels[-1])
            multiple *= 2
        if self.domain.gain > GAIN:
            raise refusal(self.runner)
        return levels

    def _hold_optimum(self, solved: Solved) -> None:
        """Where the policy was no optimum on the level before, it may have been too coarse to tell: ask once more."""
        if self.domain.gain > GAIN:
            before, self.domain.gain = self.domain.gain, missed(self.runner, solved)
            if self.domain.gain > max(BROKEN, 0.5 * before):
                raise refusal(self.runner)

    def _wants_more(self, levels: list[Solved], multiple: int, tol: float | None) -> bool:
        """Whether a further level may bring the band closer to `tol`: not below what the artificial ends leave open, which finer
        levels tell better than the coarsest."""
        if tol is None or multiple > MOST_FURTHER * COARSEST[len(self.box)]:
            return False
        values = [level.level.at(*self.points) for level in levels[-3:]]
        self.note += self.domain.look_again(levels, values, tol, self.deadline)
        band = self._band(levels)
        return tol < band and self._beyond() < max(tol, 0.5 * band)

    def _band(self, levels: list[Solved]) -> float:
        """The widest band at the samples and at the region's corners."""
        if len(levels) < 3:
            return np.inf
        t, x, s = self.points
        corners = np.array(list(product(*self.box)))
        ends = np.zeros(len(corners)), corners, np.zeros(len(corners), dtype=np.int64)
        everywhere = tuple(np.concatenate(pair) for pair in zip((t, x, s), ends, strict=True))
        seen = self.judge.of(levels, self._beyond() + self._cost_of_nodes(levels))
        error = seen.worth.extrapolate([level.at(*everywhere) for level in seen.levels])[1]
        return float(np.max(error if seen.left is None else error + seen.left.at(*everywhere)))

    def _unknown(self) -> Array:
        """What levels do not tell of each control: what the ends do to it; nothing is claimed where V may jump, nor of one that
        leaps, since V between nodes is a line for it and the optimum a node, the same one on every level."""
        leaps = {symbol for jump in self.equation.problem.jumps for g in jump.displacement.values() for symbol in g.free_symbols}
        shown = self.runner.form.shown
        leaping = np.array([self.torn or bool(leaps & expression.free_symbols) for expression in shown], dtype=bool)
        return np.where(leaping, np.nan, self.domain.steered[: len(shown)])

    def _refused(self, levels: list[Solved], tol: float | None) -> tuple[str, ...]:
        """Why a band above `tol` was refined no further."""
        if tol is None or self._band(levels) <= tol:
            return ()
        beyond = self._beyond()
        finest = "no finer mesh is allowed" if beyond < tol else f"what lies beyond the mesh's ends leaves {beyond:.2g} open"
        return (f"refined no further: {self.note.strip(' ()') or finest}",)

    def _present(self, levels: list[Solved], seen: Judged, refused: tuple[str, ...]) -> Solution:
        problem, fine, values, worth = self.equation.problem, levels[-1], seen.values, seen.worth
        outside, escaping = self.domain.outside, self.domain.escaping
        modes = {mode: number for number, mode in enumerate(problem.mode_tuples())}
        function = GridFunction(
            seen.levels, fine.shown, levels[-2].shown, fine.stopped,
            tuple((modes[mode], tuple(float(problem.numeric(sp.sympify(v))) for v in at)) for mode, at in self.labels),
            problem.continuous_states, problem.lattice_states, len(self.runner.form.shown), worth,
            seen.plain, seen.left, torn=self.torn,
        )  # fmt: skip
        function = function.with_leeway(*self.points, self._unknown())
        best, error = worth.extrapolate(values)
        wrong = wrong_sign(self.equation, best, error) if worth.settled else None
        if wrong is not None:
            raise SolverError(wrong)
        average, average_error = None, None
        if problem.objective.form == "average":
            constants = [np.array([level.numbers["average"]]) for level in levels[-3:]]
            if seen.left is not None:
                constants = [np.array([found.average]) for level in levels[-3:] if (found := level.corrected()) is not None]
            number, band = Worth.of(constants, levels[-1].residual * abs(float(constants[-1][0]))).extrapolate(constants)
            average, average_error = float(number[0]), float(band[0])
        shape = " x ".join(map(str, fine.level.mesh.shape))
        differences = ", ".join(f"{d:.2g}" for d in worth.differences)
        warning = (
            f"the levels do not settle (observed order {worth.order:.2f}, mean band {worth.typical:.2g} on values that vary by "
            f"{float(np.ptp(values[-1])):.2g}){self.note}: the band is a guess"
        )
        if len(thin_targets(self.equation) or ()) > 1 and not self.equation.covariance:
            warning += "; the target is so thin that on a mesh few paths meet it: a small ball in its place settles sooner"
        settled = worth.settled and fine.residual < (1e-6 if self.equation.stationary else STEP_RESIDUAL) and not self.interrupted
        if average is not None and average_error is not None:
            settled = settled and average_error < 0.1 * (1.0 + abs(average))
        further, told = tables(self.runner, levels, self.box)
        if seen.left is not None:
            order = f"{seen.plain.order:.2f}"
            told = (f"upwind differences made central by {STEPS} corrections: without them the order was {order}", *told)
        if self.killing:
            told = (f"paths away for {1.0 / self.killing:.0e} units of time count as gone: V moved by {escaping:.2g}", *told)
        told += refused
        return Solution(
            "grid", f"monotone finite differences on {shape} nodes", "converged" if settled else "not_converged", function,
            Evidence(
                "grid_convergence", fine.residual,
                (f"{len(levels)} nested levels, last mean differences {differences}: observed order {worth.order:.2f}",
                 f"artificial ends twice as far out: the answer on the region moved by {outside:.2g}", fine.way, *told),
                {"order": worth.order, "band": float(np.max(error)), "domain_sensitivity": outside, **fine.numbers},
            ),
            average=average, average_error=average_error,
            warnings=() if settled else (INTERRUPTED, warning) if self.interrupted else (warning,), tables=further,
        )  # fmt: skip


__all__ = ["solve"]

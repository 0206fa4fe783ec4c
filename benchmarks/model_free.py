"""Model-free learners side by side: error of value and policy against the time step; then the pendulum of Gymnasium.

    python -m benchmarks.model_free [--only NAME] [--dt D ...] [--seeds N]

Every learner gets the same transitions, those of the last round of `hjb learn FILE --dt D` as it comes, and the same class of
functions. Of the seeds the worst is printed.

- q-learning: `hjb learn`, martingale orthogonality conditions and policy iteration
- plain, exact: the fixed point of the plain target y = r dt + exp(-rho dt) V(x') by least squares
- plain, online: the same target by stochastic gradient steps, as Q-learning is run: minibatches of 256 in whitened features,
  three passes, Polyak averaging
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from hjbdsl import pipeline
from hjbdsl.evidence.comparison import Comparison, compare
from hjbdsl.methods.model_free import Lesson, Transitions, gathered, learn
from hjbdsl.methods.model_free.conditions import batches
from hjbdsl.methods.model_free.function import LearnedFunction
from hjbdsl.methods.model_free.greedy import maximiser
from hjbdsl.methods.model_free.precision import weights
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.solution import Accepted, Array, Solution

ROOT = Path(__file__).resolve().parents[1]
STEPS = (0.5, 0.2, 0.1, 0.05, 0.01)
BATCH, PASSES, RATE = 256, 3, 0.1


CASES = (("scalar LQR", "lqr"), ("ergodic LQ", "average_harvest"), ("Merton", "merton"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help="a part of a case's name, or pendulum")
    parser.add_argument("--dt", type=float, nargs="*", default=STEPS)
    parser.add_argument("--seeds", type=int, default=2)
    asked = parser.parse_args()
    print(f"relative L2 errors over the region, in percent: value / policy; the worst of {asked.seeds} seeds", end="\n\n")
    print(f"{'':<12}{'dt':>6}{'transitions':>13}{'q-learning':>18}{'plain, exact':>18}{'plain, online':>18}{'CPU s':>8}")
    for name, file in CASES:
        if asked.only is None or asked.only in name:
            for dt in asked.dt:
                print(row(name, file, dt, asked.seeds), flush=True)
    if asked.only is None or asked.only in "pendulum":
        from benchmarks.pendulum import main as pendulum  # noqa: PLC0415 (its own page of output)

        print()
        pendulum()


def row(name: str, file: str, dt: float, seeds: int) -> str:
    """One line of the table."""
    began = time.process_time()
    equation = pipeline.derive(pipeline.load(str(ROOT / "problems" / f"{file}.hjb")))
    model, _ = pipeline.solve(equation, pipeline.Request())
    errors = np.zeros((3, 2))
    for seed in range(seeds):
        data = gathered(equation, Lesson(dt, seed=seed))
        learners = (taught(equation, data, dt, "q"), taught(equation, data, dt, "td"), online(equation, data, dt))
        errors = np.fmax(errors, [_errors(compare(equation, solution, model)) for solution in learners])
    cells = [f"{_percent(value)} / {_percent(policy)}" for value, policy in errors]
    spent = time.process_time() - began
    return f"{name:<12}{dt:>6}{len(data):>13}{''.join(f'{cell:>18}' for cell in cells)}{spent:>8.1f}"


def _errors(judged: Comparison) -> tuple[float, float]:
    """Of the value and of the worst of the controls; what is no number is infinite."""
    policy = max(judged.controls.values())
    return tuple(error if math.isfinite(error) else math.inf for error in (judged.value, policy))  # type: ignore[return-value]


def _percent(value: float) -> str:
    return f"{100 * value:.2f}" if value < 9.995 else "> 999"


def taught(equation: HJBEquation, data: Transitions, dt: float, algorithm: str) -> Solution:
    answer = learn(equation, Lesson(dt, "q" if algorithm == "q" else "td"), data=data)
    assert isinstance(answer, Accepted)
    return answer.solution


def online(equation: HJBEquation, data: Transitions, dt: float) -> Solution:
    """Q-learning by stochastic gradients, in the class that the exact fixed point of its target was found in."""
    exact = taught(equation, data, dt, "td")
    function = exact.function
    assert isinstance(function, LearnedFunction)
    coefficients, average = _stochastic(function, data, np.random.default_rng(0))
    features, state = function.operator.features, data.rows(np.arange(min(len(data), 5000)))
    X = features.state(state.t, state.x, state.mode)
    theta = np.asarray(np.linalg.lstsq(X, _best(function, X, coefficients), rcond=None)[0], dtype=np.float64)
    learned = replace(function.learned, theta=theta, advantage=coefficients, average=average)
    own = replace(function, learned=learned)
    told = function.sign * average if function.task.average else None
    return Solution("model_free", "online", "not_converged", own, exact.evidence, average=told)


def _stochastic(function: LearnedFunction, data: Transitions, generator: np.random.Generator) -> tuple[Array, float]:
    """Coefficients of Q in q's class, averaged over the last half of the steps, and the long-run average."""
    features, dt, task = function.operator.features, data.dt, function.task
    gram = sum(psi.T @ (psi * weights(features, None, part)[:, None]) for part, psi, _ in batches(features, data)) / len(data)
    root = np.linalg.inv(np.linalg.cholesky(gram))
    w, mean, average, taken = np.zeros(features.count), np.zeros(features.count), 0.0, 0
    number = len(data) // BATCH
    for step in range(PASSES * number):
        if step % number == 0:
            order = generator.permutation(len(data))
        part = data.rows(order[(step % number) * BATCH : (step % number + 1) * BATCH])
        A = features.control(*features.control.space.coordinates(part.t, part.x, part.a))
        z = features.products(features.state(part.t, part.x, part.mode), A) @ root.T
        later = features.state(part.t + dt, part.x_next, part.mode_next)
        target = (function.sign * part.r - average) * dt + math.exp(-task.rho * dt) * _best(function, later, root.T @ w)
        wrong = target - z @ w
        rate = RATE / (1 + 4 * step / (PASSES * number))
        w = w + rate * z.T @ (wrong * weights(features, None, part)) / BATCH
        if task.average:
            average += rate * float(np.mean(wrong))
        if 2 * step >= PASSES * number:
            taken += 1
            mean += (root.T @ w - mean) / taken
    return mean, average


def _best(function: LearnedFunction, X: Array, coefficients: Array) -> Array:
    """max over a of Q at states with the features X."""
    features = function.operator.features
    table = features.by_action(X, coefficients)
    return np.einsum("kj,kj->k", features.control(*maximiser(features.control, table)), table)


if __name__ == "__main__":
    main()

"""Transitions from a Gymnasium environment: it is stepped, never looked into.

In: the name of an environment (`Pendulum-v1`, or `module:Class`), and the problem whose states, controls, sense and discount it
plays. Out: `Transitions`. An observation may be the states themselves, or have cosine and sine in the place of every angle."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from hjbdsl.errors import UsageError
from hjbdsl.methods.model_free.collect import Behaviour
from hjbdsl.methods.model_free.transitions import Transitions, transitions
from hjbdsl.model.problem import ControlProblem
from hjbdsl.model.solution import Array
from hjbdsl.numeric.points import Points

Feedback = Callable[[Points], Array]


def make(name: str) -> Any:
    """The environment of this name. Raises `UsageError` where there is none."""
    try:
        import gymnasium  # noqa: PLC0415 (an extra)
    except ImportError:
        raise UsageError("--env needs Gymnasium: pip install 'hjbdsl[gym]'") from None
    module, colon, attribute = name.partition(":")
    if colon and "-v" not in attribute:
        try:
            made = getattr(import_module(module), attribute)()
        except (ImportError, AttributeError, TypeError, ValueError) as error:
            raise UsageError(f"there is no environment `{name}`: {error}") from None
        if not isinstance(made, gymnasium.Env):
            raise UsageError(f"`{name}` is no Gymnasium environment")
        return made
    try:
        return gymnasium.make(name)
    except (gymnasium.error.Error, ImportError) as error:
        raise UsageError(f"there is no environment `{name}`: {str(error).splitlines()[0]}") from None


@dataclass(frozen=True, slots=True)
class Environment:
    """One environment, played for a problem. `dt` is what a step of it takes; the reward of a step becomes a rate."""

    env: Any
    problem: ControlProblem
    dt: float

    def collect(self, behaviour: Behaviour, count: int, generator: np.random.Generator) -> Transitions:
        """`count` transitions in whole episodes as the environment starts them."""
        n = self.problem.dimension
        x, x_next = np.empty((count, n)), np.empty((count, n))
        a, r, done = np.empty((count, len(self.problem.control_symbols))), np.empty(count), np.zeros(count, dtype=bool)
        state, over = self._reset(generator), False
        for row in range(count):
            if over:
                state = self._reset(generator)
            x[row], a[row] = state, behaviour(_place(state), generator)[0]
            observation, reward, ended, truncated, _ = self.env.step(self._action(a[row]))
            state = x_next[row] = self.state(observation)
            r[row], done[row], over = reward / self.dt, ended, ended or truncated
        return transitions(self.dt, x, a, r, x_next, done=done)

    def play(self, feedback: Feedback, seeds: range) -> Array:
        """The return of one episode from `reset(seed=...)` for every seed, under a feedback; copies of the environment run side
        by side."""
        copies = [deepcopy(self.env) for _ in seeds]
        states = np.array([self.state(env.reset(seed=seed)[0]) for env, seed in zip(copies, seeds, strict=True)])
        total, running = np.zeros(len(copies)), np.arange(len(copies))
        step = 0
        while running.size:
            k = len(running)
            control = feedback(Points(np.full(k, step * self.dt), states[running], np.zeros(k, dtype=np.int64)))
            still = []
            for row, index in enumerate(running):
                observation, reward, ended, truncated, _ = copies[index].step(self._action(control[row]))
                total[index] += float(reward)
                states[index] = self.state(observation)
                if not (ended or truncated):
                    still.append(index)
            running, step = np.array(still, dtype=np.int64), step + 1
        return total

    def state(self, observation: Any) -> Array:
        """The states of the file from an observation. Raises `UsageError` where their numbers do not match."""
        seen = np.asarray(observation, dtype=float).ravel()
        angles = [bounds.periodic for bounds in self.problem.state_bounds]
        if len(seen) == len(angles):
            return seen
        if len(seen) != len(angles) + sum(angles):
            wanted = f"{len(angles)}" + (f" or {len(angles) + sum(angles)}" if any(angles) else "")
            raise UsageError(f"the environment shows {len(seen)} numbers, but the problem's states want {wanted}")
        result, place = [], 0
        for angle in angles:
            result.append(np.arctan2(seen[place + 1], seen[place]) if angle else seen[place])
            place += 2 if angle else 1
        return np.array(result)

    def _reset(self, generator: np.random.Generator) -> Array:
        observation, _ = self.env.reset(seed=int(generator.integers(2**31)))
        return self.state(observation)

    def _action(self, control: Array) -> Any:
        space = self.env.action_space
        shape = getattr(space, "shape", None)
        if shape:
            if int(np.prod(shape)) != len(control):
                raise UsageError(
                    f"the environment takes {int(np.prod(shape))} actions, but the problem has {len(control)} controls"
                )
            return np.clip(control.reshape(shape), space.low, space.high).astype(space.dtype)
        return round(float(control[0]))


def _place(state: Array) -> Points:
    return Points(np.zeros(1), state[None], np.zeros(1, dtype=np.int64))

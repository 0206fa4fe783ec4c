"""Commands by way of the shelf: an answer that was given before, for the same content and options, is printed again.

In: what was asked. Out: the answer as plain data. Only an answer that has to be worked out loads the pipeline (and sympy).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hjbdsl.cli.options import standard_input
from hjbdsl.io import store

if TYPE_CHECKING:
    from hjbdsl.model.problem import ControlProblem

Work = Callable[["ControlProblem"], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Question:
    """A file (`-` is standard input, already read into `text`) with its overrides and variant."""

    path: str
    overrides: Mapping[str, str]
    variant: str | None
    text: str | None = None

    @classmethod
    def ask(cls, path: str, overrides: Mapping[str, str], variant: str | None) -> Question:
        return cls(path, overrides, variant, standard_input() if path == "-" else None)

    def key(self, command: str, options: Iterable[object]) -> str:
        """Everything that the answer depends on, save the content of the files, which is compared on reading."""
        place = ("-", self.text, os.getcwd()) if self.text is not None else (self.path, os.path.abspath(self.path), "")
        return store.digest(
            [command, *place, *sorted(self.overrides.items()), self.variant, "options", *options, store.fingerprint()]
        )

    def load(self) -> ControlProblem:
        from hjbdsl import pipeline  # noqa: PLC0415 (sympy: only where something has to be worked out)

        if self.text is not None:
            return pipeline.loads(self.text, self.overrides, self.variant, "<stdin>")
        return pipeline.load(self.path, self.overrides, self.variant)


def answer(question: Question, command: str, options: Iterable[object], work: Work, cached: bool) -> tuple[dict[str, Any], bool]:
    """The answer, from the shelf or worked out by `work`; and whether it came from the shelf."""
    key = question.key(command, options)
    found = store.read_answer(key) if cached else None
    if found is not None:
        return found, True
    problem = question.load()
    made = dict(work(problem))
    from hjbdsl import pipeline  # noqa: PLC0415 (loaded by now)

    if cached and not pipeline.interrupted(made.get("warnings", ())):
        own = () if question.text is not None else (question.path,)
        included = (path for path in problem.source.files if os.path.exists(path))
        store.write_answer(key, made, {*own, *included, *pipeline.data_files(problem)})
    return made, False

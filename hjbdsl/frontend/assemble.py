"""The last step of lowering: the pieces put together into the problem.

In: a workpiece without mistakes. Out: `ControlProblem`.
"""

from __future__ import annotations

from hjbdsl.frontend import ast
from hjbdsl.frontend.discounting import unmarked
from hjbdsl.frontend.lowering import Lowering
from hjbdsl.frontend.notation import notations
from hjbdsl.frontend.region import default_range
from hjbdsl.frontend.scope import ParameterName
from hjbdsl.frontend.variables import groups_of
from hjbdsl.model.problem import (
    ControlProblem,
    Jump,
    Source,
)


def assembled(work: Lowering, source: Source) -> ControlProblem:
    header = work.sole(ast.ProblemHeader, "problem header")
    states = groups_of(work.reader, "state")
    declarations = {n: e.declaration for n, e in work.scope.entities.items() if isinstance(e, ParameterName)}
    values = work.reader.parameters.values
    region = tuple(
        range_
        for group in states
        for range_ in work.region.get(group.name, tuple(default_range(b, values) for b in group.bounds))
    )
    jumps = tuple(
        Jump(jump.name.id, work.rates[jump.name.id], work.marks[jump.name.id], work.laws[jump.name.id],
             work.motion.displacement_of(jump.name.id), jump.name.span)
        for jump in work.all(ast.Jump)
    )  # fmt: skip
    objective = work.objective
    assert objective is not None
    name = header.name if header is not None else "problem"
    return ControlProblem(
        name=name,
        title=header.title if header is not None else None,
        source=source,
        parameters=work.reader.parameters.exported(declarations),
        values=dict(values),
        states=states,
        controls=groups_of(work.reader, "control"),
        adversaries=groups_of(work.reader, "adversary"),
        constraints=tuple(work.constraints),
        noises=tuple(work.noises.components),
        correlation=work.correlation,
        jumps=jumps,
        modes=work.chains,
        mode_parameters=tuple(work.reader.mode_parameters.values()),
        drift=tuple(unmarked(entry) for entry in work.motion.drift_entries(sum(len(g.symbols) for g in states))),
        diffusion=work.motion.diffusion_entries(),
        objective=objective,
        stopping=work.stopping,
        exit=work.exit,
        exploration=work.exploration,
        reversal=work.reversal,
        boundaries=tuple(work.boundaries),
        region=region,
        region_written=frozenset(work.region),
        checks=tuple(work.checks),
        hint=work.hint,
        notation=notations(work.statements, objective, work.reader),
        origins={**work.scope.spans, **work.origins},
    )

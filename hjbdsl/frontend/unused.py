"""Warnings for noises, controls, jumps and modes that are declared and never used.

In: the scope after reading. Out: warnings. Parameters are left out: a family of files shares them.
"""

from __future__ import annotations

from hjbdsl.frontend.findings import Findings
from hjbdsl.frontend.scope import ChainName, JumpName, NoiseName, Scope, VariableName


def report_unused(scope: Scope, findings: Findings) -> None:
    for name, entity in scope.entities.items():
        if name in scope.used:
            continue
        match entity:
            case NoiseName():
                findings.warn(
                    "HJB028", f"the noise `{name}` is never used", f"add a term `... d{name}`, or remove it", scope.spans[name]
                )
            case JumpName():
                findings.warn(
                    "HJB028", f"the jump `{name}` moves nothing", f"add a term `... d{name}`, or remove it", scope.spans[name]
                )
            case ChainName():
                findings.warn(
                    "HJB028", f"the mode `{name}` has no effect", "use it in a parameter, or remove it", scope.spans[name]
                )
            case VariableName("control" | "adversary"):
                findings.warn(
                    "HJB028", f"the control `{name}` is never used", "let it act in the dynamics, or remove it", scope.spans[name]
                )
            case _:
                continue

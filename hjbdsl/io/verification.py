"""Last stage: what `hjb verify` says of an answer. In words and as one object (schema `hjb.verification/1`).

In: equation, solution, brackets. Out: plain data; the page of text is made from that data alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from hjbdsl.io.result import finite, place
from hjbdsl.io.text import cell, tiny
from hjbdsl.model.equation import HJBEquation
from hjbdsl.model.evidence import CheckResult
from hjbdsl.model.solution import Solution
from hjbdsl.simulation.bracket import Bracket

SCHEMA = "hjb.verification/1"


def verification(
    equation: HJBEquation,
    solution: Solution,
    brackets: Sequence[Bracket],
    checks: Sequence[CheckResult],
    identity: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """`verdict` is "holds" where at every point V lies in its bracket and its policy earns it, every check of the file holds, and
    the sides of the verification identity differ by no more than their error; else "refuted"."""
    problem = equation.problem
    points = [_point(equation, one) for one in brackets]
    failed = [check.text for check in checks if not check.passed]
    sound = all(one.holds for one in brackets) and not failed
    sound = sound and (identity is None or abs(identity["difference"]) <= identity["difference_error"])
    found = next((one.excess for one in brackets if one.excess is not None), None)
    result: dict[str, Any] = {
        "schema": SCHEMA,
        "problem": problem.name,
        "title": problem.title,
        "kind": equation.kind,
        "sense": problem.objective.sense,
        "method": solution.method,
        "status": solution.status,
        "claimed_residual": finite(solution.evidence.residual),
        "residual": None if found is None else {
            "largest": finite(found.residual),
            "mean": finite(found.typical),
            "better_control": finite(found.better),
            "places": found.places,
        },
        "quantity": "average" if problem.objective.form == "average" else "V",
        "points": points,
        "failed_checks": failed,
        "verdict": "holds" if sound else "refuted",
    }  # fmt: skip
    return result if identity is None else result | {"identity": dict(identity)}


def _point(equation: HJBEquation, one: Bracket) -> dict[str, Any]:
    trial, earned = one.trial, one.trial.earned
    return {
        "at": place(equation, trial.start),
        "V": finite(trial.claimed),
        "error": finite(trial.claimed_error),
        "lower": finite(one.lower),
        "upper": finite(one.upper),
        "confidence": one.confidence,
        "policy": {
            "mean": finite(earned.mean),
            "half_width": finite(earned.half_width),
            "time_step": finite(earned.bias),
            "after_horizon": finite(earned.tail),
            "paths": earned.paths,
        },
        "verdict": trial.verdict,
        "holds": one.holds,
    }


def verification_text(result: Mapping[str, Any], seconds: float) -> str:
    """The page that `hjb verify` prints."""
    lines = [f"{result['title'] or result['problem']}", "", f"answer of {result['method']}, {result['status']}"]
    residual = result["residual"]
    if residual is not None:
        lines.append(
            f"  equation: fails by {tiny(residual['largest'])} of its terms at most, {tiny(residual['mean'])} on average,"
            f" at {residual['places']} places of the region and the paths"
        )
        if residual["better_control"] is not None:
            lines.append(f"  optimum: another control gains at most {tiny(residual['better_control'])} a unit of time there")
    for point in result["points"]:
        lines += ["", *_point_lines(result, point)]
    if "identity" in result:
        lines += ["", *_identity_lines(result["identity"])]
    lines += [f"✗ check fails: {text}" for text in result["failed_checks"]]
    mark, word = ("✓", "holds") if result["verdict"] == "holds" else ("✗", "refuted")
    return "\n".join([*lines, "", f"{mark} {result['quantity']} {word}", f"{seconds:.1f} s"])


def _identity_lines(identity: Mapping[str, float]) -> list[str]:
    """The verification identity of a learned control against the exact one, each side with its 99% interval."""
    sides = (("J(u) - V", "cost"), ("E ∫ |u - u*|² dt/2", "distance"), ("difference", "difference"))
    lines = [f"verification identity, along {identity['paths']:g} paths from the noise at T (99%)"]
    return lines + [
        f"  {name:<24}{_number(identity[key], identity[key + '_error'])}  ± {tiny(identity[key + '_error'])}"
        for name, key in sides
    ]


_VERDICTS = {
    "agrees": "the policy earns it",
    "earns less": "the policy earns less than V promises",
    "earns more": "the policy earns more than V: V is not the optimal value",
    "unknown": "V has no error to be judged by",
}


def _point_lines(result: Mapping[str, Any], point: Mapping[str, Any]) -> list[str]:
    at = ", ".join(f"{name} = {cell(value)}" for name, value in point["at"].items())
    policy, name = point["policy"], result["quantity"]
    width = _width(point)
    error = sum(policy[part] or 0.0 for part in ("half_width", "time_step", "after_horizon"))
    shown = "the mean of the paths" if result["sense"] == "evaluate" else "its policy, simulated"
    return [
        f"at {at}" if at else "at the only state",
        f"  {name:<24}{_number(point['V'], width)}  ± {tiny(point['error'])}",
        f"  {shown:<24}{_number(policy['mean'], width)}  ± {tiny(error)}   {policy['paths']} paths",
        f"  bracket                 [{_number(point['lower'], width)}, {_number(point['upper'], width)}]"
        f"   {100 * point['confidence']:g}% where sampled",
        f"  {'✓' if point['holds'] else '✗'} {_VERDICTS[point['verdict']]}",
    ]


def _width(point: Mapping[str, Any]) -> float:
    """What a shown number should resolve."""
    ends = [point[name] for name in ("lower", "upper") if point[name] is not None]
    spread = max(abs(end - (point["V"] or 0.0)) for end in ends) if ends else 0.0
    return spread or 1e-9 * max(1.0, abs(point["V"] or 0.0))


def _number(value: float | None, resolved: float) -> str:
    if value is None:
        return "-"
    digits = 2 + math.ceil(math.log10(max(abs(value), resolved) / resolved)) if resolved > 0 else 9
    return f"{value:.{min(max(digits, 3), 10)}g}"

"""What H, the file's own functions and the optimal policy are, as formulas. In: a problem and its `Writer`. Out: `Notation`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import sympy as sp

from hjbdsl.model.equation import GibbsPolicy
from hjbdsl.model.problem import ControlProblem, Notation
from hjbdsl.symbolic.equation_text import hamiltonian_notation, policy_letter
from hjbdsl.symbolic.latex import latex_symbol
from hjbdsl.symbolic.maximiser_text import starred
from hjbdsl.symbolic.terms.drift_diffusion import has_second_order
from hjbdsl.symbolic.text import text_symbol
from hjbdsl.symbolic.writing import Writer, divisor, equal

_CALL = re.compile(r"([^\W\d]\w*)\(")
_WORD = re.compile(r"[^\W\d]\w*")
_KNOWN_FUNCTIONS = {
    "exp", "log", "sqrt", "sin", "cos", "tan", "tanh", "atan2", "erf", "Phi", "max", "min", "abs", "sign", "indicator", "norm",
    "if", "sum", "diag", "dot", "eye", "ones", "zeros",
}  # fmt: skip


def abbreviations(problem: ControlProblem, writer: Writer) -> list[Notation]:
    """`u(k x) = (k x)^(1 - γ)/(1 - γ)`, where the file's reward is written with a function of its own."""
    lines = []
    own = problem.notation.get(("running",))
    by_mode = {parameter.symbol.name for parameter in problem.mode_parameters}
    if own is not None and set(_CALL.findall(own.text)) - _KNOWN_FUNCTIONS - by_mode and not writer.vector:
        lines.append(equal(own, writer.write(problem.objective.running)))
    return lines


def named_parts(problem: ControlProblem, formulas: Iterable[Notation]) -> list[Notation]:
    """`β = b0 + (b1 - b0) t` for every name of a `let` that stands in the formulas or in such a line, in the file's order."""
    lets = {key[1]: body for key, body in problem.notation.items() if key[0] == "let"}
    spoken: set[str] = set()
    waiting = list(formulas)
    while waiting:
        words = set(_WORD.findall(waiting.pop().text))
        met = {name for name in lets if text_symbol(name) in words} - spoken
        spoken |= met
        waiting += [lets[name] for name in met]
    return [equal(Notation(text_symbol(name), latex_symbol(name)), body) for name, body in lets.items() if name in spoken]


def hamiltonian_definition(problem: ControlProblem, writer: Writer, covariance: Mapping[tuple[int, int], sp.Expr]) -> Notation:
    """H(x, a, p, M): the letters p and M stand for the gradient and the Hessian, kept as V's derivatives in print."""
    inner = hamiltonian_notation(problem, writer, covariance)
    return equal(_hamiltonian_name(problem, writer, covariance, ""), inner)


def optimal_hamiltonian_name(problem: ControlProblem, writer: Writer, covariance: Mapping[tuple[int, int], sp.Expr]) -> Notation:
    """H(x, u*, ∇V, ∇²V), for an optimum that is too long to put in."""
    return _hamiltonian_name(problem, writer, covariance, "*")


def _hamiltonian_name(
    problem: ControlProblem, writer: Writer, covariance: Mapping[tuple[int, int], sp.Expr], star: str
) -> Notation:
    chosen = [g.name for g in (*problem.controls, *problem.adversaries)]
    names = ([] if writer.stationary else ["t"]) + [g.name for g in problem.states] + [c.name for c in problem.modes]
    derivative = _derivative_letters(problem, writer, bool(covariance) and has_second_order(covariance))
    above = [text_symbol(name) + star for name in chosen]
    marks = [starred(latex_symbol(name)) if star else latex_symbol(name) for name in chosen]
    text = ", ".join([*map(text_symbol, names), *above, *(d.text for d in derivative)])
    latex = ", ".join([*map(latex_symbol, names), *marks, *(d.latex for d in derivative)])
    return Notation(f"H({text})", f"H({latex})")


def _derivative_letters(problem: ControlProblem, writer: Writer, second: bool) -> list[Notation]:
    if problem.dimension == 0:
        return []
    if problem.dimension == 1 and not writer.vector:
        prime = writer.stationary
        name, mark = text_symbol(problem.state_symbols[0].name), latex_symbol(problem.state_symbols[0].name)
        first = Notation("V'", "V'") if prime else Notation(f"V_{name}", f"V_{{{mark}}}")
        other = Notation("V''", "V''") if prime else Notation(f"V_{name}{name}", f"V_{{{mark}{mark}}}")
        return [first, other] if second else [first]
    pair = [Notation("∇V", r"\nabla V"), Notation("∇²V", r"\nabla^2 V")]
    return pair if second else pair[:1]


def policy_notation(policy: GibbsPolicy, writer: Writer) -> tuple[Notation, ...]:
    """The Gibbs policy: a normal law, soft-max probabilities, or the density itself."""
    letter = policy_letter(writer.problem)
    sign = "" if writer.problem.objective.sense == "maximize" else "-"
    exploration = writer.problem.exploration
    assert exploration is not None
    rate = writer.write(exploration.temperature)
    prior = exploration.prior is not None
    before = Notation(f"{letter.text}₀ ", rf"{letter.latex}_0 \,") if prior else Notation("", "")
    density = Notation(
        f"{letter.text}* ∝ {before.text}exp({sign}H/{divisor(rate.text)})",
        rf"{letter.latex}^* \propto {before.latex}e^{{{sign}H/{divisor(rate.latex)}}}",
    )
    lines = [density]
    match policy.kind:
        case "normal":
            for a, mean in list(policy.mean.items())[:4]:
                spread = writer.write(policy.covariance[a, a])
                name, centre = writer.write(a), writer.write(mean)
                law = rf"\mathcal{{N}}\left({centre.latex},\; {spread.latex}\right)"
                lines.append(Notation(f"{name.text} ~ normal({centre.text}, {spread.text})", rf"{name.latex} \sim {law}"))
        case "finite":
            for point, probability in policy.probabilities[:6]:
                where = [writer.write(sp.Eq(a, v, evaluate=False)) for a, v in point.items()]
                p = writer.write(probability)
                lines.append(Notation(f"P({', '.join(w.text for w in where)}) = {p.text}",
                                      rf"P({', '.join(w.latex for w in where)}) = {p.latex}"))  # fmt: skip
        case "density":
            pass
    return tuple(lines)

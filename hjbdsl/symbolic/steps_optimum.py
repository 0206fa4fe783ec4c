"""The optimisation told: Hamiltonian, first and second order, faces, Isaacs, the Gibbs policy, the reduced equation.

In: equation, composition. Out: one `Step` each, or None where the problem has no such part.
"""

from __future__ import annotations

import sympy as sp

from hjbdsl.model.equation import HJBEquation, Step
from hjbdsl.model.problem import Notation
from hjbdsl.symbolic.composition import Composition
from hjbdsl.symbolic.definitions import hamiltonian_definition, policy_notation
from hjbdsl.symbolic.equation_text import entropic, explored_group, policy_letter, soft_word
from hjbdsl.symbolic.latex import latex_symbol
from hjbdsl.symbolic.maximiser_text import conditions_notation
from hjbdsl.symbolic.terms.notation import moved_arguments
from hjbdsl.symbolic.text import text_symbol
from hjbdsl.symbolic.writing import bracketed, divisor, equal, join, times

_MOST_LINES = 6
_LONGEST = 120


def _best(parts: Composition) -> str:
    return "maximum" if parts.problem.objective.sense == "maximize" else "minimum"


def hamiltonian_step(_equation: HJBEquation, parts: Composition) -> Step | None:
    if not parts.problem.controls:
        return None
    words = "What stands under the optimum is the Hamiltonian: an ordinary function of the control at each point."
    return Step("The Hamiltonian", words, (hamiltonian_definition(parts.problem, parts.writer, parts.covariance),))


def first_order_step(_equation: HJBEquation, parts: Composition) -> Step | None:
    smooth = [(a, slope) for a, slope in parts.optimum.stationarity.items() if sp.count_ops(slope) < _LONGEST and slope != 0]
    lines = [_derivative(a, parts.writer.write(slope), a in slope.free_symbols) for a, slope in smooth[:_MOST_LINES]]
    moving = [_moving_line(parts, a) for a in parts.hamiltonian.nonlocal_controls if _moves(parts, a)]
    if not lines and not moving:
        return None
    words = "Inside the control set the derivative of the Hamiltonian vanishes at an optimum."
    if not moving and all(a not in slope.free_symbols for a, slope in smooth):
        words = "The Hamiltonian is linear in the control: its derivative says which end of the control set is optimal."
    if moving:
        words += " A control that moves the state at a jump brings the slope of V at the place it is carried to."
    return Step("First-order condition", words, (*lines, *moving))


def _derivative(a: sp.Symbol, value: Notation, vanishes: bool) -> Notation:
    name, mark, zero = text_symbol(a.name), latex_symbol(a.name), " = 0" if vanishes else ""
    return Notation(f"∂H/∂{name} = {value.text}{zero}", rf"\frac{{\partial H}}{{\partial {mark}}} = {value.latex}{zero}")


def _moves(parts: Composition, a: sp.Symbol) -> bool:
    return any(a in d.free_symbols for jump in parts.problem.jumps for d in jump.displacement.values())


def _moving_line(parts: Composition, a: sp.Symbol) -> Notation:
    """dH/da with the jumps: local slope + rate E[d(displacement)/da . grad V(x + displacement)] + d(rate)/da E[V(x + d) - V]."""
    writer, problem = parts.writer, parts.problem
    local = sp.Add(*(sp.diff(term, a) for term in parts.hamiltonian.terms if a in term.free_symbols))
    pieces = [writer.write(sp.factor_terms(local))] if local != 0 else []
    for jump in problem.jumps:
        text, latex = moved_arguments(problem, writer, jump, {})
        mean = ("E[", "]", r"\mathbb{E}\left[", r"\right]") if jump.mark is not None else ("", "", "", "")
        for i, displacement in jump.displacement.items():
            pull = sp.diff(displacement, a)
            if pull != 0:
                symbol = parts.gradient[i]
                slope = Notation(f"{writer.text_names[symbol]}({text})", f"{writer.latex_names[symbol]}({latex})")
                inner = slope if pull == 1 else times(writer.write(pull), slope)
                inside = Notation(mean[0] + inner.text + mean[1], mean[2] + inner.latex + mean[3])
                pieces.append(times(writer.write(jump.rate), inside))
        change = sp.diff(jump.rate, a)
        if change != 0:
            gap = Notation(f"{mean[0]}V({text}) - V{mean[1]}", f"{mean[2]}V({latex}) - V{mean[3]}")
            gap = gap if jump.mark is not None else Notation(f"({gap.text})", f"({gap.latex})")
            pieces.append(times(writer.write(change), gap))
    return _derivative(a, join(pieces), True)


def second_order_step(_equation: HJBEquation, parts: Composition) -> Step | None:
    stationarity = parts.optimum.stationarity
    if parts.optimum.status != "symbolic":
        return None
    lines = []
    for a, slope in list(stationarity.items())[:_MOST_LINES]:
        curvature = sp.powsimp(sp.factor_terms(sp.diff(slope, a)))
        if sp.count_ops(curvature) < _LONGEST and curvature != 0:
            name, mark, value = text_symbol(a.name), latex_symbol(a.name), parts.writer.write(curvature)
            lines.append(Notation(f"∂²H/∂{name}² = {value.text}",
                                  rf"\frac{{\partial^2 H}}{{\partial {_squared(mark)}}} = {value.latex}"))  # fmt: skip
    needed = conditions_notation(parts.writer, parts.optimum.second_order)
    if not lines and not needed:
        return None
    sign = "negative" if parts.problem.objective.sense == "maximize" else "positive"
    if parts.problem.adversaries:
        words = "The stationary point is a saddle: curved down for the maximiser, up for the minimiser."
    else:
        words = f"It is a {_best(parts)} where the Hamiltonian is {'concave' if sign == 'negative' else 'convex'} in the control"
        words += ", which asks of V:" if needed else "; here it is, whatever V."
        if (
            not needed
            and parts.optimum.status == "symbolic"
            and any(not b.branches or b.branches[0].kind != "interior" for b in parts.blocks)
        ):
            words = "The sign of the second derivative decides between an interior point and the ends of the control set."
    return Step("Second-order condition", words, (*lines, *needed))


def _squared(mark: str) -> str:
    return f"{mark}^2" if "^" not in mark else f"({mark})^2"


def maximiser_step(equation: HJBEquation, parts: Composition) -> Step | None:
    optimum = parts.optimum
    if optimum.status == "none":
        return None
    word = "The maximiser" if parts.problem.objective.sense == "maximize" else "The minimiser"
    if parts.problem.adversaries:
        word = "The saddle point"
    if equation.policy is not None:
        word, words = "The mean of the policy", "The optimal policy, which the next step derives, has this mean."
        return Step(word, words, equation.maximiser)
    if optimum.status == "implicit":
        words = f"The optimum has no formula: {optimum.reason}. It is found numerically at each point."
        return Step(word, words, equation.maximiser)
    faces = any(len(block.branches) > 1 for block in parts.blocks)
    words = "Solve for the control"
    words += (
        ". Where the solution leaves the control set, or there is none, a face or vertex of the set is optimal." if faces else "."
    )
    lines = [*equation.maximiser, *_domain(parts)]
    return Step(word, words, tuple(lines))


def _domain(parts: Composition) -> list[Notation]:
    """Where a single formula holds, beyond the second-order conditions already stated."""
    known = set(parts.optimum.second_order)
    conditions: list[sp.Basic] = []
    for block in parts.blocks:
        if len(block.branches) == 1:
            conditions += [c for c in sp.And.make_args(block.branches[0].where) if c != sp.true and c not in known]
    written = conditions_notation(parts.writer, list(dict.fromkeys(conditions)))
    return [Notation(f"where {c.text}", rf"\text{{where }} {c.latex}") for c in written[:_MOST_LINES]]


def isaacs_step(equation: HJBEquation, parts: Composition) -> Step | None:
    if not parts.problem.adversaries:
        return None
    ours = ", ".join(text_symbol(g.name) for g in parts.problem.controls)
    theirs = ", ".join(text_symbol(g.name) for g in parts.problem.adversaries)
    a = ", ".join(latex_symbol(g.name) for g in parts.problem.controls)
    b = ", ".join(latex_symbol(g.name) for g in parts.problem.adversaries)
    best, worst = ("max", "min") if parts.problem.objective.sense == "maximize" else ("min", "max")
    formula = Notation(f"{best} over {ours} of {worst} over {theirs} of H = {worst} over {theirs} of {best} over {ours} of H",
                       rf"\{best}_{{{a}}} \{worst}_{{{b}}} H = \{worst}_{{{b}}} \{best}_{{{a}}} H")  # fmt: skip
    words = f"The game has a value if the order of play does not matter. Here: {equation.optimum.isaacs}."
    return Step("The Isaacs condition", words, (formula,))


def policy_step(equation: HJBEquation, parts: Composition) -> Step | None:
    if equation.policy is None or parts.problem.exploration is None:
        return None
    rate = parts.writer.write(parts.problem.exploration.temperature)
    sign = "" if parts.problem.objective.sense == "maximize" else "-"
    group = explored_group(parts.problem)
    prior = parts.problem.exploration.prior is not None
    a, mark, letter = text_symbol(group.name), latex_symbol(group.name), policy_letter(parts.problem)
    kind = "probabilities" if group.bounds[0].is_finite_set else "a density"
    measure = Notation(f"d{a}", f"d{mark}")
    if prior:
        measure = Notation(f"{letter.text}₀({a}) d{a}", rf"{letter.latex}_0({mark})\, d{mark}")
    if group.bounds[0].is_finite_set:
        total = Notation(f"{sign}{bracketed(rate.text)} log Σ_{a} exp({sign}H/{divisor(rate.text)})",
                         rf"{sign}{rate.latex} \log \sum_{{{mark}}} e^{{{sign}H/{divisor(rate.latex)}}}")  # fmt: skip
    else:
        total = Notation(f"{sign}{bracketed(rate.text)} log ∫ exp({sign}H/{divisor(rate.text)}) {measure.text}",
                         rf"{sign}{rate.latex} \log \int e^{{{sign}H/{divisor(rate.latex)}}}\, {measure.latex}")  # fmt: skip
    whole = entropic(parts.problem, parts.writer, Notation("H", "H"))
    word = soft_word(parts.problem)
    total = equal(Notation(f"{word.text}{{ {whole.text} }}", rf"{word.latex}\left\{{ {whole.latex} \right\}}"), total)
    words = (
        f"With the entropy the controller chooses {kind}, not a point. The best is the Gibbs law of the Hamiltonian, "
        "and the optimum becomes a log-sum-exp, which tends to the sharp optimum as the temperature goes to zero."
    )
    return Step("The Gibbs policy", words, (*policy_notation(equation.policy, parts.writer), total))


def reduced_step(equation: HJBEquation, _parts: Composition) -> Step | None:
    if equation.reduced_pde is None:
        return None
    words = "Put the optimal control in: an equation in V alone."
    return Step("The reduced equation", words, (equation.reduced_pde,))

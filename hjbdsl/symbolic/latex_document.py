"""The LaTeX article of a derivation. In: title, kind, account, steps. Out: a .tex that compiles with amsmath alone."""

from __future__ import annotations

import re
from collections.abc import Sequence

from hjbdsl.model.equation import Step
from hjbdsl.model.problem import Notation
from hjbdsl.symbolic.account import Account
from hjbdsl.symbolic.latex_lines import on_lines

_PREAMBLE = r"""\documentclass[11pt]{article}
\usepackage[utf8]{inputenc}
\usepackage[T1]{fontenc}
\usepackage{amsmath,amssymb}
\usepackage[margin=2.5cm]{geometry}
\allowdisplaybreaks
"""
_ESCAPES = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"$<$", ">": r"$>$", "≤": r"$\le$", "≥": r"$\ge$",
    "±": r"$\pm$", "ϖ": r"$\varpi$",
    "→": r"$\to$", "∞": r"$\infty$", "∇": r"$\nabla$", "½": r"$\tfrac12$", "²": r"$^2$", "·": r"$\cdot$", "ᵀ": r"$^\top$",
    "Δ": r"$\Delta$", "Σ": r"$\Sigma$", "∂": r"$\partial$", "α": r"$\alpha$", "β": r"$\beta$", "γ": r"$\gamma$",
    "δ": r"$\delta$", "ε": r"$\epsilon$", "ζ": r"$\zeta$", "η": r"$\eta$", "θ": r"$\theta$", "ι": r"$\iota$",
    "κ": r"$\kappa$", "λ": r"$\lambda$", "μ": r"$\mu$", "ν": r"$\nu$", "ξ": r"$\xi$", "π": r"$\pi$", "ρ": r"$\rho$",
    "σ": r"$\sigma$", "τ": r"$\tau$", "υ": r"$\upsilon$", "φ": r"$\phi$", "χ": r"$\chi$", "ψ": r"$\psi$", "ω": r"$\omega$",
    "—": "---", "–": "--", "’": "'",
}  # fmt: skip


_MATHEMATICAL = re.compile(r"(√\w|\b[VHh]\b)")
"""Roots, and the letters that stand for the value, the Hamiltonian and the step."""


def prose(text: str) -> str:
    """A sentence made safe for LaTeX; letters it has no font for are left out."""
    return "".join(_mathematical(part) or "".join(map(_letter, part)) for part in _MATHEMATICAL.split(text))


def _letter(letter: str) -> str:
    return _ESCAPES.get(letter, letter if ord(letter) < 0x250 else "?")


def _mathematical(part: str) -> str:
    """A root or a single letter in italics; empty for other text."""
    if part.startswith("√"):
        return rf"$\sqrt{{{_letter(part[1:]).strip('$')}}}$"
    return f"${part}$" if part in ("V", "H", "h") else ""


def latex_document(title: str, kind: str, told: Account, steps: Sequence[Step]) -> str:
    lines = [_PREAMBLE + rf"\title{{{prose(title)}}}", r"\author{}\date{}", r"\begin{document}", r"\maketitle"]
    lines.append(rf"\noindent\emph{{{prose(kind.replace('_', ' '))}}}")
    for entry in told.entries:
        lines.append(rf"\paragraph{{{prose(entry.heading)}}}")
        lines += [_display(f) for f in entry.formulas]
        if entry.remark:
            lines.append(prose(entry.remark))
    if told.boundaries:
        lines += [r"\paragraph{Boundary conditions}", r"\begin{itemize}"]
        lines += [
            rf"\item ${line.where.latex}$: ${line.statement.latex}$ ({prose(line.condition.why)})" for line in told.boundaries
        ]
        lines.append(r"\end{itemize}")
    if steps:
        lines.append(r"\section*{Derivation}")
    for number, step in enumerate(steps, 1):
        lines += [rf"\subsection*{{{number}. {prose(step.title)}}}", prose(step.explanation)]
        lines += [_display(f) for f in step.formulas]
    return "\n".join([*lines, r"\end{document}"]) + "\n"


def _display(formula: Notation) -> str:
    return "\\[\n" + on_lines(formula.latex) + "\n\\]"

"""Names as they are set in type: `sigma` is sigma's letter, `r_a` a subscript, `kstar` an upright word."""

from __future__ import annotations

import re

GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau upsilon phi chi psi omega "
    "Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega pi"
).split()
UNICODE_GREEK = dict(
    zip(GREEK, "α β γ δ ε ζ η θ ι κ λ μ ν ξ ρ σ τ υ φ χ ψ ω Γ Δ Θ Λ Ξ Π Σ Υ Φ Ψ Ω π".split(), strict=True)
)
_ACCENTS = {"star": r"^{*}", "bar": r"\bar", "hat": r"\hat", "tilde": r"\tilde"}


def latex_name(name: str) -> str:
    r"""`sigma` -> `\sigma`, `r_a` -> `r_{a}`, `s1` -> `s_{1}`, `kstar` -> `k^{*}`, `x[2]` -> `x_{2}`, `cost` -> `\mathrm{cost}`."""
    component = re.fullmatch(r"(.+)\[([\d, ]+)\]", name)
    if component:
        head, index = component.groups()
        base = latex_name(head)
        return f"({base})_{{{index}}}" if "_" in base else f"{base}_{{{index}}}"
    head, _, tail = name.partition("_")
    if head and tail:
        return f"{_base(head)}_{{{', '.join(_plain(part) for part in tail.split('_') if part)}}}"
    return _base(name)


def _base(word: str) -> str:
    digits = re.fullmatch(r"([A-Za-z]+)(\d+)", word)
    if digits:
        return f"{_plain(digits[1])}_{{{digits[2]}}}"
    for suffix, mark in _ACCENTS.items():
        stem = word.removesuffix(suffix)
        if stem != word and (len(stem) == 1 or stem in GREEK):
            return f"{_plain(stem)}{mark}" if mark.startswith("^") else f"{mark}{{{_plain(stem)}}}"
    return _plain(word)


def _plain(word: str) -> str:
    if word in GREEK:
        return rf"\{word}"
    if len(word) == 1:
        return word
    return rf"\mathrm{{{word.replace('_', chr(92) + '_')}}}"


def unicode_name(name: str) -> str:
    """`sigma` -> `σ`; anything else as it is."""
    head, underscore, tail = name.partition("_")
    return UNICODE_GREEK.get(head, head) + underscore + tail

"""Names as they are set in type: `sigma` is sigma's letter, `r_a` a subscript, `kstar` an upright word."""

from __future__ import annotations

import re

_LETTERS = """
alpha α beta β gamma γ delta δ epsilon ε zeta ζ eta η theta θ iota ι kappa κ lambda λ mu μ nu ν xi ξ rho ρ sigma σ tau τ
upsilon υ phi φ chi χ psi ψ omega ω Gamma Γ Delta Δ Theta Θ Lambda Λ Xi Ξ Pi Π Sigma Σ Upsilon Υ Phi Φ Psi Ψ Omega Ω pi π
"""
_SPELLED = _LETTERS.split()
UNICODE_GREEK = dict(zip(_SPELLED[::2], _SPELLED[1::2], strict=True))
GREEK = tuple(UNICODE_GREEK)
_ACCENTS = {"star": r"^{*}", "bar": r"\bar", "hat": r"\hat", "tilde": r"\tilde"}


def latex_name(name: str) -> str:
    r"""`sigma` -> `\sigma`, `r_a` -> `r_{a}`, `s1` -> `s_{1}`, `kstar` -> `k^{*}`, `x[2]` -> `x_{2}`,
    `cost` -> `\mathrm{cost}`."""
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

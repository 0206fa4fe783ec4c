"""Stage 1, text: the letters and signs of the blackboard and their ASCII spelling.

In: a piece of one line of a file. Out: its canonical spelling, so that `σ` and `sigma` are one name, `²` is `^2`.
"""

from __future__ import annotations

import unicodedata

SIGNS: dict[str, str] = {
    "≤": "<=", "⩽": "<=", "≥": ">=", "⩾": ">=", "≠": "!=", "×": "*", "·": "*", "⋅": "*", "∙": "*", "∗": "*", "÷": "/",
    "∕": "/", "⁄": "/", "−": "-", "–": "-", "‖": "|", "∣": "|", "→": "->", "⟶": "->", "∼": "~", "′": "'", "ᵀ": "'",
    "⊤": "'", "…": "..", "‥": "..",
}  # fmt: skip
"""Signs, each one token."""

WORDS: dict[str, str] = {
    "∞": "inf", "∫": "integral", "∑": "sum", "∈": "in", "∧": "and", "∨": "or", "¬": "not", "√": "sqrt",
}  # fmt: skip
"""Signs that stand for a word, each one token."""

SUPERSCRIPTS: dict[str, str] = {
    "⁰": "0", "¹": "1", "²": "2", "³": "3", "⁴": "4", "⁵": "5", "⁶": "6", "⁷": "7", "⁸": "8", "⁹": "9", "⁻": "-", "⁺": "+",
    "ⁿ": "n",
}  # fmt: skip
"""A run of these is `^` and the exponent."""

SUBSCRIPTS = "₀₁₂₃₄₅₆₇₈₉ₐₑₒₓₕₖₗₘₙₚₛₜᵢⱼᵣᵤᵥᵦᵧᵨᵩᵪ"
"""A run of these inside a name is `_` and the ordinary letters: x₁ is x_1."""

_GREEK: dict[str, str] = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ζ": "zeta", "η": "eta", "θ": "theta",
    "ι": "iota", "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu", "ξ": "xi", "ο": "omicron", "π": "pi", "ρ": "rho",
    "ς": "sigma", "σ": "sigma", "τ": "tau", "υ": "upsilon", "φ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega",
    "Γ": "Gamma", "Δ": "Delta", "Θ": "Theta", "Λ": "Lambda", "Ξ": "Xi", "Π": "Pi", "Σ": "Sigma", "Υ": "Upsilon",
    "Φ": "Phi", "Ψ": "Psi", "Ω": "Omega",
}  # fmt: skip


def canonical_name(name: str) -> str:
    """The ASCII spelling of a name where there is one: Greek letters by their English names, subscripts after `_`.

    A letter without such a spelling (é, Я) stays as it is, in Unicode normal form NFKC.
    """
    if name.isascii():
        return name
    parts: list[str] = []
    below = False
    for letter in name:
        if letter in SUBSCRIPTS:
            if not below and parts and not parts[-1].endswith("_"):
                parts.append("_")
            below = True
        else:
            below = False
        plain = unicodedata.normalize("NFKC", letter)
        parts.append("".join(_GREEK.get(part, part) for part in plain))
    return unicodedata.normalize("NFKC", "".join(parts))


def canonical_exponent(run: str) -> str:
    """`⁻¹²` is `-12`, without the `^`."""
    return "".join(SUPERSCRIPTS[sign] for sign in run)


def describe_character(character: str) -> str:
    """A name for a character that has no place in a file, readable also where it cannot be seen."""
    name = unicodedata.name(character, "control character" if unicodedata.category(character) == "Cc" else "unnamed character")
    shown = f"`{character}` " if character.isprintable() and not character.isspace() else ""
    return f"{shown}(U+{ord(character):04X}, {name.lower()})"

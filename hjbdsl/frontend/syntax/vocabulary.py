"""Stage 1, text: the words of the language, for messages: what may begin a statement, and how a token type is called.

In: nothing (tables). Out: tables, and the phrase for a set of token types.
"""

from __future__ import annotations

STATEMENTS = (
    "problem", "include", "param", "let", "state", "control", "adversary", "subject", "noise", "jump", "mode", "rate",
    "stopping", "exit", "discount", "explore", "maximize", "minimize", "evaluate", "data", "reverse", "boundary", "region",
    "check", "solve", "variant",
)  # fmt: skip
"""Keywords that begin a statement."""

LISTING = frozenset({"param", "state", "control", "adversary", "noise", "mode", "rate", "region", "variant"})
"""Statements whose items are separated by commas."""

INNER = frozenset({"to", "when", "with", "temperature", "prior", "mark", "rate", "tol", "on", "file", "in", "for", "and", "or"})
"""Keywords inside statements."""

SYNONYMS: dict[str, str] = {
    "parameter": "param", "parameters": "param", "params": "param", "const": "param", "constant": "param", "par": "param",
    "var": "state", "variable": "state", "variables": "state", "states": "state", "controls": "control", "input": "control",
    "action": "control", "decision": "control", "opponent": "adversary", "disturbance": "adversary", "brownian": "noise",
    "wiener": "noise", "define": "let", "def": "let", "set": "let", "where": "let", "constraint": "subject to",
    "constraints": "subject to", "such": "subject to", "st": "subject to", "max": "maximize", "min": "minimize",
    "sup": "maximize", "inf": "minimize", "maximise": "maximize", "minimise": "minimize", "objective": "maximize",
    "reward": "maximize", "cost": "minimize", "poisson": "jump", "import": "include", "stop": "stopping", "domain": "region",
    "assert": "check", "name": "problem", "model": "problem", "regime": "mode", "transition": "rate", "expect": "evaluate",
}  # fmt: skip
"""What people write for a keyword, beyond slips of the finger."""

BOUNDARY_KINDS = {"value": True, "slope": True, "reflect": False, "outflow": False, "constrain": False}
"""Kinds of a boundary condition, and whether an amount follows."""

RESERVED_TYPES = frozenset({"IN", "FOR", "AND", "OR", "NOT", "INTEGRAL"})

FUNCTIONS = frozenset(
    {"exp", "log", "sqrt", "sin", "cos", "tan", "tanh", "sinh", "cosh", "atan", "erf", "abs", "sign", "Phi", "max", "min"}
)
"""Names that a formula on paper puts before their argument without brackets."""

ENDS_OPERAND = frozenset({"NAME", "NUMBER", "RPAR", "RSQB", "PRIME", "BAR"})
ENDS_ITEM = ENDS_OPERAND | {"RBRACE", "STRING"}
BEGINS_OPERAND = frozenset({"NAME", "NUMBER", "LPAR", "LSQB", "INTEGRAL"})

FOREIGN_SIGNS: dict[str, str] = {
    "POWER": "a power is written `^`",
    "ASSIGN": "a definition is written `=`",
    "AMPERSANDS": "in a condition write `and`",
    "SEMICOLON": "write one statement a line, without `;`",
}

_NAMES: dict[str, str] = {
    "NAME": "a name", "NUMBER": "a number", "STRING": 'a text in double quotes `"`', "COMPARE": "a comparison", "ARROW": "`->`",
    "ADD": "`+` or `-`", "MUL": "`*` or `/`", "CARET": "`^`", "PRIME": "`'`", "BAR": "`|`", "TILDE": "`~`", "EQUAL": "`=`",
    "COLON": "`:`", "COMMA": "`,`", "DOTS": "`..`", "LPAR": "`(`", "RPAR": "`)`", "LSQB": "`[`", "RSQB": "`]`",
    "LBRACE": "`{`", "RBRACE": "`}`", "$END": "the end of the statement", "EXPECTATION": "`E`",
}  # fmt: skip

_OPERAND = frozenset({"NAME", "NUMBER", "LPAR", "LSQB", "BAR", "ADD", "INTEGRAL"})
_OPERATORS = frozenset({"ADD", "MUL", "CARET", "PRIME", "COMPARE", "AND", "OR", "LSQB"})


def expectation(accepts: frozenset[str]) -> str:
    """The phrase for what could stand here: `an expression`, "`,` or `]`"."""
    remaining = set(accepts)
    phrases: list[str] = []
    if remaining >= _OPERAND:
        remaining -= _OPERAND | {"NOT", "EXPECTATION", "AVERAGE", "RISK", "RUNNING_MIN", "RUNNING_MAX"}
        phrases.append("an expression")
    elif {"MUL", "ADD", "CARET"} <= remaining:
        remaining -= _OPERATORS
        phrases.append("an operator")
    phrases += sorted(_NAMES.get(kind, f"`{kind.lower()}`") for kind in remaining)
    return phrases[0] if len(phrases) == 1 else ", ".join(phrases[:-1]) + f" or {phrases[-1]}"

"""Random syntax trees over every statement and every form of expression, as the parser could have made them."""

from __future__ import annotations

from hypothesis import strategies as st

from hjbdsl.errors import Span
from hjbdsl.frontend import ast

NOWHERE = Span("random", 1, 1)

_WORDS = [
    "x", "y", "a", "T", "t", "inf", "sigma", "rho_1", "S", "N", "Q", "I", "O", "R", "beta", "lambda", "pi", "_u", "state",
    "rate", "mark", "mode", "file", "prior", "tol", "when", "average", "risk", "running_min", "circle", "é", "sum", "dW",
]  # fmt: skip

idents = st.sampled_from(_WORDS)
"""Names a user may choose: also keywords, where they are no keywords."""

names = st.builds(ast.Name, idents, st.just(NOWHERE))
numbers = st.builds(ast.Number, st.sampled_from(["0", "1", "2", "0.5", "12.25", "1e-3", "2.5e10", "3e+2"]), st.just(NOWHERE))
texts = st.text(st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters='"'), max_size=12)


def tuples(items, least=1, most=3):
    return st.lists(items, min_size=least, max_size=most).map(tuple)


def _larger(inner):
    at = st.just(NOWHERE)
    indexed = inner.filter(lambda node: not isinstance(node, ast.ListOf | ast.Comprehension))
    compares = tuples(inner, 2, 3).flatmap(
        lambda operands: st.builds(
            ast.Compare,
            st.just(operands),
            tuples(st.sampled_from(["<", "<=", ">", ">=", "==", "!="]), len(operands) - 1, len(operands) - 1),
            at,
        )
    )
    return st.one_of(
        st.builds(ast.Negate, inner, at),
        st.builds(ast.Binary, st.sampled_from("+-*/^"), inner, inner, at),
        st.builds(ast.Binary, st.sampled_from("+-*/^"), inner, inner, at),
        compares,
        st.builds(ast.Boolean, st.sampled_from(["and", "or"]), tuples(inner, 2), at),
        st.builds(ast.Not, inner, at),
        st.builds(ast.Call, idents, tuples(inner), at, at),
        st.builds(ast.Index, indexed, tuples(inner, 1, 2), at),
        st.builds(ast.Transpose, inner, at),
        st.builds(ast.Norm, inner, at),
        st.builds(ast.ListOf, tuples(inner), at),
        st.builds(ast.Comprehension, st.sampled_from(["list", "sum"]), inner, idents, inner, inner, at),
    )


expressions = st.recursive(st.one_of(names, numbers), _larger, max_leaves=12)
_brief = st.recursive(st.one_of(names, numbers), _larger, max_leaves=3)
_at = st.just(NOWHERE)

_shapes = st.one_of(st.just(()), tuples(_brief, 1, 2))
intervals = st.builds(
    ast.Interval,
    st.one_of(_brief, st.just(ast.Negate(ast.Name("inf", NOWHERE), NOWHERE))),
    st.one_of(_brief, st.just(ast.Name("inf", NOWHERE))),
    st.booleans(),
    st.booleans(),
    _shapes,
    _at,
)
domains = st.one_of(
    st.builds(ast.RealLine, _shapes, _at),
    intervals,
    st.builds(ast.FiniteSet, tuples(_brief), _at),
    st.builds(ast.IntegerRange, _brief, _brief, _at),
    st.builds(ast.Circle, _at),
)
labels = st.builds(ast.Labels, tuples(names), _at)

law_calls = st.builds(ast.LawCall, st.sampled_from(["normal", "exponential", "uniform", "mixture"]), tuples(_brief), _at)
laws = st.one_of(
    law_calls,
    st.builds(ast.LawTable, tuples(st.tuples(_brief, _brief)), _at),
    st.builds(ast.Mixture, tuples(st.tuples(_brief, law_calls)), _at),
    st.builds(ast.FileLaw, texts, _at),
)

_tables = st.builds(ast.ModeTable, tuples(st.tuples(names, expressions)), _at)
_declarations = st.builds(
    ast.ParamDecl,
    idents,
    st.none() | names,
    _shapes,
    expressions | _tables,
    st.none() | domains,
    st.none() | texts,
    _at,
)


def _variables(role):
    values = labels if role == "mode" else domains
    declared = st.builds(ast.VariableDecl, idents, st.none() | values, st.none() | texts, _at)
    return st.builds(ast.Variables, st.just(role), tuples(declared), _at)


_differentials = st.sampled_from(["dt", "dW", "dB_1", "dN"]).map(lambda text: ast.Name(text, NOWHERE))
_moved = st.sampled_from(["x", "W", "B", "psi", "sigma"]).map(lambda text: ast.Name(text, NOWHERE))
_ones = st.sampled_from([ast.Number("1", NOWHERE), ast.Negate(ast.Number("1", NOWHERE), NOWHERE)])
_terms = st.builds(ast.DynamicsTerm, expressions | _ones, _differentials, _at)

_integrals = st.builds(ast.Integral, _brief, _brief, expressions, st.just(ast.Name("dt", NOWHERE)), _at)
_bodies = st.recursive(
    st.one_of(_integrals, expressions),
    lambda inner: st.one_of(st.builds(ast.Negate, inner, _at), st.builds(ast.Binary, st.sampled_from("+-*/"), inner, inner, _at)),
    max_leaves=4,
)
_senses = st.sampled_from(["maximize", "minimize", "evaluate"])


def _objectives(form, parameter, end):
    return st.builds(ast.Objective, _senses, st.just(form), _bodies, st.booleans(), parameter, end, end, _at)


_kinds_with = st.sampled_from(["value", "slope"]).map(lambda text: ast.Name(text, NOWHERE))
_kinds_without = st.sampled_from(["reflect", "outflow", "constrain"]).map(lambda text: ast.Name(text, NOWHERE))
_assignments = tuples(st.tuples(names, expressions))

statements = st.one_of(
    st.builds(ast.ProblemHeader, idents, st.none() | texts, _at),
    st.builds(ast.Include, texts, _at),
    st.builds(ast.Param, tuples(_declarations), _at),
    st.builds(ast.Let, idents, st.none() | tuples(names), expressions, _at),
    *(_variables(role) for role in ("state", "control", "adversary", "noise", "mode")),
    st.builds(ast.SubjectTo, tuples(expressions), _at),
    st.builds(ast.Correlation, _moved, _moved, expressions, _differentials, _at),
    st.builds(ast.Jump, names, expressions, st.none(), st.none(), _at),
    st.builds(ast.Jump, names, expressions, names, laws, _at),
    st.builds(ast.Rates, tuples(st.builds(ast.Transition, names, names, expressions, _at)), _at),
    st.builds(ast.Dynamics, _moved, tuples(_terms), _at),
    st.builds(ast.Stopping, names, intervals, _at),
    st.builds(ast.Exit, names, st.none() | intervals, expressions, _at),
    st.builds(ast.Discount, expressions, _at),
    st.builds(ast.Explore, names, expressions, st.none() | law_calls, _at),
    _objectives("expectation", st.none(), st.none()),
    _objectives("average", st.none(), st.none()),
    _objectives("risk", expressions, st.none()),
    _objectives("running_min", st.none(), _brief),
    _objectives("running_max", st.none(), _brief),
    st.builds(ast.Data, names, _brief, laws, _at),
    st.builds(ast.Reverse, names, intervals, _at),
    st.builds(ast.Boundary, _brief, _brief, _kinds_with, expressions, _at),
    st.builds(ast.Boundary, _brief, _brief, _kinds_without, st.none(), _at),
    st.builds(ast.Region, tuples(st.builds(ast.RegionItem, names, _brief, _brief, _at)), _at),
    st.builds(ast.Check, names, st.none() | _assignments, expressions, st.none() | _brief, _at),
    st.builds(ast.Solve, names, st.just(()) | _assignments, _at),
    st.builds(ast.Variant, names, _assignments, _at),
)


def file_of(*nodes: ast.Statement) -> ast.File:
    """A file that never was text."""
    return ast.File(tuple(nodes), "random", ())

"""From text to tree: every statement form, every expression form, soft keywords, Unicode, places, and the stored parser."""

from __future__ import annotations

from pathlib import Path

import pytest

from hjbdsl.errors import HjbError, Span
from hjbdsl.frontend import ast
from hjbdsl.frontend.format import format_file
from hjbdsl.frontend.parse import RESERVED, parse_recovering, parse_text

HERE = Span("expected", 1, 1)
REPOSITORY = Path(__file__).resolve().parents[2]


def name(text):
    return ast.Name(text, HERE)


def number(text):
    return ast.Number(str(text), HERE)


def binary(op, left, right):
    return ast.Binary(op, left, right, HERE)


def call(function, *arguments):
    return ast.Call(function, arguments, HERE, HERE)


def negate(operand):
    return ast.Negate(operand, HERE)


INF = name("inf")
X, Y, A, B, N = name("x"), name("y"), name("a"), name("b"), name("n")


def one(text):
    (statement,) = parse_text(text).statements
    return statement


def value(text):
    return one(f"let k = {text}").body


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("-x^2", negate(binary("^", X, number(2)))),
        ("2^3^2", binary("^", number(2), binary("^", number(3), number(2)))),
        ("2^-x", binary("^", number(2), negate(X))),
        ("-x*y", binary("*", negate(X), Y)),
        ("a - b - x", binary("-", binary("-", A, B), X)),
        ("a/b*x", binary("*", binary("/", A, B), X)),
        ("x'*y", binary("*", ast.Transpose(X, HERE), Y)),
        ("x^2'", binary("^", X, ast.Transpose(number(2), HERE))),
        ("|x|", ast.Norm(X, HERE)),
        ("||x| - 1|", ast.Norm(binary("-", ast.Norm(X, HERE), number(1)), HERE)),
        ("|x|*|y|", binary("*", ast.Norm(X, HERE), ast.Norm(Y, HERE))),
        ("||x||", ast.Norm(ast.Norm(X, HERE), HERE)),
        ("x(a)[1]", ast.Index(call("x", A), (number(1),), HERE)),
        ("a[x, y]", ast.Index(A, (X, Y), HERE)),
        ("[a, b]", ast.ListOf((A, B), HERE)),
        ("[x for i in 1..n]", ast.Comprehension("list", X, "i", number(1), N, HERE)),
        ("sum(x for i in 1..n)", ast.Comprehension("sum", X, "i", number(1), N, HERE)),
        (
            "sum(x for i in 1..n for j in 0.5..2)",
            ast.Comprehension("sum", ast.Comprehension("sum", X, "j", number(0.5), number(2), HERE), "i", number(1), N, HERE),
        ),
        ("sum(x)", call("sum", X)),
        ("if(x <= 0, a, b)", call("if", ast.Compare((X, number(0)), ("<=",), HERE), A, B)),
        ("0 <= x < 1", ast.Compare((number(0), X, number(1)), ("<=", "<"), HERE)),
        (
            "x == 0 and not y != 0 or a > b",
            ast.Boolean(
                "or",
                (
                    ast.Boolean(
                        "and",
                        (
                            ast.Compare((X, number(0)), ("==",), HERE),
                            ast.Not(ast.Compare((Y, number(0)), ("!=",), HERE), HERE),
                        ),
                        HERE,
                    ),
                    ast.Compare((A, B), (">",), HERE),
                ),
                HERE,
            ),
        ),
        ("1.", number(1)),
        (".5", number("0.5")),
        ("1E-3", number("1e-3")),
        ("x²", binary("^", X, number(2))),
        ("x⁻¹²", binary("^", X, negate(number(12)))),
        ("xⁿ", binary("^", X, N)),
        ("σ·x − 2", binary("-", binary("*", name("sigma"), X), number(2))),
        ("√2", call("sqrt", number(2))),
        ("√x + √(y)", binary("+", call("sqrt", X), call("sqrt", Y))),
        ("‖x‖", ast.Norm(X, HERE)),
        ("x₁₂", name("x_12")),
        ("µ + μ", binary("+", name("mu"), name("mu"))),
        ("xᵀ*y", binary("*", ast.Transpose(X, HERE), Y)),
        ("∑(x for i ∈ 1..n)", ast.Comprehension("sum", X, "i", number(1), N, HERE)),
    ],
)
def test_expressions(text, tree):
    assert value(text) == tree


def interval(low, high, low_open=False, high_open=False, shape=()):
    return ast.Interval(low, high, low_open, high_open, shape, HERE)


def declared(text, role="state"):
    (variable,) = one(f"{role} {text}").declarations
    return variable


@pytest.mark.parametrize(
    ("text", "domain"),
    [
        ("x in R", ast.RealLine((), HERE)),
        ("x in R^n", ast.RealLine((N,), HERE)),
        ("x in R^(n,2)", ast.RealLine((N, number(2)), HERE)),
        ("x > 0", interval(number(0), INF, True, True)),
        ("x >= -1", interval(negate(number(1)), INF, False, True)),
        ("x < 5", interval(negate(INF), number(5), True, True)),
        ("x <= 5", interval(negate(INF), number(5), True, False)),
        ("0 < x", interval(number(0), INF, True, True)),
        ("1 >= x", interval(negate(INF), number(1), True, False)),
        ("0 <= x < 1", interval(number(0), number(1), False, True)),
        ("1 > x >= 0", interval(number(0), number(1), False, True)),
        ("x in [0, 1]", interval(number(0), number(1))),
        ("x in (0, 1]", interval(number(0), number(1), True)),
        ("x in [0, inf)", interval(number(0), INF, False, True)),
        ("x in [-1, 1]^n", interval(negate(number(1)), number(1), shape=(N,))),
        ("x in {0, 1}", ast.FiniteSet((number(0), number(1)), HERE)),
        ("x in {-4..4}", ast.IntegerRange(negate(number(4)), number(4), HERE)),
        ("x in circle", ast.Circle(HERE)),
        ("x ∈ ℝ", ast.RealLine((), HERE)),
        ("x", None),
    ],
)
def test_domains(text, domain):
    assert declared(text) == ast.VariableDecl("x", domain, None, HERE)
    assert declared(text + ' "a # b"') == ast.VariableDecl("x", domain, "a # b", HERE)


def test_mode_values_are_labels():
    labels = ast.Labels((name("good"), name("bad")), HERE)
    assert declared("z in {good, bad}", "mode") == ast.VariableDecl("z", labels, None, HERE)


def law(function, *arguments):
    return ast.LawCall(function, arguments, HERE)


def dt(integrand, low, high):
    return ast.Integral(low, high, integrand, name("dt"), HERE)


def objective(sense, body, stochastic=True, form="expectation", parameter=None, low=None, high=None):
    return ast.Objective(sense, form, body, stochastic, parameter, low, high, HERE)


def term(coefficient, differential):
    return ast.DynamicsTerm(coefficient, name(differential), HERE)


RUN = dt(X, number(0), name("T"))


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ('problem p "title"', ast.ProblemHeader("p", "title", HERE)),
        ("problem p", ast.ProblemHeader("p", None, HERE)),
        ('include "a.hjb"', ast.Include("a.hjb", HERE)),
        (
            'param a : R^(n,2) = x in (0, inf) "why", mu(z) = {good: 1, bad: -2}',
            ast.Param(
                (
                    ast.ParamDecl("a", None, (N, number(2)), X, interval(number(0), INF, True, True), "why", HERE),
                    ast.ParamDecl(
                        "mu",
                        name("z"),
                        (),
                        ast.ModeTable(((name("good"), number(1)), (name("bad"), negate(number(2)))), HERE),
                        None,
                        None,
                        HERE,
                    ),
                ),
                HERE,
            ),
        ),
        ("let u(x, y) = x", ast.Let("u", (X, Y), X, HERE)),
        ("let u = x", ast.Let("u", None, X, HERE)),
        ("subject to |x| <= 1", ast.SubjectTo((ast.Compare((ast.Norm(X, HERE), number(1)), ("<=",), HERE),), HERE)),
        ("dW dB = rho dt", ast.Correlation(name("W"), name("B"), name("rho"), name("dt"), HERE)),
        ("jump N rate a*x", ast.Jump(name("N"), binary("*", A, X), None, None, HERE)),
        ("jump N rate a mark J ~ normal(x, y)", ast.Jump(name("N"), A, name("J"), law("normal", X, Y), HERE)),
        (
            "jump N rate a mark J ~ {-1: x, 2: y}",
            ast.Jump(name("N"), A, name("J"), ast.LawTable(((negate(number(1)), X), (number(2), Y)), HERE), HERE),
        ),
        (
            "rate good -> bad = a, bad → good = b",
            ast.Rates(
                (
                    ast.Transition(name("good"), name("bad"), A, HERE),
                    ast.Transition(name("bad"), name("good"), B, HERE),
                ),
                HERE,
            ),
        ),
        (
            "dx = (a - b) dt + dW - y*x dN - dB",
            ast.Dynamics(
                X,
                (
                    term(binary("-", A, B), "dt"),
                    term(number(1), "dW"),
                    term(negate(binary("*", Y, X)), "dN"),
                    term(negate(number(1)), "dB"),
                ),
                HERE,
            ),
        ),
        ("dψ = -x dt", ast.Dynamics(name("psi"), (term(negate(X), "dt"),), HERE)),
        ("stopping tau in [0, inf]", ast.Stopping(name("tau"), interval(number(0), INF), HERE)),
        (
            "exit tau in [0, a] when x <= 0",
            ast.Exit(name("tau"), interval(number(0), A), ast.Compare((X, number(0)), ("<=",), HERE), HERE),
        ),
        ("discount a + b*x", ast.Discount(binary("+", A, binary("*", B, X)), HERE)),
        ("explore a with temperature b", ast.Explore(A, B, None, HERE)),
        ("explore a with temperature b prior normal(0, x)", ast.Explore(A, B, law("normal", number(0), X), HERE)),
        ("minimize tau", objective("minimize", name("tau"), stochastic=False)),
        ("minimize E tau", objective("minimize", name("tau"))),
        ("minimize integral(0, T) x dt", objective("minimize", RUN, stochastic=False)),
        ("evaluate E [ integral(0, T) x dt + y ]", objective("evaluate", binary("+", RUN, Y))),
        ("evaluate E integral(0, T) x dt + y", objective("evaluate", binary("+", RUN, Y))),
        ("evaluate E[y + integral(0, T) x dt]/2", objective("evaluate", binary("/", binary("+", Y, RUN), number(2)))),
        ("maximize E (x)", objective("maximize", X)),
        ("maximize 2*integral(0, T) x dt - integral(0, T) x dt",
         objective("maximize", binary("-", binary("*", number(2), RUN), RUN), stochastic=False)),
        (
            "minimize integral(0, T) x + y dt",
            objective("minimize", dt(binary("+", X, Y), number(0), name("T")), stochastic=False),
        ),
        ("maximize average x - y", objective("maximize", binary("-", X, Y), False, "average")),
        ("minimize average E x", objective("minimize", X, True, "average")),
        ("minimize risk(a) [ integral(0, T) x dt + y ]", objective("minimize", binary("+", RUN, Y), False, "risk", A)),
        (
            "maximize running_min(0, T) x - y",
            objective("maximize", binary("-", X, Y), False, "running_min", None, number(0), name("T")),
        ),
        (
            "minimize E running_max(0, T) |x|",
            objective("minimize", ast.Norm(X, HERE), True, "running_max", None, number(0), name("T")),
        ),
        ("data y(0) ~ normal(a, b)", ast.Data(Y, number(0), law("normal", A, B), HERE)),
        ('data y(0) ~ file "m.npy"', ast.Data(Y, number(0), ast.FileLaw("m.npy", HERE), HERE)),
        (
            "data y(0) ~ mixture(0.5: normal(a, b), 0.5: normal(x, y))",
            ast.Data(
                Y,
                number(0),
                ast.Mixture(((number(0.5), law("normal", A, B)), (number(0.5), law("normal", X, Y))), HERE),
                HERE,
            ),
        ),
        ("reverse y on [0, T]", ast.Reverse(Y, interval(number(0), name("T")), HERE)),
        ("boundary x = 0 : value a*b", ast.Boundary(X, number(0), name("value"), binary("*", A, B), HERE)),
        ("boundary x = 0 : reflect", ast.Boundary(X, number(0), name("reflect"), None, HERE)),
        (
            "region x in [-2, 2], y in [0, a]",
            ast.Region(
                (
                    ast.RegionItem(X, negate(number(2)), number(2), HERE),
                    ast.RegionItem(Y, number(0), A, HERE),
                ),
                HERE,
            ),
        ),
        ("check V = x", ast.Check(name("V"), None, X, None, HERE)),
        (
            "check V(t = 0, x = [1, 0]) = a tol 1e-3",
            ast.Check(
                name("V"),
                ((name("t"), number(0)), (X, ast.ListOf((number(1), number(0)), HERE))),
                A,
                number("1e-3"),
                HERE,
            ),
        ),
        ("check average = a", ast.Check(name("average"), None, A, None, HERE)),
        ("solve grid(nx = 401)", ast.Solve(name("grid"), ((name("nx"), number(401)),), HERE)),
        ("solve closed_form", ast.Solve(name("closed_form"), (), HERE)),
        ("variant patient: a = 1, b = 2", ast.Variant(name("patient"), ((A, number(1)), (B, number(2))), HERE)),
    ],
)  # fmt: skip
def test_statements(text, tree):
    assert one(text) == tree


@pytest.mark.parametrize(
    "word",
    ["problem", "param", "state", "rate", "mark", "mode", "data", "region", "prior", "tol", "when", "with", "to", "on",
     "file", "value", "average", "risk", "E", "R", "pi", "S", "N", "Q", "I", "O", "beta", "gamma", "zeta", "lambda", "if",
     "sum", "circle", "running_min", "temperature"],
)  # fmt: skip
def test_keywords_are_names_elsewhere(word):
    text = f"""
param {word} = 2, k = {word}*{word}
state y in [-{word}, {word}]
jump N rate {word} mark {word} ~ normal({word}, 1)
dy = {word}*y dt + {word} dW
maximize {word}*y
maximize E {word} + {word}^2
check {word} = {word} tol {word}
explore a with temperature {word} prior normal(0, {word})
exit tau when y > {word}
solve grid({word} = {word})
"""
    file = parse_text(text)
    assert len(file.statements) == 10
    assert isinstance(file.statements[4].body, ast.Binary)
    assert file.statements[4].stochastic is False
    assert file.statements[5].body.left == name(word)


@pytest.mark.parametrize(
    "text", ["risk(x(T))", "running_min(x, T)^2", "risk(a) + x", "average/x", "average", "E", "E'*x", "E >= x", "risk*x"]
)
def test_words_of_the_objective_are_names_before_an_operator(text):
    read = one(f"maximize {text}")
    assert read == objective("maximize", value(text), stochastic=False)
    assert parse_text(format_file(parse_text(f"maximize {text}"))).statements == (read,)


def test_reserved_words_cannot_be_declared():
    for word in RESERVED - {"t", "inf"}:  # those two are names of the language: names are resolved later
        with pytest.raises(HjbError, match="reserved"):
            parse_text(f"param {word} = 2")


def test_a_statement_goes_on_in_indented_lines_and_open_brackets():
    text = """param a = 1,   # one

  # a remark
  b = 2
param A : R^(2,2) = [
[1, 2],
[3, 4]
]
state x in R"""
    file = parse_text(text)
    assert [type(statement).__name__ for statement in file.statements] == ["Param", "Param", "Variables"]
    assert file.comments == ((1, 16, "# one"), (3, 3, "# a remark"))
    assert file.statements[0].declarations[1].span == Span("<text>", 4, 3, 1)


def test_line_ends_and_byte_order_mark():
    assert parse_text("\ufeffparam a = 1\r\nstate x in R\rnoise W\n") == parse_text("param a = 1\nstate x in R\nnoise W")


def test_places_are_those_of_the_text():
    file = parse_text("let k = 1 + σ² *\n   (x - 3)*f(y)\n")
    total = file.statements[0].body
    assert total.span == Span("<text>", 1, 9, 8)
    product = total.right
    assert product.left.left.span == Span("<text>", 1, 13, 2)
    assert product.left.left.left.span == Span("<text>", 1, 13, 1)
    assert product.left.right.span == Span("<text>", 2, 5, 5)
    assert product.right.span == Span("<text>", 2, 12, 4)
    assert product.right.name_span == Span("<text>", 2, 12, 1)


def test_good_statements_are_given_beside_the_mistakes():
    file, diagnostics = parse_recovering("state x in R\nparam a = (1\nparam b 2\nnoise W\n", "p.hjb")
    assert [type(statement).__name__ for statement in file.statements] == ["Variables", "Variables"]
    assert [(d.span.line, d.code) for d in diagnostics] == [(2, "HJB007"), (3, "HJB015")]

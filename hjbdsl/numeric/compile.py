"""From a resolved sympy expression to a numpy function: the one way expressions become numbers.

In: argument symbols and expressions of this package's own making (never user text).
Out: a vectorised function, or its high-precision twin.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mpmath
import numpy as np
import sympy as sp
from numpy.typing import NDArray
from sympy.core.function import AppliedUndef
from sympy.printing.pycode import PythonCodePrinter
from sympy.simplify.cse_main import tree_cse

from hjbdsl.numeric.wide import WidePolynomials

Array = NDArray[np.float64]

_LONG = 30
"""Sums and products of more terms are printed as a call: Python's compiler recurses once a `+`."""

_LARGEST_EXACT_INTEGER = 2**53


class UnsupportedExpression(ValueError):
    """The expression holds a function that has no numerical counterpart here; the message names it."""


def compile_expressions(arguments: Sequence[sp.Symbol], expressions: Sequence[sp.Basic]) -> Callable[..., tuple[Array, ...]]:
    """A function of len(arguments) real arrays that broadcast together; it returns one float64 array of the common shape
    an expression.

    Piecewise branches are all evaluated and then selected, so no branch may raise; where a value does not exist the result is
    NaN or infinite, silently. Raises `UnsupportedExpression` for functions without a counterpart, `ValueError` for symbols that
    are no argument.
    """
    names = {symbol: sp.Symbol(f"a{i}", real=True) for i, symbol in enumerate(arguments)}
    missing = set().union(*(e.free_symbols for e in expressions)) - set(arguments) if expressions else set()
    if missing:
        raise ValueError(f"no argument stands for {', '.join(sorted(str(s) for s in missing))}")
    wide = WidePolynomials(tuple(names.values()))
    narrow = [wide.pulled_out(e.xreplace(names)) for e in expressions]
    shared, reduced = tree_cse(narrow, sp.numbered_symbols("s", real=True), opt_subs={}, order="none")
    printer = _NumpyPrinter()
    heading = ", ".join(str(s) for s in names.values())
    lines = [f"    {', '.join(wide.letters)}, = wide(({heading},))"] if wide.letters else []
    lines += [f"    {symbol} = {printer.doprint(value)}" for symbol, value in shared]
    results = ", ".join(printer.doprint(value) for value in reduced)
    source = "\n".join([f"def function({heading}):", *lines, f"    return ({results}{',' if len(reduced) == 1 else ''})"])
    namespace: dict[str, Any] = {"numpy": np, "total": _total, "product": _product, "wide": wide.evaluate, **printer.functions}
    exec(compile(source, "<compiled expressions>", "exec"), namespace)  # printed from resolved expressions, never from text
    function = namespace["function"]

    def evaluate(*values: Any) -> tuple[Array, ...]:
        arrays = [np.asarray(value, dtype=np.float64) for value in values]
        shape = np.broadcast_shapes(*(a.shape for a in arrays))
        with np.errstate(all="ignore"):
            return tuple(_filled(value, shape) for value in function(*arrays))

    return evaluate


def compile_precise(
    arguments: Sequence[sp.Symbol], expressions: Sequence[sp.Basic], digits: int = 30
) -> Callable[..., tuple[Any, ...]]:
    """The same at one point in `digits` decimal digits: takes numbers (mpmath, Rational, float), returns mpmath numbers."""
    names = [sp.Dummy() for _ in arguments]
    table = dict(zip(arguments, names, strict=True))
    function = sp.lambdify(names, [e.xreplace(table) for e in expressions], modules="mpmath", cse=True)

    def evaluate(*values: Any) -> tuple[Any, ...]:
        with mpmath.workdps(digits):
            return tuple(function(*(_precise(v) for v in values)))

    return evaluate


def _precise(value: Any) -> Any:
    return mpmath.mpf(int(value.p)) / int(value.q) if isinstance(value, sp.Rational) else mpmath.mpmathify(value)


def _filled(value: Any, shape: tuple[int, ...]) -> Array:
    result = np.empty(shape)
    result[...] = value
    return result


def _total(terms: Sequence[Any]) -> Any:
    result = terms[0]
    for term in terms[1:]:
        result = result + term
    return result


def _product(factors: Sequence[Any]) -> Any:
    result = factors[0]
    for factor in factors[1:]:
        result = result * factor
    return result


_ELEMENTARY = {
    "Abs": "abs", "sign": "sign", "exp": "exp", "log": "log", "sin": "sin", "cos": "cos", "tan": "tan", "sinh": "sinh",
    "cosh": "cosh", "tanh": "tanh", "asin": "arcsin", "acos": "arccos", "atan": "arctan", "atan2": "arctan2", "asinh": "arcsinh",
    "acosh": "arccosh", "atanh": "arctanh", "floor": "floor", "ceiling": "ceil", "expm1": "expm1", "log1p": "log1p",
}  # fmt: skip

_SPECIAL = {
    "erf": "erf", "erfc": "erfc", "erfi": "erfi", "erfinv": "erfinv", "erfcinv": "erfcinv", "gamma": "gamma",
    "loggamma": "gammaln", "digamma": "digamma",
    "beta": "beta", "besselj": "jv", "bessely": "yv", "besseli": "iv", "besselk": "kv", "Ei": "expi",
    "expint": "expn", "zeta": "zeta", "dawsn": "dawsn",
}  # fmt: skip


class _NumpyPrinter(PythonCodePrinter):
    """Prints with functions named `f_<sympy name>`, gathered in `functions`."""

    def __init__(self) -> None:
        super().__init__({"fully_qualified_modules": False})
        self.functions: dict[str, Any] = {}

    def _call(self, name: str, function: Any, *arguments: sp.Basic) -> str:
        self.functions[f"f_{name}"] = function
        return f"f_{name}({', '.join(self._print(a) for a in arguments)})"

    def _print_Function(self, expr: sp.Function) -> str:
        name = type(expr).__name__
        if name in _ELEMENTARY:
            return self._call(name, getattr(np, _ELEMENTARY[name]), *expr.args)
        special = _scipy_special()
        if name in _SPECIAL:
            return self._call(name, getattr(special, _SPECIAL[name]), *expr.args)
        match name, len(expr.args):
            case "polygamma", 2:
                return self._call(name, lambda n, x: special.polygamma(np.asarray(n, dtype=int), x), *expr.args)
            case "lowergamma", 2:
                return self._call(name, lambda s, x: special.gammainc(s, x) * special.gamma(s), *expr.args)
            case "uppergamma", 2:
                return self._call(name, lambda s, x: special.gammaincc(s, x) * special.gamma(s), *expr.args)
            case "LambertW", 1 | 2:
                return self._call(name, lambda x, k=0: np.real(special.lambertw(x, int(k))), *expr.args)
            case "hyper", 3:
                return self._hypergeometric(expr)
            case "Heaviside", _:
                return self._call(name, np.heaviside, expr.args[0], sp.Rational(1, 2))
        raise UnsupportedExpression(f"`{name}` has no numerical counterpart")

    def _print(self, expr: sp.Basic, **options: Any) -> str:
        # the parent class knows some functions by the module they come from; here every function is looked up in one table
        apart = isinstance(expr, (sp.Piecewise, sp.Mod, AppliedUndef))
        return self._print_Function(expr) if isinstance(expr, sp.Function) and not apart else super()._print(expr, **options)

    def _hypergeometric(self, expr: sp.Basic) -> str:
        special = _scipy_special()
        upper, lower, argument = expr.args
        functions = {(1, 1): special.hyp1f1, (2, 1): special.hyp2f1, (0, 1): special.hyp0f1}
        shape = (len(upper), len(lower))
        if shape not in functions:
            raise UnsupportedExpression(
                f"a hypergeometric function of {shape[0]} and {shape[1]} parameters has no numerical counterpart"
            )
        return self._call(f"hyper{shape[0]}{shape[1]}", functions[shape], *upper, *lower, argument)

    def _print_Integer(self, expr: sp.Integer) -> str:
        value = int(expr)
        return str(value) if abs(value) <= _LARGEST_EXACT_INTEGER else repr(float(expr))

    def _print_Rational(self, expr: sp.Rational) -> str:
        value = float(expr)
        return repr(value) if value >= 0 else f"({value!r})"

    _print_Half = _print_Rational

    def _print_Float(self, expr: sp.Float) -> str:
        return self._print_Rational(expr)

    def _print_NumberSymbol(self, expr: sp.Basic) -> str:
        return repr(float(expr))

    _print_Pi = _print_Exp1 = _print_NumberSymbol

    def _print_Infinity(self, _expr: sp.Basic) -> str:
        return "numpy.inf"

    def _print_NegativeInfinity(self, _expr: sp.Basic) -> str:
        return "(-numpy.inf)"

    def _print_NaN(self, _expr: sp.Basic) -> str:
        return "numpy.nan"

    _print_ComplexInfinity = _print_NaN

    def _print_ImaginaryUnit(self, _expr: sp.Basic) -> str:
        raise UnsupportedExpression("the expression is not real")

    def _print_Add(self, expr: sp.Add, order: Any = None) -> str:
        if len(expr.args) <= _LONG:
            return super()._print_Add(expr, order)
        return f"total(({', '.join(self._print(a) for a in expr.args)}))"

    def _print_Mul(self, expr: sp.Mul) -> str:
        if len(expr.args) <= _LONG:
            return super()._print_Mul(expr)
        return f"product(({', '.join(self._print(a) for a in expr.args)}))"

    def _print_Pow(self, expr: sp.Pow, rational: bool = False) -> str:  # noqa: ARG002 (the signature of the parent)
        base, exponent = expr.args
        if exponent == sp.S.Half:
            return self._call("sqrt", np.sqrt, base)
        if exponent == -sp.S.Half:
            return f"(1/{self._call('sqrt', np.sqrt, base)})"
        if exponent.is_Integer and not base.is_number:
            return f"({self._print(base)})**({int(exponent)})" if abs(int(exponent)) < 10**6 else self._power(base, exponent)
        return self._power(base, exponent)

    def _power(self, base: sp.Expr, exponent: sp.Expr) -> str:
        # numbers too pass through numpy, so that 0**(-1) and (-1)**0.5 are inf and NaN instead of exceptions
        return self._call("power", _power, base, exponent)

    def _print_Piecewise(self, expr: sp.Piecewise) -> str:
        result = "numpy.nan"
        for value, condition in reversed(expr.args):
            text = self._print(value)
            result = text if condition == sp.true else f"numpy.where({self._print(condition)}, {text}, {result})"
        return f"({result})"

    def _print_ITE(self, expr: sp.ITE) -> str:
        condition, yes, no = (self._print(a) for a in expr.args)
        return f"numpy.where({condition}, {yes}, {no})"

    def _fold(self, operation: str, arguments: Sequence[sp.Basic]) -> str:
        result = self._print(arguments[0])
        for argument in arguments[1:]:
            result = f"numpy.{operation}({result}, {self._print(argument)})"
        return result

    def _print_Min(self, expr: sp.Min) -> str:
        return self._fold("minimum", expr.args)

    def _print_Max(self, expr: sp.Max) -> str:
        return self._fold("maximum", expr.args)

    def _print_And(self, expr: sp.And) -> str:
        return self._fold("logical_and", expr.args)

    def _print_Or(self, expr: sp.Or) -> str:
        return self._fold("logical_or", expr.args)

    def _print_Xor(self, expr: sp.Xor) -> str:
        return self._fold("logical_xor", expr.args)

    def _print_Not(self, expr: sp.Not) -> str:
        return f"numpy.logical_not({self._print(expr.args[0])})"

    def _print_Relational(self, expr: sp.Basic) -> str:
        return f"({self._print(expr.lhs)} {expr.rel_op} {self._print(expr.rhs)})"

    def _print_Mod(self, expr: sp.Mod) -> str:
        return f"numpy.mod({self._print(expr.args[0])}, {self._print(expr.args[1])})"

    def emptyPrinter(self, expr: sp.Basic) -> str:
        raise UnsupportedExpression(f"`{type(expr).__name__}` has no numerical counterpart")

    def _print_not_supported(self, expr: sp.Basic) -> str:
        return self.emptyPrinter(expr)

    _print_Derivative = _print_Integral = _print_Subs = _print_Sum = _print_Product = _print_Limit = _print_not_supported
    _print_Order = _print_AppliedUndef = _print_not_supported


def _scipy_special() -> Any:
    from scipy import special  # noqa: PLC0415 (only problems that need it pay for the import)

    return special


def _power(base: Any, exponent: Any) -> Any:
    return np.power(np.asarray(base, dtype=np.float64), np.asarray(exponent, dtype=np.float64))

"""Translation of a formula's tree to a SymPy expression. SymPy is passed symbols and numbers, never text."""

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import sympy

from dnnkit.errors import ConfigurationError
from dnnkit.formula.grammar import VARIABLES, Kind, Node

Expression = Any
"""A SymPy expression; SymPy has no type annotations."""

X: Expression = sympy.Symbol("x", real=True)
"""The variable of differentiation: an activation's input x, a loss's prediction y."""
T: Expression = sympy.Symbol("t", real=True)
"""The target of a loss."""
LARGEST_POWER = 100
"""Maximum product of nested exponents: beyond it, SymPy's exact numbers grow without bound."""


LARGEST_SIZE = 200
"""Maximum size of a formula, counting arguments as often as their function repeats them; SymPy's work grows faster."""
COPIES = {**dict.fromkeys(("tanh", "sinh", "cosh", "silu", "gelu", "max", "min"), 2), "clip": 4}


class Absolute(sympy.Function):  # type: ignore[misc]
    """|u| of a real number; SymPy's own Abs introduces real and imaginary parts."""

    is_real, is_nonnegative = True, True

    @classmethod
    def eval(cls, u: Expression) -> Expression:  # noqa: D102
        if u.is_nonnegative:
            return u
        return -u if u.is_nonpositive else None

    def fdiff(self, argindex: int = 1) -> Expression:  # noqa: D102
        return Sign(self.args[0])


class Sign(sympy.Function):  # type: ignore[misc]
    """-1, 0 or 1; its derivative is 0, also at 0."""

    is_real = True

    @classmethod
    def eval(cls, u: Expression) -> Expression:  # noqa: D102
        if u.is_number:
            return sympy.sign(u)
        return sympy.Integer(1) if u.is_positive else None

    def fdiff(self, argindex: int = 1) -> Expression:  # noqa: D102
        return sympy.Integer(0)


class Log1p(sympy.Function):  # type: ignore[misc]
    """log(1 + u), accurate near 0."""

    is_real = True

    def fdiff(self, argindex: int = 1) -> Expression:  # noqa: D102
        return 1 / (1 + self.args[0])


class Larger(sympy.Function):  # type: ignore[misc]
    """Larger(a, b): b where b > a, otherwise a. SymPy's own Max would reorder its arguments, and lose a NaN."""

    is_real = True

    @classmethod
    def eval(cls, a: Expression, b: Expression) -> Expression:  # noqa: D102
        return sympy.Max(a, b) if a.is_number and b.is_number else None

    def _eval_derivative(self, x: Expression) -> Expression:
        a, b = self.args
        return sympy.Piecewise((a.diff(x), a > b), (b.diff(x), True))


class Smaller(sympy.Function):  # type: ignore[misc]
    """Smaller(a, b): b where b < a, otherwise a."""

    is_real = True

    @classmethod
    def eval(cls, a: Expression, b: Expression) -> Expression:  # noqa: D102
        return sympy.Min(a, b) if a.is_number and b.is_number else None

    def _eval_derivative(self, x: Expression) -> Expression:
        a, b = self.args
        return sympy.Piecewise((a.diff(x), a < b), (b.diff(x), True))


def translate(tree: Node, parameters: Mapping[str, float | None], kind: Kind = "activation") -> Expression:
    """Return the expression in `X` and, for a loss, `T`; parameters without a value become symbols."""
    if _size(tree) > LARGEST_SIZE:
        raise ConfigurationError("the formula is too large when its functions are expanded: nest fewer of them")
    variables = dict(zip(VARIABLES[kind], (X, T), strict=False))
    expression, _ = _Translation(parameters, variables).of(tree)
    if _is_condition(expression):
        raise ConfigurationError("the formula is a condition, not a number: use where(condition, a, b)")
    expression = expression.replace(sympy.Abs, Absolute)
    if expression.has(sympy.zoo, sympy.nan, sympy.oo, -sympy.oo, sympy.I):
        raise ConfigurationError(f"the formula is not a finite real number: SymPy reads it as {expression}")
    for name, symbol in variables.items():
        if symbol not in expression.free_symbols:
            raise ConfigurationError(f"the formula does not depend on {name}: it is {expression}")
    return expression


def _size(node: Node) -> int:
    return 1 + COPIES.get(node.kind, 1) * sum(_size(argument) for argument in node.arguments)


def derivative(expression: Expression) -> Expression:
    """Return the derivative; at a corner, one of the two slopes."""
    found = expression.diff(X).replace(sympy.Abs, Absolute).replace(sympy.sign, Sign)
    found = found.replace(sympy.DiracDelta, lambda *_: sympy.Integer(0))
    if found.has(sympy.Derivative, sympy.Subs, sympy.zoo, sympy.nan, sympy.I):
        raise ConfigurationError(f"SymPy finds no computable derivative of {expression}: {found}")
    return _without_sign(found)


def _without_sign(e: Expression) -> Expression:
    """Simplify 1 / (1 + |x|) - x sign(x) / (1 + |x|)² to 1 / (1 + |x|)², which avoids cancellation."""
    if not e.has(Sign(X)) or e.has(sympy.Piecewise, sympy.exp):
        return e
    even = e.subs(Sign(X), Absolute(X) / X).replace(
        lambda part: part.is_Pow and part.base == X and part.exp.is_even, lambda part: Absolute(X) ** part.exp
    )
    simpler = sympy.factor(sympy.cancel(sympy.together(even)))
    return e if sympy.fraction(simpler)[1].subs(X, 0) == 0 else simpler


class _Translation:
    """Methods return the expression and its power, a bound for the growth of the length of exact numbers."""

    def __init__(self, parameters: Mapping[str, float | None], variables: Mapping[str, Expression]) -> None:
        self._names = {**variables, "pi": sympy.pi, "e": sympy.E, "True": sympy.true}
        for name, value in parameters.items():
            self._names[name] = sympy.Symbol(name, positive=True) if value is None else _exact(value)

    def of(self, node: Node) -> tuple[Expression, int]:
        if node.kind == "number":
            return _exact(float(node.text)), 1
        if node.kind == "name":
            return self._names[node.text], 1
        if node.kind == "piecewise":
            return self._piecewise(node)
        if node.kind == "pair":
            raise ConfigurationError("a pair (value, condition) is allowed only in piecewise(...)")
        found = [self.of(argument) for argument in node.arguments]
        values, power = [value for value, _ in found], max(power for _, power in found)
        self._check_kinds(node.kind, values)
        if node.kind == "**":
            power = _power(values[0], values[1], power)
        return _small(OPERATIONS[node.kind](*values), node.kind), power

    def _piecewise(self, node: Node) -> tuple[Expression, int]:
        pairs, power = [], 1
        for argument in node.arguments:
            if argument.kind != "pair":
                raise ConfigurationError("piecewise takes pairs: piecewise((value, condition), ..., (value, True))")
            (value, first), (condition, second) = (self.of(part) for part in argument.arguments)
            self._check_kinds("where", [condition, value])
            pairs.append((value, condition))
            power = max(power, first, second)
        if pairs[-1][1] is not sympy.true:
            raise ConfigurationError("the last pair of piecewise must be (value, True), for all remaining x")
        return sympy.Piecewise(*pairs), power

    def _check_kinds(self, kind: str, values: list[Expression]) -> None:
        """Check that conditions and numbers are where they belong."""
        conditions = {"and": 2, "or": 2, "not": 1, "where": 1}.get(kind, 0)
        for place, value in enumerate(values):
            if _is_condition(value) != (place < conditions):
                wanted = "a condition" if place < conditions else "a number"
                raise ConfigurationError(f"{kind!r} takes {wanted} where the formula has {value}")


def _is_condition(value: Expression) -> bool:
    return isinstance(value, sympy.logic.boolalg.Boolean) and not isinstance(value, sympy.Symbol)


def _exact(value: float) -> Expression:
    """Convert exactly, 0.1 to 1/10: SymPy can factor polynomials with rational coefficients, but not rounded ones."""
    return sympy.Rational(repr(float(value)))


def _small(value: Expression, kind: str) -> Expression:
    """Refuse constants beyond the range of floats: SymPy would spend hours on a tower of powers."""
    if value.is_number and not _is_condition(value):
        size = value.evalf(17)
        if not size.is_real or not abs(size) < 1e300:
            raise ConfigurationError(f"a part of the formula, {kind!r} of constants, is not a finite real number")
    return value


def _power(base: Expression, exponent: Expression, power: int) -> int:
    if exponent.is_number:
        power *= max(1, int(sympy.ceiling(abs(exponent))))
        if power > LARGEST_POWER:
            raise ConfigurationError(f"the formula has powers of {power}; the maximum is {LARGEST_POWER}")
        if base.is_zero and exponent.is_negative:
            raise ConfigurationError("the formula divides by 0")
    return power


def _divide(a: Expression, b: Expression) -> Expression:
    if b.is_zero:
        raise ConfigurationError("the formula divides by 0")
    return a / b


def _extreme(kind: type[Expression], a: Expression, b: Expression) -> Expression:
    """Put the argument that contains x first, so that NaN propagates."""
    return kind(b, a) if a.is_number else kind(a, b)


def _sigmoid(u: Expression) -> Expression:
    return 1 / (1 + sympy.exp(-u))


def _hyperbolic(sign: int) -> Callable[[Expression], Expression]:
    return lambda u: (sympy.exp(u) + sign * sympy.exp(-u)) / 2


OPERATIONS: dict[str, Callable[..., Expression]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": _divide,
    "**": lambda a, b: sympy.exp(b * sympy.log(a)) if a.is_positive and a.is_number and not b.is_number else a**b,
    "negative": lambda a: -a,
    "<": sympy.Lt,
    "<=": sympy.Le,
    ">": sympy.Gt,
    ">=": sympy.Ge,
    "==": sympy.Eq,
    "!=": sympy.Ne,
    "and": sympy.And,
    "or": sympy.Or,
    "not": sympy.Not,
    "where": lambda condition, a, b: sympy.Piecewise((a, condition), (b, True)),
    "max": lambda *values: reduce(lambda a, b: _extreme(Larger, a, b), values),
    "min": lambda *values: reduce(lambda a, b: _extreme(Smaller, a, b), values),
    "clip": lambda u, low, high: _extreme(Smaller, _extreme(Larger, u, low), high),
    "abs": lambda u: sympy.Abs(u) if u.is_number else Absolute(u),
    "sign": Sign,
    "step": lambda u: sympy.Piecewise((1, u > 0), (0, True)),
    "exp": sympy.exp,
    "expm1": lambda u: sympy.exp(u) - 1,
    "log": sympy.log,
    "log1p": lambda u: sympy.log(1 + u) if u.has(sympy.exp) or u.is_number else Log1p(u),
    "sqrt": sympy.sqrt,
    "tanh": lambda u: (sympy.exp(2 * u) - 1) / (sympy.exp(2 * u) + 1),
    "sinh": _hyperbolic(-1),
    "cosh": _hyperbolic(1),
    "sigmoid": _sigmoid,
    "softplus": lambda u: sympy.log(1 + sympy.exp(u)),
    "relu": lambda u: _extreme(Larger, u, sympy.Integer(0)),
    "silu": lambda u: u * _sigmoid(u),
    "gelu": lambda u: u * (1 + sympy.erf(u / sympy.sqrt(2))) / 2,
    **{name: getattr(sympy, name) for name in ("erf", "erfc", "sin", "cos", "tan", "asin", "acos", "atan", "asinh")},
}
"""Operations of the grammar; hyperbolic functions are exponentials, for which `stable` avoids overflow."""

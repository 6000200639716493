"""Conversion of an expression to statements of one operation each, with common subexpressions computed once."""

from collections import Counter
from dataclasses import field

import sympy

from dnnkit.deferred import dataclass
from dnnkit.errors import ConfigurationError
from dnnkit.formula.ratio import Choose, Exp, Expm1OfNegative, Log1pOfShare, Reciprocal
from dnnkit.formula.stable import HIGH, LOW, Erfc
from dnnkit.formula.steps import Statement, Steps, Value
from dnnkit.formula.symbols import Absolute, Expression, Larger, Log1p, Sign, Smaller, X

UNARY = {
    Absolute: "abs",
    Erfc: "erfc",
    Exp: "exp",
    Expm1OfNegative: "expm1_of_negative",
    Log1p: "log1p",
    Log1pOfShare: "log1p_of_share",
    **{getattr(sympy, name): name for name in ("log", "erf", "erfc", "sin", "cos", "tan", "exp")},
    **{getattr(sympy, name): name for name in ("asin", "acos", "atan", "asinh")},
}
RELATIONS = {">": "greater", ">=": "at_least", "<": "less", "<=": "at_most", "==": "equal", "!=": "different"}


@dataclass
class Statements(Steps):
    """The steps, with tables of what has been computed."""

    variable: str = "x"
    """Name of `X` in the statements."""
    _known: dict[tuple[str, tuple[Value, ...]], str] = field(default_factory=dict)
    _values: dict[Expression, Value] = field(default_factory=dict)

    @classmethod
    def of(cls, *expressions: Expression, variable: str = "x") -> "Statements":
        """Return statements for the expressions: the first becomes `result`, the rest `others`."""
        self = cls(variable=variable)
        rounded = [_rounded(_partitioned(expression)) for expression in expressions]
        replacements, reduced = sympy.cse(rounded, symbols=sympy.numbered_symbols("common", real=True))
        for symbol, part in replacements:
            self._values[symbol] = self.value(part)
        self.result, *others = [self.value(expression) for expression in reduced]
        self.others = tuple(others)
        return self

    def value(self, e: Expression) -> Value:
        """Return the name or number of the expression's value, adding statements if necessary."""
        if e not in self._values:
            self._values[e] = self._compute(e)
        return self._values[e]

    def _do(self, operation: str, *arguments: Value) -> Value:
        if (operation, arguments) not in self._known:
            name = f"v{len(self.lines)}"
            self._known[operation, arguments] = name
            self.lines.append(Statement(name, operation, arguments))
        return self._known[operation, arguments]

    def _compute(self, e: Expression) -> Value:
        if e == X:
            return self.variable
        if e in (LOW, HIGH):
            x = self.variable
            return self._do("select", self._do("greater" if e == LOW else "less", x, 0.0), 0.0, x)
        if e.is_Symbol:  # the target of a loss, or a parameter
            return str(e.name)
        if e.is_number:
            return _constant(e)
        if e.is_Add:
            return self._sum(e)
        if e.is_Mul:
            return self._product(e)
        if e.is_Pow:
            return self._power(e.base, e.exp)
        if type(e) in UNARY:
            return self._do(UNARY[type(e)], self.value(e.args[0]))
        if isinstance(e, Reciprocal):
            return self._do("divide", 1.0, self.value(e.args[0]))
        if isinstance(e, Choose):
            g, a, b = (self.value(part) for part in e.args)
            return self._do("select", self._do("at_least", g, 0.0), a, b)
        if isinstance(e, Larger | Smaller):
            a, b = (self.value(part) for part in e.args)
            return self._do("select", self._do("greater" if isinstance(e, Larger) else "less", b, a), b, a)
        if isinstance(e, Sign):
            u = self.value(e.args[0])
            negative = self._do("select", self._do("less", u, 0.0), -1.0, 0.0)
            return self._do("select", self._do("greater", u, 0.0), 1.0, negative)
        if isinstance(e, sympy.Piecewise):
            return self._piecewise(e)
        if e.is_Relational:
            return self._do(RELATIONS[e.rel_op], self.value(e.lhs), self.value(e.rhs))
        if isinstance(e, sympy.ITE):
            return self.value(e.to_nnf(simplify=False))
        if isinstance(e, sympy.And | sympy.Or | sympy.Not):
            return self._fold({sympy.And: "and", sympy.Or: "or", sympy.Not: "not"}[e.func], e.args)
        raise ConfigurationError(f"dnnkit cannot write {e} as code")

    def _fold(self, operation: str, parts: tuple[Expression, ...]) -> Value:
        first, *others = [self.value(part) for part in parts]
        if operation == "not":
            return self._do("not", first)
        for other in others:
            first = self._do(operation, first, other)
        return first

    def _sum(self, e: Expression) -> Value:
        terms = sorted(e.args, key=lambda term: (term.could_extract_minus_sign(), term.is_number))
        total = self.value(terms[0])
        for term in terms[1:]:
            negative = term.could_extract_minus_sign()
            value = self.value(-term if negative else term)
            total = self._do("subtract" if negative else "add", total, value)
        return total

    def _product(self, e: Expression) -> Value:
        above: list[Expression] = []
        below: list[Expression] = []
        coefficient, factors = e.as_coeff_mul()
        for factor in factors:
            is_divisor = factor.is_Pow and factor.exp.is_number and factor.exp.is_negative and not factor.is_number
            (below if is_divisor else above).append(1 / factor if is_divisor else factor)
        constants = [coefficient, *(factor for factor in above if factor.is_number)]
        rest = [factor for factor in above if not factor.is_number]
        constant = _constant(sympy.Mul(*constants))
        values = [self.value(factor) for factor in rest]
        if not values:
            values, constant = [constant], 1.0
        elif abs(constant) != 1:
            values.append(constant)
        result = values[0]
        for value in values[1:]:
            result = self._do("multiply", result, value)
        if below:
            divisor = self.value(below[0])
            for factor in below[1:]:
                divisor = self._do("multiply", divisor, self.value(factor))
            result = self._do("divide", result, divisor)
        return self._do("negative", result) if constant == -1 else result

    def _power(self, base: Expression, exponent: Expression) -> Value:
        if exponent.is_number and exponent.is_negative:
            return self._do("divide", 1.0, self.value(base**-exponent))
        if exponent == sympy.Rational(1, 2):
            return self._do("sqrt", self.value(base))
        if not exponent.is_Integer:
            return self._do("power", self.value(base), self.value(exponent))
        square, rest, result = self.value(base), int(exponent), None
        while rest:
            if rest % 2:
                result = square if result is None else self._do("multiply", result, square)
            rest //= 2
            square = self._do("multiply", square, square) if rest else square
        assert result is not None
        return result

    def _piecewise(self, e: Expression) -> Value:
        value, condition = e.args[-1]
        result = self.value(value) if condition == sympy.true else float("nan")
        for value, condition in reversed(e.args[:-1]):
            result = self._do("select", self.value(condition), self.value(value), result)
        return result


def _partitioned(expression: Expression) -> Expression:
    """Replace reciprocals that are used once by divisions."""
    uses = Counter(part for part in sympy.preorder_traversal(expression) if isinstance(part, Reciprocal))
    powers = {part.base for part in expression.atoms(sympy.Pow)}
    once = [part for part, count in uses.items() if count == 1 and part not in powers]
    return expression.xreplace({part: 1 / part.args[0] for part in once})


def _rounded(e: Expression) -> Expression:
    """Evaluate constant subexpressions to single numbers before they become statements."""
    if not e.args or e.is_Rational:
        return e.evalf(20) if e.is_number and not e.is_Rational else e
    if getattr(e, "is_number", False):
        return e.evalf(20)
    return e.func(*[_rounded(part) for part in e.args])


def _constant(e: Expression) -> float:
    value = float(e)
    if not abs(value) < 1e300:
        raise ConfigurationError(f"the formula needs the constant {e}, which is too large for floating-point numbers")
    return value

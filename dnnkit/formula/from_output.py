"""The derivative as a function of the output, where that is a short formula: the input need not be kept.

For y = (a E + b) / (c E + d), E = exp(k x + ...), it is k (y - y₀)(y∞ - y) / (y∞ - y₀) with the limits y₀ and y∞ of y:
y (1 - y) for the sigmoid. For y = a E + b it is k (y - b), for s log(1 + E) it is s k (1 - exp(-y / s)). If x selects
between such branches, y can select them as well, provided that it increases with x.
"""

import sympy

from dnnkit.formula.ratio import Expm1OfNegative, Ratio
from dnnkit.formula.stable import bounds
from dnnkit.formula.symbols import Expression, Larger, Smaller, X


def derivative_from_output(expression: Expression) -> Expression | None:
    """Return the derivative with `X` denoting the output, if there is such a formula; the caller checks it."""
    if isinstance(expression, Larger | Smaller):
        a, b = expression.args
        expression = sympy.Piecewise((a, a > b if isinstance(expression, Larger) else a < b), (b, True))
    scale, rest = expression.as_coeff_Mul()
    if isinstance(rest, sympy.Piecewise):
        return _branches([(scale * value, condition) for value, condition in rest.args])
    return _branch(expression)


def _branch(e: Expression) -> Expression | None:
    if not e.has(sympy.exp):
        slope = e.diff(X)
        return slope if slope.is_number else None
    scale, rest = e.as_independent(X, as_Add=False)
    if isinstance(rest, sympy.log):
        ratio = Ratio.of(rest.args[0])
        if ratio is None or (ratio.c, ratio.v, ratio.factors) != (1, 0, (((1, 1), 1),)):
            return None
        return -scale * ratio.g.diff(X) * Expm1OfNegative(-X / scale) if scale.is_positive else None
    ratio = Ratio.of(e)
    if ratio is None or not ratio.g.diff(X).is_number:
        return None
    k = ratio.g.diff(X)
    above, below = ratio.polynomials()
    if len(above) > 2 or len(below) > 2 or below[0] == 0:
        return None
    first = above[0] / below[0]
    if len(below) == 1:
        return k * (X - first)
    last = (above[1] if len(above) == 2 else 0) / below[1]
    return k / (last - first) * (X - first) * (last - X)


def _branches(pairs: list[tuple[Expression, Expression]]) -> Expression | None:
    if len(pairs) != 2 or not pairs[0][1].is_Relational:
        return None
    (first, condition), (second, _) = pairs
    low, high = bounds(condition)
    slopes = _branch(first), _branch(second)
    if None in slopes or (low, high) == (-sympy.oo, sympy.oo):
        return None
    corner = second.subs(X, low if low.is_finite else high)
    strict = isinstance(condition, sympy.StrictGreaterThan | sympy.StrictLessThan)
    grows = sympy.StrictGreaterThan if strict else sympy.GreaterThan
    reached = grows(X, corner) if low.is_finite else grows(corner, X)
    return sympy.Piecewise((slopes[0], reached), (slopes[1], True), evaluate=False)

"""Expressions that are rational in one exponential: c E^v Π f(E)^k, E = exp(g), f polynomials; see `stable`."""

from collections.abc import Callable
from functools import cache
from math import gcd

import sympy

from dnnkit.deferred import dataclass
from dnnkit.formula.symbols import Absolute, Expression, Log1p

MOST = 24
"""Maximum degree of expanded polynomials."""

E: Expression = sympy.Symbol("E", positive=True)


class Exp(sympy.Function):  # type: ignore[misc]
    """exp(u), opaque to SymPy's simplification."""


class Expm1OfNegative(sympy.Function):  # type: ignore[misc]
    """exp(u) - 1 for u ≤ 0."""


class Log1pOfShare(sympy.Function):  # type: ignore[misc]
    """log(1 + u) for 0 ≤ u ≤ 1."""


class Reciprocal(sympy.Function):  # type: ignore[misc]
    """1 / u: a single division for all quotients with that denominator, and their powers."""


class Choose(sympy.Function):  # type: ignore[misc]
    """Choose(g, a, b): a where g ≥ 0, otherwise b."""

    @classmethod
    def eval(cls, g: Expression, a: Expression, b: Expression) -> Expression:  # noqa: D102
        if a == b or g.is_nonnegative:
            return a
        return b if g.is_nonpositive else None


@dataclass(frozen=True)
class Ratio:
    """c E^v Π f(E)^k; the coefficients of each f start with the constant one."""

    g: Expression
    c: Expression
    v: int
    factors: tuple[tuple[tuple[Expression, ...], int], ...]

    @classmethod
    def of(cls, e: Expression) -> "Ratio | None":
        """Return the expression in this form, or None if that is impossible."""
        return _ratio(e)

    @property
    def degree(self) -> int:
        """Power of E that it grows like."""
        return self.v + sum((len(f) - 1) * k for f, k in self.factors)

    @property
    def is_positive(self) -> bool:
        """Whether all coefficients are positive, so that its logarithm is a sum of logarithms."""
        return bool(self.c > 0) and all(number >= 0 for f, _ in self.factors for number in f)

    def polynomials(self) -> tuple[list[Expression], list[Expression]]:
        """Return the coefficients of numerator and denominator, starting with the constant ones."""
        above, below = self.c * E ** max(self.v, 0), E ** max(-self.v, 0)
        for f, k in self.factors:
            above *= _polynomial(f, E) ** max(k, 0)
            below *= _polynomial(f, E) ** max(-k, 0)
        return sympy.Poly(above, E).all_coeffs()[::-1], sympy.Poly(below, E).all_coeffs()[::-1]

    def value(self, inner: Callable[[Expression], Expression]) -> Expression:
        """Return the expression in computable form; `inner` converts g."""
        g = inner(self.g)
        if not self.factors:
            return self.c * Exp(self.v * g)
        high, low = -self.degree, self.v  # remaining powers of z, where g ≥ 0 and where g < 0
        size = -self.g if self.g.is_nonpositive else self.g if self.g.is_nonnegative else Absolute(self.g)
        size = size.xreplace({self.g: g})
        bounded = (high >= 0 or self.g.is_nonpositive) and (low >= 0 or self.g.is_nonnegative)
        needs_power = not bounded or high > 0 or low > 0
        small = Expm1OfNegative(-size)
        has_root = any(f == ROOT for f, _ in self.factors)
        z = 1 + small if has_root and not (bounded and needs_power) else Exp(-size)

        def choose(a: Expression, b: Expression) -> Expression:
            return a if self.g.is_nonnegative else b if self.g.is_nonpositive else Choose(g, a, b)

        result, above, below = self.c, sympy.Integer(1), sympy.Integer(1)
        if bounded:
            above, below = z ** max(high, 0), z ** max(low, 0)
        else:
            result *= Exp(choose(self.degree * g, self.v * g))
        for f, k in self.factors:
            backwards, forwards = _polynomial(f[::-1], z), _polynomial(f, z)
            if f == ROOT:
                backwards, forwards = -small, small
            if k < 0:
                result *= Reciprocal(choose(backwards, forwards)) ** -k
            elif f == f[::-1]:
                result *= forwards**k
            else:
                above, below = above * backwards**k, below * forwards**k
        return result * choose(above, below)

    def logarithm(self, inner: Callable[[Expression], Expression]) -> Expression:
        """Return the logarithm in computable form, if positive: log c + (degree g if g ≥ 0 else v g) + Σ k log f."""
        g = inner(self.g)
        z = Exp(-Absolute(g))
        result = sympy.log(self.c) + Choose(g, self.degree * g, self.v * g)
        for f, k in self.factors:
            if f == (1, 1):
                result += k * Log1pOfShare(z)
                continue
            argument = Choose(g, _polynomial(f[::-1], z), _polynomial(f, z))
            if 1 in (f[0], f[-1]):
                ones = Choose(g, _polynomial((f[-1] - 1, *f[-2::-1]), z), _polynomial((f[0] - 1, *f[1:]), z))
                result += k * Log1p(ones)
            else:
                result += k * sympy.log(argument)
        return result


ROOT = (sympy.Integer(-1), sympy.Integer(1))
"""E - 1."""


def multiple(a: Expression, b: Expression) -> Expression | None:
    """Return a / b if it is rational, otherwise None."""
    quotient = sympy.cancel(a / b)
    return quotient if quotient.is_Rational else None


def _polynomial(coefficients: tuple[Expression, ...], z: Expression) -> Expression:
    result = sympy.Integer(0)
    for coefficient in reversed(coefficients):
        result = result * z + coefficient
    return result


@cache
def _ratio(e: Expression) -> Ratio | None:
    exponents: list[Expression] = []
    if not _is_rational(e, exponents) or not exponents:
        return None
    multiples = [found for exponent in exponents if (found := multiple(exponent, exponents[0])) is not None]
    if len(multiples) < len(exponents):
        return None
    unit = sympy.gcd_list(multiples)
    g = exponents[0] * unit
    sign = -1 if g.could_extract_minus_sign() else 1
    g *= sign
    powers = [int(sign * each / unit) for each in multiples]
    if max(map(abs, powers)) > MOST:
        return None
    rational = _with_exponentials(e, dict(zip(exponents, powers, strict=True)))
    top, bottom = sympy.fraction(sympy.cancel(sympy.together(rational)))
    monomials = [power for part in (top, bottom) for (power,) in sympy.Poly(part, E).monoms()]
    common = gcd(*monomials)
    if common > 1:  # only powers of E^common occur: use that as the unit
        g, top, bottom = g * common, *(part.subs(E, E ** sympy.Rational(1, common)) for part in (top, bottom))
    c, v, factors = sympy.Integer(1), 0, {}
    for polynomial, direction in ((top, 1), (bottom, -1)):
        if sympy.degree(polynomial, E) > MOST:
            return None
        number, found = sympy.factor_list(polynomial, E)
        c *= number**direction
        for factor, k in found:
            f = tuple(reversed(sympy.Poly(factor, E).all_coeffs()))
            if factor == E:
                v += direction * k
            else:
                factors[f] = direction * k
    if c == 0 or not (factors or v):
        return None
    return Ratio(g, c, v, tuple(factors.items()))


def _is_rational(e: Expression, exponents: list[Expression]) -> bool:
    """Whether it consists of numbers, exponentials and arithmetic operations; collects the exponents."""
    if e.is_number:
        return True
    if isinstance(e, sympy.exp):
        if e.args[0] not in exponents:
            exponents.append(e.args[0])
        return True
    if e.is_Add or e.is_Mul:
        return all(_is_rational(part, exponents) for part in e.args)
    return bool(e.is_Pow and e.exp.is_Integer and abs(e.exp) <= MOST and _is_rational(e.base, exponents))


def _with_exponentials(e: Expression, powers: dict[Expression, int]) -> Expression:
    """Replace exponentials by powers of E, and irrational numbers by fractions."""
    if e.is_number:
        return e if e.is_Rational else sympy.Rational(float(e))
    if isinstance(e, sympy.exp):
        return E ** powers[e.args[0]]
    return e.func(*[_with_exponentials(part, powers) for part in e.args])

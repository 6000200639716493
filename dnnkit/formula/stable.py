"""Formulas with exponentials, written so that they do not overflow and keep their digits.

Whatever is rational in E = exp(g) - sigmoid, tanh, tanh(log(1 + exp(x))) and all their derivatives - becomes
c E^v Π f(E)^k with polynomials f. With z = exp(-|g|), which is at most 1, f(E) is f(z) where g < 0; where g ≥ 0 it is
the polynomial with its coefficients reversed, over a power of z. Powers of z that are left over shrink where the
value is bounded. A factor E - 1 is an expm1, a logarithm of such an expression a sum of g and log1p.
"""

from typing import Any

import sympy

from dnnkit.formula.ratio import Ratio, multiple
from dnnkit.formula.symbols import Expression, X

LOW: Expression = sympy.Symbol("x_low", real=True, nonpositive=True)
HIGH: Expression = sympy.Symbol("x_high", real=True, nonnegative=True)
"""min(x, 0) and max(x, 0): x in a branch that only x of one sign takes, so that the other branch cannot overflow."""


def stable(e: Expression) -> Expression:
    """The same function, in a form to be computed."""
    if e.is_number or e.is_Symbol:
        return e
    if isinstance(e, sympy.Piecewise):
        return _branches(e)
    if e.is_Add:
        e = _complement(e)
    if e.has(sympy.exp):
        ratio = Ratio.of(e)
        if ratio is not None:
            return ratio.value(stable)
        if isinstance(e, sympy.log):
            ratio = Ratio.of(e.args[0])
            if ratio is not None and ratio.is_positive:
                return ratio.logarithm(stable)
        if e.is_Add:
            return _sum(e)
        if e.is_Mul:
            return _product(e)
    return e.func(*[stable(part) for part in e.args]) if e.args else e


def _complement(e: Expression) -> Expression:
    """1 + erf(u) as erfc(-u): the sum loses all digits where erf(u) is near -1."""
    constant, terms = e.as_coeff_add()
    for term in terms:
        factor, rest = term.as_coeff_Mul()
        if isinstance(rest, sympy.erf) and abs(factor) == abs(constant):
            sign = -1 if factor == constant else 1
            return sympy.Add(*[other for other in terms if other is not term], constant * sympy.erfc(sign * rest.args[0]))
    return e


def _product(e: Expression) -> Expression:
    """Factors in one exponential together, the others by themselves."""
    groups, others = _grouped(e.args)
    return sympy.Mul(*[_whole(group) for group in groups], *[stable(factor) for factor in others])


def _sum(e: Expression) -> Expression:
    """Terms that differ by what is rational in one exponential together: x and -x σ(x) are x σ(-x)."""
    gathered: list[list[Any]] = []  # [cofactor, rational part]
    plain: list[tuple[Expression, Expression]] = []  # coefficient, rest
    result: list[Expression] = []
    for term in sympy.Add.make_args(e):
        groups, others = _grouped(sympy.Mul.make_args(term))
        numbers = [factor for factor in others if factor.is_number]
        cofactor = sympy.Mul(*[factor for factor in others if not factor.is_number])
        if not groups:
            plain.append((sympy.Mul(*numbers), cofactor))
        elif len(groups) > 1:
            result.append(stable(term))
        else:
            part = sympy.Mul(groups[0], *numbers)
            for entry in gathered:
                if entry[0] == cofactor and Ratio.of(entry[1] + part) is not None:
                    entry[1] += part
                    break
            else:
                gathered.append([cofactor, part])
    for coefficient, rest in plain:
        same = [entry for entry in gathered if entry[0] == rest]
        if len(same) == 1:
            same[0][1] += coefficient
        else:
            result.append(coefficient * stable(rest))
    return sympy.Add(*result, *[stable(cofactor) * _whole(part) for cofactor, part in gathered])


def _grouped(factors: Any) -> tuple[list[Expression], list[Expression]]:
    """Products that are rational in one exponential each, and the factors that are in none."""
    groups: list[tuple[Expression, Expression]] = []  # the exponent, the product
    others = []
    for factor in factors:
        ratio = None if factor.is_number else Ratio.of(factor)
        if ratio is None:
            others.append(factor)
            continue
        for place, (exponent, product) in enumerate(groups):
            if multiple(ratio.g, exponent) is not None:
                groups[place] = (exponent, product * factor)
                break
        else:
            groups.append((ratio.g, factor))
    return [product for _, product in groups], others


def _whole(e: Expression) -> Expression:
    """Stable, without looking for parts again: a product or sum whose exponentials cancel may have none left."""
    ratio = Ratio.of(e)
    if ratio is not None:
        return ratio.value(stable)
    return e if e.is_number else e.func(*[stable(part) for part in e.args])


def _branches(e: Expression) -> Expression:
    """Each branch for the signs of x that lead to it."""
    low, high = -sympy.oo, sympy.oo
    branches = []
    for value, condition in e.args:
        first, last = low, high
        for part in sympy.And.make_args(condition):
            at_least, at_most = _bounds(part)
            first, last = max(first, at_least), min(last, at_most)
        if value.atoms(sympy.Function, sympy.Pow):
            value = value.xreplace({X: LOW} if last <= 0 else {X: HIGH} if first >= 0 else {})
        branches.append((stable(value), condition))
        if condition.is_Relational:
            at_least, at_most = _bounds(condition.negated)
            low, high = max(low, at_least), min(high, at_most)
    return sympy.Piecewise(*branches, evaluate=False)


def _bounds(condition: Expression) -> tuple[Expression, Expression]:
    """The least and the largest x for which it may hold."""
    if condition.is_Relational and condition.rhs == X:
        condition = condition.reversed
    if not condition.is_Relational or condition.lhs != X or not condition.rhs.is_number:
        return -sympy.oo, sympy.oo
    match condition.rel_op:
        case ">" | ">=":
            return condition.rhs, sympy.oo
        case "<" | "<=":
            return -sympy.oo, condition.rhs
    return -sympy.oo, sympy.oo

"""Rewriting of formulas with exponentials so that they do not overflow and keep their accuracy.

Whatever is rational in E = exp(g) - sigmoid, tanh, tanh(log(1 + exp(x))) and all their derivatives - becomes
c E^v Π f(E)^k with polynomials f. With z = exp(-|g|) ≤ 1, f(E) is f(z) where g < 0; where g ≥ 0, it is the polynomial
with reversed coefficients, divided by a power of z. The remaining powers of z are small where the value is bounded. A
factor E - 1 becomes an expm1, and the logarithm of such an expression a sum of g and log1p.
"""

from typing import Any

import sympy

from dnnkit.formula.ratio import Exp, Ratio, multiple
from dnnkit.formula.symbols import Expression, X

LOW: Expression = sympy.Symbol("x_low", real=True, nonpositive=True)
HIGH: Expression = sympy.Symbol("x_high", real=True, nonnegative=True)
"""min(x, 0) and max(x, 0): x in a branch for only one sign of x, so that the branch cannot overflow for the other."""


class Erfc(sympy.Function):  # type: ignore[misc]
    """1 - erf(u): SymPy's own erfc would turn erfc(-u) back into 2 - erfc(u)."""


def stable(e: Expression) -> Expression:
    """Return the same function in a numerically stable form."""
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
    """Rewrite 1 + erf(u) and 2 - erfc(u), which lose all digits where erf(u) is near -1, as erfc(-u)."""
    constant, terms = e.as_coeff_add()
    for term in terms:
        factor, rest = term.as_coeff_Mul()
        others = [other for other in terms if other is not term]
        if isinstance(rest, sympy.erf) and abs(factor) == abs(constant):
            argument = -rest.args[0] if factor == constant else rest.args[0]
            return sympy.Add(*others, constant * Erfc(argument))
        if isinstance(rest, sympy.erfc) and constant == -2 * factor:
            return sympy.Add(*others, -factor * Erfc(-rest.args[0]))
    return e


def _product(e: Expression) -> Expression:
    """Combine the factors that are rational in the same exponential; treat the others separately."""
    groups, others = _grouped(e.args)
    alone = [ratio for ratio in map(Ratio.of, groups) if ratio is not None and not ratio.factors]
    if len(alone) > 1:  # exp(a) exp(b), which may be inf · 0
        groups = [group for group in groups if (ratio := Ratio.of(group)) is None or ratio.factors]
        exponent = sympy.Add(*[ratio.v * ratio.g for ratio in alone])
        others += [ratio.c for ratio in alone] + [Exp(stable(exponent))]
        return sympy.Mul(*[_whole(group) for group in groups], *[o if o.func == Exp else stable(o) for o in others])
    return sympy.Mul(*[_whole(group) for group in groups], *[stable(factor) for factor in others])


def _sum(e: Expression) -> Expression:
    """Combine terms that are rational in the same exponential: x and -x σ(x) become x σ(-x)."""
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
    """Group factors into products that are each rational in one exponential; also return the remaining factors."""
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
    """Rewrite without regrouping: a product or sum whose exponentials cancel may have none left."""
    ratio = Ratio.of(e)
    if ratio is not None:
        return ratio.value(stable)
    return e if e.is_number else e.func(*[stable(part) for part in e.args])


def _branches(e: Expression) -> Expression:
    """Rewrite each branch for the signs of x that select it."""
    low, high = -sympy.oo, sympy.oo
    branches = []
    for value, condition in e.args:
        first, last = low, high
        for part in sympy.And.make_args(condition):
            at_least, at_most = bounds(part)
            first, last = max(first, at_least), min(last, at_most)
        if value.atoms(sympy.Function, sympy.Pow):
            value = value.xreplace({X: LOW} if last <= 0 else {X: HIGH} if first >= 0 else {})
        branches.append((stable(value), _condition(condition)))
        if condition.is_Relational:
            at_least, at_most = bounds(condition.negated)
            low, high = max(low, at_least), min(high, at_most)
    return sympy.Piecewise(*branches, evaluate=False)


def _condition(e: Expression) -> Expression:
    """Rewrite exp(u) < 1 as u < 0, which is unaffected by rounding of exp(u) to 1."""
    if e.is_Relational and isinstance(e.lhs, sympy.exp) and e.rhs.is_number and e.rhs.is_positive:
        return e.func(e.lhs.args[0], sympy.log(e.rhs))
    if e.is_Relational and e.has(sympy.exp):  # otherwise inf / inf would be NaN and select the wrong branch
        return e.func(stable(e.lhs), stable(e.rhs), evaluate=False)
    if isinstance(e, sympy.And | sympy.Or):
        return e.func(*map(_condition, e.args), evaluate=False)
    return e


def bounds(condition: Expression) -> tuple[Expression, Expression]:
    """Return bounds for the values of x that satisfy the condition."""
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

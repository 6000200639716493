"""Formulas that tests share, and their values, computed with many digits from the parsed tree."""

import mpmath
import numpy as np

from dnnkit.formula import grammar
from dnnkit.formula.grammar import Node

BUILT_IN = {
    "sigmoid": "1 / (1 + exp(-x))",
    "tanh": "(exp(x) - exp(-x)) / (exp(x) + exp(-x))",
    "relu": "max(x, 0)",
    "leaky_relu": "x if x > 0 else 0.01 * x",
    "elu": "where(x > 0, x, exp(x) - 1)",
    "selu": "1.0507009873554804934 * piecewise((x, x > 0), (1.6732632423543772848 * (exp(x) - 1), True))",
    "gelu": "x / 2 * (1 + erf(x / sqrt(2)))",
    "silu": "x / (1 + exp(-x))",
    "softplus": "log(1 + exp(x))",
    "softsign": "x / (1 + abs(x))",
    "mish": "x * tanh(log(1 + exp(x)))",
    "hard_sigmoid": "clip(x / 6 + 1/2, 0, 1)",
    "step": "where(x > 0, 1, 0)",
}
"""Formulas of built-in activations, as users write them."""

OTHERS = {
    "swish": "x / (1 + exp(-1.702 * x))",
    "other_silu": "x * exp(x) / (exp(x) + 1)",
    "one_minus": "x * (1 - sigmoid(x))",
    "other_mish": "x * (1 - 2 / ((1 + exp(x))^2 + 1))",
    "tanh_gelu": "x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3)))",
    "log_cosh": "log(cosh(x))",
    "penalized": "tanh(x) if x > 0 else tanh(x) / 4",
    "serf": "x * erf(log(1 + exp(x)))",
    "bent": "(sqrt(x^2 + 1) - 1) / 2 + x",
    "gauss": "exp(-x^2)",
    "isru": "x / sqrt(1 + 3 * x^2)",
    "gompertz": "exp(-exp(-x))",
    "snake": "x + sin(x)^2",
    "arctan": "atan(x)",
    "area": "asinh(x)",
    "logarithmic": "sign(x) * log1p(abs(x))",
    "celu": "max(x, 0) + min(0, 1.5 * (exp(x / 1.5) - 1))",
    "steps": "0 if x < -1 else (1 if 1 <= x and not x == 3 else x / 2 + 1/2)",
    "soft_pair": "softplus(x) - softplus(x - 1)",
    "temperature": "tanh(3 * softplus(x / 2) / 2)",
}

DIGITS = 400
"""Digits, so that 1 - tanh(104) keeps most of them."""

FUNCTIONS = {
    "+": lambda a, b: a + b,
    "-": lambda a, b: a - b,
    "*": lambda a, b: a * b,
    "/": lambda a, b: a / b,
    "**": lambda a, b: a**b,
    "negative": lambda a: -a,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "and": lambda a, b: a and b,
    "or": lambda a, b: a or b,
    "not": lambda a: not a,
    "max": max,
    "min": min,
    "clip": lambda u, low, high: min(max(u, low), high),
    "abs": abs,
    "step": lambda u: mpmath.mpf(u > 0),
    "sigmoid": lambda u: 1 / (1 + mpmath.exp(-u)),
    "softplus": lambda u: mpmath.log1p(mpmath.exp(u)),
    "relu": lambda u: max(u, mpmath.mpf(0)),
    "silu": lambda u: u / (1 + mpmath.exp(-u)),
    "gelu": lambda u: u * mpmath.ncdf(u),
}


def exact(text: str, x: float, parameters: dict[str, float] | None = None) -> mpmath.mpf:
    """Return the formula's value, straight from its tree."""
    with mpmath.workdps(DIGITS):
        tree = grammar.parse(text, parameters or {})
        return value(tree, {"x": mpmath.mpf(x), **{n: mpmath.mpf(repr(v)) for n, v in (parameters or {}).items()}})


def value(node: Node, names: dict[str, mpmath.mpf]) -> mpmath.mpf:
    if node.kind == "number":
        return mpmath.mpf(node.text)
    if node.kind == "name":
        return {"pi": mpmath.pi, "e": mpmath.e, "True": True, **names}[node.text]
    if node.kind in ("where", "piecewise"):
        pairs = [part.arguments for part in node.arguments]
        if node.kind == "where":
            condition, first, second = node.arguments
            pairs = [(first, condition), (second, Node("name", text="True"))]
        return next(value(result, names) for result, condition in pairs if value(condition, names))
    function = FUNCTIONS.get(node.kind) or getattr(mpmath, node.kind)
    return function(*[value(part, names) for part in node.arguments])


def slope(text: str, x: float, parameters: dict[str, float] | None = None) -> float:
    """Return the derivative by a difference so small, with so many digits, that nothing is lost."""
    with mpmath.workdps(DIGITS):
        step = mpmath.mpf(10) ** -60 * max(1, abs(x))
        return float((exact(text, x + step, parameters) - exact(text, x - step, parameters)) / (2 * step))


def places() -> np.ndarray:
    """From -1e4 to 1e4, near 0 and far out, and never at a kink of the formulas here."""
    sizes = np.array([1e-9, 1e-3, 0.07, 0.4, 1.3, 2.7, 5.1, 11.0, 17.3, 36.9, 88.8, 104.0, 711.0, 1e4])
    return np.concatenate([-sizes[::-1], sizes])

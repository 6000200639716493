"""C expressions: elementwise functions, helpers that are included where they are called, and constants."""

from typing import Any

import numpy as np

from dnnkit.errors import ConfigurationError

OF_NUMBERS: dict[str, str] = {
    **{name: f"{name}{{f}}({{0}})" for name in (
        "exp", "expm1", "log", "log1p", "sqrt", "floor", "ceil", "sin", "cos", "tan", "asin", "acos", "atan", "sinh",
        "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "erfc")},
    "abs": "fabs{f}({0})", "round": "rint{f}({0})", "pow": "pow{f}({0}, {1})",
    "negative": "(-{0})", "add": "({0} + {1})", "subtract": "({0} - {1})", "multiply": "({0} * {1})",
    "divide": "({0} / {1})", "maximum": "{name}_max({0}, {1})", "minimum": "{name}_min({0}, {1})",
    "sign": "{name}_sign({0})", "isnan": "{name}_isnan({0})",
    "equal": "({0} == {1})", "not_equal": "({0} != {1})", "less": "({0} < {1})", "less_equal": "({0} <= {1})",
    "greater": "({0} > {1})", "greater_equal": "({0} >= {1})",
    "logical_and": "({0} && {1})", "logical_or": "({0} || {1})", "logical_not": "(!{0})",
    "where": "({0} ? {1} : {2})", "astype": "(({kind}){0})",
}  # fmt: skip
"""Expressions of elementwise functions; {f} is the suffix of C's math functions for the type."""

HELPERS: dict[str, str] = {
    "max": """\
/* The greater number; NaN if one is. */
static inline {real} {name}_max({real} a, {real} b)
{{
    return a > b || a != a ? a : b;
}}
""",
    "min": """\
/* The smaller number; NaN if one is. */
static inline {real} {name}_min({real} a, {real} b)
{{
    return a < b || a != a ? a : b;
}}
""",
    "sign": """\
static inline {real} {name}_sign({real} x)
{{
    return x > 0 ? ({real})1 : x < 0 ? ({real})-1 : x;
}}
""",
    "isnan": """\
static inline int {name}_isnan({real} x)
{{
    return x != x;
}}
""",
    "dense": """\
/* y = x w + b: x of `inputs` numbers, w of as many rows, y and b of `outputs`; b may be 0, for none. */
static inline void {name}_dense(const {real} *x, const {real} *w, const {real} *b, {real} *y, int inputs, int outputs)
{{
    int i = 0, j;
    for (j = 0; j < outputs; j++)
        y[j] = b ? b[j] : 0;
    for (; i + 4 <= inputs; i += 4, w += 4 * outputs) {{ /* y is read and written once for four inputs */
        const {real} x0 = x[i], x1 = x[i + 1], x2 = x[i + 2], x3 = x[i + 3];
        const {real} *w1 = w + outputs, *w2 = w1 + outputs, *w3 = w2 + outputs;
        for (j = 0; j < outputs; j++)
            y[j] += (x0 * w[j] + x1 * w1[j]) + (x2 * w2[j] + x3 * w3[j]);
    }}
    for (; i < inputs; i++, w += outputs)
        for (j = 0; j < outputs; j++)
            y[j] += x[i] * w[j];
}}
""",
}
"""Helper functions by the suffix of their names, in the order in which they are written."""

WIDTH = 110


def as_float(array: Any) -> Any:
    """Convert to float32.

    Raises:
        ConfigurationError: a number is too large.
    """
    with np.errstate(over="ignore"):
        found = np.asarray(array, np.float32)
    too_large = np.isinf(found) & ~np.isinf(array)
    if np.any(too_large):
        raise ConfigurationError(
            f"{np.asarray(array)[too_large].flat[0]:g}, a number of the network, is too large for a float: use "
            "to_c(path, dtype='float64')"
        )
    return found


def number(value: Any, suffix: str) -> str:
    """Format a constant."""
    if isinstance(value, bool | np.bool_):
        return "1" if value else "0"
    if isinstance(value, int | np.integer):
        return str(value)
    if value != value:
        return f"(({'float' if suffix else 'double'})NAN)"
    if value in (np.inf, -np.inf):
        return f"({'-' if value < 0 else ''}({'float' if suffix else 'double'})INFINITY)"
    text = str(as_float(value)) if suffix else repr(float(value))
    text = text if any(sign in text for sign in ".e") else f"{text}.0"
    return f"({text}{suffix})" if text.startswith("-") else f"{text}{suffix}"


def numbers(array: Any, suffix: str) -> str:
    """Format the elements of an array, in lines."""
    lines, line = list[str](), "   "
    for value in array:
        text = number(value, suffix)
        text = text[1:-1] if text.startswith("(-") else text
        if len(line) + len(text) + 2 > WIDTH:
            lines.append(line)
            line = "   "
        line += f" {text},"
    return "\n".join([*lines, line.rstrip(",")])

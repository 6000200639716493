"""Code generation from statements: for array namespaces, for Numba, for CUDA, and as one NumPy expression."""

from collections import Counter
from collections.abc import Iterable, Mapping

from dnnkit.deferred import dataclass
from dnnkit.formula.steps import Statement, Steps, Value

INFIX = {
    "add": "{0} + {1}",
    "subtract": "{0} - {1}",
    "multiply": "{0} * {1}",
    "divide": "{0} / {1}",
    "negative": "-{0}",
    "greater": "{0} > {1}",
    "at_least": "{0} >= {1}",
    "less": "{0} < {1}",
    "at_most": "{0} <= {1}",
    "equal": "{0} == {1}",
    "different": "{0} != {1}",
}
NAMES = ("exp", "log", "sqrt", "sin", "cos", "tan", "log1p", "erf", "erfc", "asin", "acos", "atan", "asinh")
ELEMENTARY = {
    "erf": "error_functions",
    "erfc": "error_functions",
    "exp": "exponentials",
    "expm1_of_negative": "exponentials",
    "log1p_of_share": "logarithms",
}
"""Functions for which compiled code uses dnnkit's vectorized implementations, and their modules in `kernels/_numba`."""


@dataclass(frozen=True)
class Language:
    """How a language writes operations and constants."""

    operations: Mapping[str, str]
    constant: str
    selected: str
    """Format of a constant that is an operand of a selection."""

    def line(self, statement: Statement) -> str:
        """Return the right side of a statement."""
        constant = self.selected if statement.operation == "select" else self.constant
        return self.operations[statement.operation].format(*(written(each, constant) for each in statement.arguments))


def written(value: Value, constant: str) -> str:
    """Return a name unchanged, and a number in the language's format."""
    if isinstance(value, str):
        return value
    return constant.format('float("nan")' if value != value and "REAL" not in constant else repr(value))


ARRAYS = Language(
    {
        **INFIX,
        **{name: f"xp.{name}({{0}})" for name in NAMES if not name.startswith("erf")},
        "asin": "xp.asin({0})",
        "abs": "xp.abs({0})",
        "erf": "erf({0}, xp)",
        "erfc": "erfc({0}, xp)",
        "power": "xp.pow({0}, {1})",
        "expm1_of_negative": "xp.expm1({0})",
        "log1p_of_share": "xp.log1p({0})",
        "select": "xp.where({0}, {1}, {2})",
        "and": "xp.logical_and({0}, {1})",
        "or": "xp.logical_or({0}, {1})",
        "not": "xp.logical_not({0})",
    },
    constant="{}",
    selected="xp.full_like(x, {})",
)

NUMBA = Language(
    {
        **INFIX,
        **{name: f"math.{name}({{0}})" for name in NAMES},
        **{name: f"{name}({{0}})" for name in ELEMENTARY},
        "abs": "abs({0})",
        "power": "{0} ** {1}",
        "select": "{1} if {0} else {2}",
        "and": "{0} & {1}",
        "or": "{0} | {1}",
        "not": "not {0}",
    },
    constant="kind({})",
    selected="kind({})",
)

CUDA = Language(
    {
        **INFIX,
        **{name: f"{name}({{0}})" for name in NAMES},
        "abs": "fabs({0})",
        "power": "pow({0}, {1})",
        "expm1_of_negative": "expm1({0})",
        "log1p_of_share": "log1p({0})",
        "select": "{0} ? {1} : {2}",
        "and": "{0} && {1}",
        "or": "{0} || {1}",
        "not": "!{0}",
    },
    constant="REAL({})",
    selected="REAL({})",
)

NUMPY = Language(
    {
        **{name: f"({form})" for name, form in INFIX.items()},
        **{name: f"np.{name}({{0}})" for name in NAMES if not name.startswith("erf")},
        **{name: f"np.vectorize(math.{name}, otypes=[x.dtype])({{0}})" for name in ("erf", "erfc")},
        **{name: f"np.arc{name.removeprefix('a')}({{0}})" for name in ("asin", "acos", "atan", "asinh")},
        "abs": "np.abs({0})",
        "power": "np.power({0}, {1})",
        "expm1_of_negative": "np.expm1({0})",
        "log1p_of_share": "np.log1p({0})",
        "select": "np.where({0}, {1}, {2})",
        "and": "({0} & {1})",
        "or": "({0} | {1})",
        "not": "(~{0})",
    },
    constant="{}",
    selected="x.dtype.type({})",
)

TRUTHS = {"and", "or", "not", "greater", "at_least", "less", "at_most", "equal", "different"}


def arrays(functions: Mapping[str, Steps]) -> str:
    """Return the source of a module like a kernel's `reference.py`."""
    text = "import numpy as np\n\nfrom dnnkit.kernels._reference.special import erf, erfc\n"
    for name, statements in functions.items():
        lines = [f"{line.name} = {ARRAYS.line(line)}" for line in statements.lines]
        lines.append(f"return {written(statements.result, ARRAYS.selected)}")
        text += f"\n\ndef {name}(x, xp=np):\n" + "".join(f"    {line}\n" for line in lines)
    return text


def imports_of(names: Iterable[str]) -> str:
    """Return the lines that import these functions of `ELEMENTARY`, `jit` and `target`."""
    modules: dict[str, list[str]] = {}
    for name in sorted(names):
        modules.setdefault({**ELEMENTARY, "jit": "jit", "target": "rows"}[name], []).append(name)
    return "".join(
        f"from dnnkit.kernels._numba.{module} import {', '.join(modules[module])}\n" for module in sorted(modules)
    )


def numba(functions: Mapping[str, Steps]) -> str:
    """Return the source of scalar functions, as in a kernel's `cpu.py`."""
    text = "import math\n\n" + imports_of([*ELEMENTARY, "jit"])
    for name, statements in functions.items():
        lines = ["kind = type(x)", *(f"{line.name} = {NUMBA.line(line)}" for line in statements.lines)]
        lines.append(f"return {written(statements.result, NUMBA.constant)}")
        text += f"\n\n@jit\ndef {name}(x):\n" + "".join(f"    {line}\n" for line in lines)
    return text


def cuda(functions: Mapping[str, Steps], key: str) -> str:
    """Return the source of a kernel's `gpu.cu`."""
    text = f"namespace activation::{key} {{\n"
    for name, statements in functions.items():
        lines = [
            f"{'bool' if line.operation in TRUTHS else 'REAL'} {line.name} = {CUDA.line(line)};"
            for line in statements.lines
        ]
        lines.append(f"return {written(statements.result, CUDA.constant)};")
        body = "".join(f"    {line}\n" for line in lines)
        text += f"\n__device__ __forceinline__ REAL {name}(REAL x) {{\n{body}}}\n"
    return text + f"\n}}  // namespace activation::{key}\n"


def numpy(statements: Steps) -> str:
    """Return a single expression in x, NumPy and math; values used twice are named by assignment expressions."""
    uses = Counter(each for line in statements.lines for each in line.arguments if isinstance(each, str))
    texts: dict[str, str] = {}
    named = []
    for line in statements.lines:
        arguments = tuple(texts.get(each, each) if isinstance(each, str) else each for each in line.arguments)
        texts[line.name] = NUMPY.line(Statement(line.name, line.operation, arguments))
        if uses[line.name] > 1:
            named.append(f"{line.name} := {texts[line.name]}")
            texts[line.name] = line.name
    result = statements.result
    text = texts.get(result, result) if isinstance(result, str) else f"np.full_like(x, {result})"
    return f"({', '.join(named)}, {text})[-1]" if named else text

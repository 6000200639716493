"""Code generation for losses: the files of a loss kernel's folder, for array namespaces, Numba and CUDA.

Each version treats a batch, or one of its rows, like the handwritten `kernels/losses/mean_squared_error`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cached_property
from typing import Literal

from dnnkit.deferred import dataclass
from dnnkit.formula.printing import ARRAYS, CUDA, ELEMENTARY, NUMBA, TRUTHS, Language, imports_of
from dnnkit.formula.steps import Steps, Value

ARRAYS_OF_LOSS = replace(ARRAYS, selected="xp.full_like(y, {})")
FLIPPED = {"greater": "less", "less": "greater", "at_least": "at_most", "at_most": "at_least"}
NUMBA_HEAD = """\
@jit
def row(i, predictions, targets, factor, out{parameters}):
    \"\"\"Return the loss of row i; write `factor` times its gradient to row i of out.\"\"\"
"""
CUDA_HEAD = """\
// Returns the loss of the row, the same in all its threads; writes `factor` times its gradient to out.
template <typename Walked, typename Scores, typename Targets>
__device__ __forceinline__ REAL row_loss(
    const Walked& row, Scores& predictions, Targets& targets, REAL factor, REAL* out{parameters}
) {{
"""


@dataclass(frozen=True)
class LossText:
    """A loss to generate code for.

    Attributes:
        name: name of the folder, or the key of a formula.
        title: a short description.
        steps: the loss of one output, and its derivative with respect to the prediction.
        parameters: names in the steps that remain parameters, with their defaults.
        over_outputs: how the losses of outputs are combined to that of a row.
        made: how the files were made, for their first lines.
    """

    name: str
    title: str
    steps: Steps
    parameters: Mapping[str, float]
    over_outputs: Literal["mean", "sum"]
    made: str = "generated from the formula in the package's docstring"

    def _lines(self, language: Language) -> list[tuple[str, str, str]]:
        """Return (name, operation, right side) of each statement; parameters are written like constants."""
        lines = []
        for line in self.steps.lines:
            operation, arguments = line.operation, line.arguments
            if operation in FLIPPED and not isinstance(arguments[0], str):  # y < 0, not 0 > y
                operation, arguments = FLIPPED[operation], arguments[::-1]
            constant = language.selected if operation == "select" else language.constant
            written = (self._written(value, constant) for value in arguments)
            lines.append((line.name, operation, language.operations[operation].format(*written)))
        return lines

    def _written(self, value: Value, constant: str) -> str:
        if isinstance(value, str):
            if "full_like" in constant and value in self._without_shape:
                return f"{value} + xp.zeros_like(y)"
            return constant.format(value) if value in self.parameters else value
        return constant.format('float("nan")' if value != value and "REAL" not in constant else repr(value))

    @cached_property
    def _without_shape(self) -> set[str]:
        """Parameters and values computed only from them: in array code, these are scalars."""
        found = set(self.parameters)
        for line in self.steps.lines:
            names = {value for value in line.arguments if isinstance(value, str)}
            found |= {line.name} if names <= found else set()
        return found

    def _results(self, language: Language) -> tuple[str, str]:
        loss, slope = (self._written(value, language.selected) for value in (self.steps.result, *self.steps.others))
        return loss, slope

    def arrays(self) -> str:
        """Return the contents of `reference.py`."""
        is_mean = self.over_outputs == "mean"
        lines, (loss, slope) = self._lines(ARRAYS_OF_LOSS), self._results(ARRAYS_OF_LOSS)
        arguments = ["predictions: Array", "targets: Array", "weights: Array | None", "scale: float"]
        arguments += ["xp: Namespace = np"]
        element = ["y: Array", "t: Array", "xp: Namespace"]
        if self.parameters:
            arguments += ["*", *(f"{name}: Any = {value!r}" for name, value in self.parameters.items())]
            element += [f"{name}: Any" for name in self.parameters]
            signature = "".join(f"    {each},\n" for each in arguments)
        else:
            signature = f"    {', '.join(arguments)}\n"
        special = [name for name in ("erf", "erfc") if any(operation == name for _, operation, _ in lines)]
        imports = ["from dnnkit.kernels._reference.rows import weigh"]
        imports += [f"from dnnkit.kernels._reference.special import {', '.join(special)}"] if special else []
        imports += ["from dnnkit.kernels.array import Array, Namespace"]
        return (
            f'"""{self.title}, in array code, {self.made}."""\n\n'
            + ("from typing import Any\n\n" if self.parameters else "")
            + "import numpy as np\n\n"
            + "\n".join(imports)
            + f"\n\n\ndef loss_and_gradient(\n{signature}) -> tuple[Array, Array]:\n"
            + '    """Return the weighted sum of the rows\' losses, and `scale` times its gradient with respect to the '
            + 'predictions."""\n'
            + f"    losses, slopes = _element({', '.join(['predictions', 'targets', 'xp', *self.parameters])})\n"
            + ("    outputs = predictions.shape[1]\n" if is_mean else "")
            + f"    rows = xp.sum(losses, axis=1){' / outputs' if is_mean else ''}\n"
            + f"    return weigh(rows, slopes * {'(scale / outputs)' if is_mean else 'scale'}, weights, xp)\n"
            + f"\n\ndef _element({', '.join(element)}) -> tuple[Array, Array]:\n"
            + '    """Return the loss of each output, and its derivative with respect to the prediction."""\n'
            + '    with np.errstate(all="ignore"):  # in branches that are not selected\n'
            + _indented([f"{name} = {right}" for name, _, right in lines], 8)
            + f"    return {loss}, {slope}\n"
        )

    def numba(self) -> str:
        """Return the contents of `cpu.py`."""
        lines, (loss, slope) = self._lines(NUMBA), self._results(NUMBA)
        used = {operation for _, operation, _ in lines}
        text = f'"""{self.title}, row by row, {self.made}."""\n\n'
        text += "import math\n\n" if any("math." in right for _, _, right in lines) else ""
        text += imports_of([*(used & ELEMENTARY.keys()), "jit", "target"]) + "\n\n"
        text += NUMBA_HEAD.format(parameters="".join(f", {name}={value!r}" for name, value in self.parameters.items()))
        is_mean = self.over_outputs == "mean"
        text += "    kind, outputs = out.dtype.type, predictions.shape[1]\n"
        text += f"    step, total = {'factor / kind(outputs)' if is_mean else 'factor'}, kind(0)\n"
        text += "    for k in range(outputs):\n"
        body = ["y, t = predictions[i, k], target(targets, i, k, kind(0))"]
        body += [f"{name} = {right}" for name, _, right in lines]
        body += [f"total += {loss}", f"out[i, k] = step * {_factor(slope)}"]
        return text + _indented(body, 8) + f"    return total{' / kind(outputs)' if is_mean else ''}\n"

    def cuda(self) -> str:
        """Return the contents of `gpu.cu`."""
        loss, slope = self._results(CUDA)
        parameters = "".join(f",\n    REAL {name} = REAL({value!r})" for name, value in self.parameters.items())
        is_mean = self.over_outputs == "mean"
        text = f"// {self.title}, row by row, {self.made}.\n\nnamespace loss::{self.name} {{\n\n"
        text += CUDA_HEAD.format(parameters=parameters)
        text += "    REAL outputs = REAL(row.columns), step = factor / outputs, loss = REAL(0);\n" if is_mean else ""
        text += "" if is_mean else "    REAL step = factor, loss = REAL(0);\n"
        text += "    row.map(predictions, targets, out, [&](int, REAL y, REAL t) {\n"
        body = [f"{_type(operation)} {name} = {right};" for name, operation, right in self._lines(CUDA)]
        body += [f"loss += {loss};", f"return step * {_factor(slope)};"]
        text += _indented(body, 8) + f"    }});\n    return row_sum(row, loss){' / outputs' if is_mean else ''};\n}}\n"
        return text + f"\n}}  // namespace loss::{self.name}\n"


def _factor(text: str) -> str:
    return f"({text})" if " " in text else text


def _type(operation: str) -> str:
    return "bool" if operation in TRUTHS else "REAL"


def _indented(lines: Iterable[str], spaces: int) -> str:
    return "".join(f"{' ' * spaces}{line}\n" for line in lines)

"""Loss variants: a loss kernel with other parameters, smoothed targets, or weights of the outputs.

The versions of a variant call those of the kernel, so each formula is written once, and compiled code has the variant's
numbers as constants. With output weights or per-output parameters, the kernel sees each output as a row of one output.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from dnnkit.kernels import registry
from dnnkit.kernels._reference.rows import one_hot
from dnnkit.kernels.array import Array, Namespace
from dnnkit.kernels.registry import Loss, RuntimeLoss, register_loss

Numbers: TypeAlias = float | tuple[float, ...]
"""Value of a parameter: one for all outputs, or one per output."""


def variant(
    name: str,
    parameters: Mapping[str, Numbers] | None = None,
    label_smoothing: float = 0.0,
    output_weights: Sequence[float] | None = None,
) -> str:
    """Register a variant of a loss and return its kernel name; the loss's own name if nothing differs.

    Arguments:
        name: name of a loss kernel, or of a formula.
        parameters: those that differ from the kernel's defaults.
        label_smoothing: targets become (1 - s) t + s / C for C classes; C = 2 for independent binary outputs.
        output_weights: weight of each output's loss; a mean over outputs is divided by the sum of weights.
    """
    base = registry.loss(name)
    numbers = {key: _plain(value) for key, value in (parameters or {}).items()}
    changed = {key: value for key, value in numbers.items() if value != base.parameters[key]}
    shares = None if output_weights is None else _shares(base, output_weights)
    if not changed and not label_smoothing and shares is None:
        return name
    columns = len(shares) if shares is not None else None
    for value in changed.values():
        columns = len(value) if isinstance(value, tuple) else columns
    if columns is not None and shares is None:
        shares = _shares(base, (1.0,) * columns)
    content = json.dumps([sorted(changed.items()), label_smoothing, shares])
    key = f"{name}_{hashlib.sha256(content.encode()).hexdigest()[:12]}"
    if key not in registry.RUNTIME_LOSSES:
        reference = _reference(base, changed, label_smoothing, shares)
        loss = replace(base, name=key, loss_and_gradient=reference, parameters={}, columns=columns, at_once=False)
        has_cpu, has_gpu = registry.has_cpu_version(name), registry.has_gpu_version(name)
        given = [changed.get(parameter, default) for parameter, default in base.parameters.items()]
        cpu = _numba(base, given, label_smoothing, shares) if has_cpu else ""
        gpu = _cuda(base, key, given, label_smoothing, shares) if has_gpu else ""
        register_loss(RuntimeLoss(loss, cpu, gpu))
    return key


def _plain(value: Numbers) -> Numbers:
    """Convert to Python numbers, whose repr is valid source in every language."""
    return tuple(map(float, value)) if isinstance(value, tuple) else float(value)


def _shares(base: Loss, weights: Sequence[float]) -> tuple[float, ...]:
    """Return the factor of each output's loss, when each output is a separate row."""
    total = sum(weights) if base.over_outputs == "mean" else 1.0
    return tuple(float(weight) / float(total) for weight in weights)


# -- array namespaces ------------------------------------------------------------------------------------------------


def _reference(
    base: Loss, changed: Mapping[str, Numbers], smoothing: float, shares: tuple[float, ...] | None
) -> Callable[..., tuple[Array, Array]]:
    def loss_and_gradient(
        scores: Array, targets: Array, weights: Array | None, scale: float, xp: Namespace = np
    ) -> tuple[Array, Array]:
        """Return the weighted sum of the rows' losses and `scale` times its gradient with respect to the scores."""
        numbers: dict[str, Any] = dict(changed)
        if smoothing:
            classes = 2 if base.outputs == "binary" else scores.shape[1]
            targets = one_hot(targets, scores, xp) * (1 - smoothing) + smoothing / classes
        if shares is None:
            return base.loss_and_gradient(scores, targets, weights, scale, xp, **numbers)
        shape, column = scores.shape, (scores.shape[0] * scores.shape[1], 1)

        def of_outputs(values: tuple[float, ...]) -> Array:
            return xp.asarray(values, dtype=scores.dtype)[None, :] + xp.zeros_like(scores)

        each = of_outputs(shares) if weights is None else of_outputs(shares) * weights[:, None]
        for name, value in changed.items():
            if isinstance(value, tuple):
                numbers[name] = xp.reshape(of_outputs(value), column)
        total, gradient = base.loss_and_gradient(
            xp.reshape(scores, column),
            xp.reshape(targets, column),
            xp.reshape(each, column[:1]),
            scale,
            xp,
            **numbers,
        )
        return total, xp.reshape(gradient, shape)

    return loss_and_gradient


# -- Numba -----------------------------------------------------------------------------------------------------------

NUMBA_IMPORTS = """\
import numpy as np

from dnnkit.kernels._numba.at_address import single_column
from dnnkit.kernels._numba.jit import jit
"""


def _numba(base: Loss, given: Sequence[Numbers], smoothing: float, shares: tuple[float, ...] | None) -> str:
    """Return the text of a `cpu.py` that calls the base's row function."""
    text, targets = NUMBA_IMPORTS, "targets"
    if base.name in registry.RUNTIME_LOSSES:
        text += f"\n{registry.RUNTIME_LOSSES[base.name].cpu}\nrow_of_all = row\n"
    else:
        text += f"from dnnkit.kernels.losses.{base.name}.cpu import row as row_of_all\n"
    if shares is None:
        body = f"    return row_of_all(i, scores, {{targets}}, factor, out{_listed(given)})\n"
    else:
        text += f"\nSHARES = np.array({list(shares)!r})\n"
        for number, value in enumerate(given):
            text += f"PARAMETER_{number} = np.array({list(value)!r})\n" if isinstance(value, tuple) else ""
        targets = "single_column(targets)"
        body = "    total = kind(0)\n    for k in range(outputs):\n"
        body += "        share, place = kind(SHARES[k]), i * outputs + k\n        total += share * row_of_all(\n"
        body += "            place, single_column(scores), {targets}, share * factor, single_column(out)"
        body += f"{_listed(given, 'PARAMETER_{}[k]')}\n        )\n    return total\n"
    if smoothing:
        classes = "kind(2)" if base.outputs == "binary" else "kind(outputs)"
        targets = f"({targets}, kind({1 - smoothing!r}), kind({smoothing!r}) / {classes})"
    text += "\n\n@jit\ndef row(i, scores, targets, factor, out):\n"
    return text + "    kind, outputs = out.dtype.type, scores.shape[1]\n" + body.format(targets=targets)


def _listed(given: Sequence[Numbers], place: str = "") -> str:
    """Return further arguments of a call, as source text."""
    return "".join(
        f", {place.format(number) if isinstance(value, tuple) else repr(value)}" for number, value in enumerate(given)
    )


# -- CUDA ------------------------------------------------------------------------------------------------------------

CUDA_SMOOTHED = """\
// Targets (1 - s) t + s / C.
template <typename Targets>
struct Smoothed {{
    Targets& targets;
    REAL share;

    __device__ __forceinline__ auto get(int turn, int k) const {{
        auto values = targets.get(turn, k);
        for (REAL& value : values.lane) value = REAL({kept!r}) * value + share;
        return values;
    }}
}};

"""
CUDA_ROW = """\
// Returns the loss of the row, the same in all its threads; writes `factor` times its gradient to out.
template <typename Walked, typename Scores, typename Targets>
__device__ __forceinline__ REAL row_loss(
    const Walked& row, Scores& scores, Targets& targets, REAL factor, REAL* out
) {
"""


def _cuda(base: Loss, key: str, given: Sequence[Numbers], smoothing: float, shares: tuple[float, ...] | None) -> str:
    """Return the text of a `gpu.cu` that calls the base's row function."""
    text = f'#include "losses/{base.name}/gpu.cu"\n\nnamespace loss::{key} {{\n\n'
    text += CUDA_SMOOTHED.format(kept=1 - smoothing) if smoothing else ""
    text += CUDA_ROW
    targets = "targets"
    if smoothing:
        classes = "REAL(2)" if base.outputs == "binary" else "REAL(row.columns)"
        text += f"    Smoothed<Targets> smoothed{{targets, REAL({smoothing!r}) / {classes}}};\n"
        targets = "smoothed"
    called = f"loss::{base.name}::row_loss("
    if shares is None:
        values = "".join(f", REAL({value!r})" for value in given)
        text += f"    return {called}row, scores, {targets}, factor, out{values});\n"
    else:
        text += f"    const REAL shares[] = {{{_reals(shares)}}};\n"
        for number, value in enumerate(given):
            if isinstance(value, tuple):
                text += f"    const REAL parameter_{number}[] = {{{_reals(value)}}};\n"
        values = "".join(
            f", parameter_{number}[k]" if isinstance(value, tuple) else f", REAL({value!r})"
            for number, value in enumerate(given)
        )
        text += (
            "    REAL loss = REAL(0);\n"
            f"    row.map(scores, {targets}, out, [&](int k, REAL y, REAL t) {{\n"
            "        const Alone one;  // the output as a separate row\n"
            "        Number score{y}, wanted{t};\n"
            "        REAL slope;\n"
            f"        loss += shares[k] * {called}one, score, wanted, shares[k] * factor, &slope{values});\n"
            "        return slope;\n"
            "    });\n"
            "    return row_sum(row, loss);\n"
        )
    return f"{text}}}\n\n}}  // namespace loss::{key}\n"


def _reals(values: Sequence[float]) -> str:
    return ", ".join(f"REAL({value!r})" for value in values)

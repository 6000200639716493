"""Dense of classes, in plain array code. Contract: the package's docstring."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from dnnkit.kernels.array import Array, Namespace
from dnnkit.kernels.stages import Context, Settings
from dnnkit.kernels.stages.dense_of_classes import rows
from dnnkit.kernels.stages.one_hot import reference as one_hot


def forward(
    xs: Sequence[Array], parameters: Sequence[Array], settings: Settings, context: Context, xp: Namespace = np
) -> tuple[Array, Any]:
    """Return (y, (the expanded input matrix, the shapes of the xs))."""
    parts = [
        x if mode == "numbers" else one_hot.forward([x], [], {"sizes": sizes, "mode": mode}, context, xp)[0]
        for x, (mode, sizes) in zip(xs, settings["parts"], strict=True)
    ]
    whole = xp.concat(parts, axis=1)
    y = xp.matmul(whole, parameters[0])
    return (y + parameters[1] if settings["use_bias"] else y), (whole, [x.shape for x in xs])


def backward(
    dy: Array,
    saved: Any,
    parameters: Sequence[Array],
    settings: Settings,
    needs_dx: Sequence[bool],
    xp: Namespace = np,
) -> tuple[list[Array | None], list[Array | None]]:
    """Return the gradients of a dense layer; those in class numbers are 0."""
    whole, shapes = saved
    dxs: list[Array | None] = []
    start = 0
    for shape, (mode, sizes), needs in zip(shapes, settings["parts"], needs_dx, strict=True):
        count = rows(mode, sizes)
        if not needs:
            dxs.append(None)
        elif mode == "numbers":
            dxs.append(xp.matmul(dy, parameters[0][start : start + count, :].T))
        else:
            dxs.append(xp.zeros(shape, dtype=dy.dtype))
        start += count
    gradients: list[Array | None] = [xp.matmul(whole.T, dy)]
    return dxs, gradients + ([xp.sum(dy, axis=0)] if settings["use_bias"] else [])

"""Scale on the GPU. Contract: the package's docstring."""

from collections.abc import Sequence
from typing import Any

from dnnkit.kernels._cuda.by_column import ByColumn
from dnnkit.kernels._cuda.strips import Memory
from dnnkit.kernels.array import Array
from dnnkit.kernels.stages import Context, Settings

_OF_KIND = ByColumn("scale")
sources = _OF_KIND.sources


def forward(
    xs: Sequence[Array], parameters: Sequence[Array], settings: Settings, context: Context, memory: Memory
) -> tuple[Array, Any]:
    """(y, x)."""
    return _OF_KIND.forward(xs[0], parameters, memory), xs[0]


def backward(
    dy: Array,
    saved: Any,
    parameters: Sequence[Array],
    settings: Settings,
    needs_dx: Sequence[bool],
    memory: Memory,
    outs: Sequence[Array | None] | None = None,
) -> tuple[Sequence[Array | None], Sequence[Array | None]]:
    """The gradients in x and in the factors."""
    dx, dp = _OF_KIND.backward(dy, saved, parameters, needs_dx[0], outs, memory)
    return [dx], [dp]

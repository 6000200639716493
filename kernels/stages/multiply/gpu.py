"""The product of values on the GPU. Contract: the package's docstring."""

from collections.abc import Sequence
from typing import Any

from dnnkit.kernels._cuda import pairwise
from dnnkit.kernels._cuda.source import Source
from dnnkit.kernels._cuda.strips import Memory
from dnnkit.kernels.array import Array
from dnnkit.kernels.stages import Context, Settings


def sources() -> list[Source]:
    """Every variant that ships."""
    return pairwise.sources("multiply")


def forward(
    xs: Sequence[Array], parameters: Sequence[Array], settings: Settings, context: Context, memory: Memory
) -> tuple[Array, Any]:
    """(the product, all factors); a single value is it itself."""
    return pairwise.combine_all("multiply", xs, memory), list(xs)


def backward(
    dy: Array,
    saved: Any,
    parameters: Sequence[Array],
    settings: Settings,
    needs_dx: Sequence[bool],
    memory: Memory,
    outs: Sequence[Array | None] | None = None,
) -> tuple[Sequence[Array | None], Sequence[Array | None]]:
    """To each factor the gradient times the others."""
    dxs: list[Array | None] = []
    for place, needs in enumerate(needs_dx):
        dx = dy
        for other, x in enumerate(saved):
            if needs and other != place:
                pairwise.combine("multiply", dx, x, out := memory(f"dx {place}", dy.shape))
                dx = out
        dxs.append(dx if needs else None)
    return dxs, []

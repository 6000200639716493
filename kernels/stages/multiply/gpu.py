"""Product of values on the GPU. Contract: the package's docstring."""

from collections.abc import Sequence
from typing import Any

from dnnkit.kernels._cuda import pairwise
from dnnkit.kernels._cuda.source import Source
from dnnkit.kernels._cuda.strips import Memory
from dnnkit.kernels.array import Array
from dnnkit.kernels.stages import Context, Settings


def sources() -> list[Source]:
    """Return every variant that ships."""
    return pairwise.sources("multiply")


def forward(
    xs: Sequence[Array], parameters: Sequence[Array], settings: Settings, context: Context, memory: Memory
) -> tuple[Array, Any]:
    """Return (the product, all factors); a single value is returned as is."""
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
    """Return, for each factor, dy times the other factors."""
    dxs: list[Array | None] = []
    for place, needs in enumerate(needs_dx):
        dx = dy
        for other, x in enumerate(saved):
            if needs and other != place:
                pairwise.combine("multiply", dx, x, out := memory(f"dx {place}", dy.shape))
                dx = out
        dxs.append(dx if needs else None)
    return dxs, []

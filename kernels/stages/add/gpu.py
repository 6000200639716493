"""Sum of values on the GPU. Contract: the package's docstring."""

from collections.abc import Sequence
from typing import Any

from dnnkit.kernels._cuda import pairwise
from dnnkit.kernels._cuda.source import Source
from dnnkit.kernels._cuda.strips import Memory
from dnnkit.kernels.array import Array
from dnnkit.kernels.stages import Context, Settings
from dnnkit.kernels.stages.columns.gpu import copy


def sources() -> list[Source]:
    """Return every variant that ships."""
    return pairwise.sources("add")


def forward(
    xs: Sequence[Array], parameters: Sequence[Array], settings: Settings, context: Context, memory: Memory
) -> tuple[Array, Any]:
    """Return (the sum, None); a single value is returned as is."""
    return pairwise.combine_all("add", xs, memory), None


def backward(
    dy: Array,
    saved: Any,
    parameters: Sequence[Array],
    settings: Settings,
    needs_dx: Sequence[bool],
    memory: Memory,
    outs: Sequence[Array | None] | None = None,
) -> tuple[Sequence[Array | None], Sequence[Array | None]]:
    """Return dy for the first value and copies for the others, since each may be overwritten."""
    dxs: list[Array | None] = []
    for place, needs in enumerate(needs_dx):
        if needs and any(needs_dx[:place]):
            copy(dy, out := memory(f"dx {place}", dy.shape))
            dxs.append(out)
        else:
            dxs.append(dy if needs else None)
    return dxs, []

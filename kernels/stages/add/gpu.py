"""The sum of values on the GPU. Contract: the package's docstring."""

from collections.abc import Sequence
from typing import Any

from dnnkit.kernels._cuda import pairwise
from dnnkit.kernels._cuda.source import Source
from dnnkit.kernels._cuda.strips import Memory
from dnnkit.kernels.array import Array
from dnnkit.kernels.stages import Context, Settings
from dnnkit.kernels.stages.columns.gpu import copy


def sources() -> list[Source]:
    """Every variant that ships."""
    return pairwise.sources("add")


def forward(
    xs: Sequence[Array], parameters: Sequence[Array], settings: Settings, context: Context, memory: Memory
) -> tuple[Array, Any]:
    """(the sum, nothing); a single value is it itself."""
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
    """The same gradient for all: the first has it where it is, others have copies, as each may be written over."""
    dxs: list[Array | None] = []
    for place, needs in enumerate(needs_dx):
        if needs and any(needs_dx[:place]):
            copy(dy, out := memory(f"dx {place}", dy.shape))
            dxs.append(out)
        else:
            dxs.append(dy if needs else None)
    return dxs, []

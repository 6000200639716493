"""Gaussian noise on the GPU. Contract: the package's docstring."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

from dnnkit.kernels._cuda.launch import THREADS, blocks, contiguous, launch
from dnnkit.kernels._cuda.source import REALS, Source
from dnnkit.kernels._cuda.strips import Memory
from dnnkit.kernels.array import Array
from dnnkit.kernels.stages import Context, Settings
from dnnkit.kernels.stages.gaussian_noise import PURPOSE


def sources() -> list[Source]:
    """Return every variant that ships."""
    return [Source.of("stages/gaussian_noise/gpu.cu", dtype) for dtype in REALS]


def forward(
    xs: Sequence[Array], parameters: Sequence[Array], settings: Settings, context: Context, memory: Memory
) -> tuple[Array, Any]:
    """Return (y, None); x itself outside training."""
    x = xs[0]
    if not context.training or x.size == 0:
        return x, None
    y = memory("y", x.shape)
    step, clock = (context.step, None) if isinstance(context.step, Integral) else (0, context.step)
    drawn = {"seed": context.seed, "purpose": PURPOSE, "layer": context.layer, "step": step, "clock": clock}
    arguments = {"x": contiguous(x), "stddev": settings["stddev"], **drawn, "y": y}
    arguments |= {"before": context.rows_before * x.shape[1], "count": x.size}
    source = Source.of("stages/gaussian_noise/gpu.cu", x.dtype.name)
    launch(source, "gaussian_noise", blocks(x.size + 3, 4 * THREADS), THREADS, arguments)
    return y, None


def backward(
    dy: Array,
    saved: Any,
    parameters: Sequence[Array],
    settings: Settings,
    needs_dx: Sequence[bool],
    memory: Memory,
    outs: Sequence[Array | None] | None = None,
) -> tuple[Sequence[Array | None], Sequence[Array | None]]:
    """Return dy unchanged."""
    return [dy if needs_dx[0] else None], []

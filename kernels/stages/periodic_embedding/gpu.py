"""Periodic embedding on the GPU. Contract: the package's docstring."""

from collections.abc import Sequence
from typing import Any

from dnnkit.kernels._cuda.launch import THREADS, blocks, contiguous, launch
from dnnkit.kernels._cuda.source import REALS, Source
from dnnkit.kernels._cuda.strips import Memory, down_columns, wanted
from dnnkit.kernels.array import Array
from dnnkit.kernels.stages import Context, Settings


def sources() -> list[Source]:
    """Return every variant that ships."""
    return [Source.of("stages/periodic_embedding/gpu.cu", dtype) for dtype in REALS]


def forward(
    xs: Sequence[Array], parameters: Sequence[Array], settings: Settings, context: Context, memory: Memory
) -> tuple[Array, Any]:
    """Return (y, (x, sines and cosines, y))."""
    x, (rows, features) = contiguous(xs[0]), xs[0].shape
    k, units = settings["frequencies"], settings["units"]
    waves = memory("waves" if units else "y", (rows, features * 2 * k))
    sizes = {"features": features, "k": k}
    of_waves = {"x": x, "frequencies": parameters[0], "waves": waves, **sizes}
    _each("periodic_waves", x, x.size * k, of_waves)
    if not units:
        return waves, (x, waves, waves)
    y = memory("y", (rows, features * units))
    layer = {"waves": waves, "kernel": parameters[1], "bias": parameters[2], "y": y, **sizes, "units": units}
    _each("periodic_layer", x, y.size, layer)
    return y, (x, waves, y)


def backward(
    dy: Array,
    saved: Any,
    parameters: Sequence[Array],
    settings: Settings,
    needs_dx: Sequence[bool],
    memory: Memory,
    outs: Sequence[Array | None] | None = None,
) -> tuple[Sequence[Array | None], Sequence[Array | None]]:
    """Return the gradients in x, in the frequencies, and in the layer's kernel and bias."""
    x, waves, y = saved
    (rows, features), k, units, dy = x.shape, settings["frequencies"], settings["units"], contiguous(dy)
    source, sizes = _source(x), {"k": k, "features": features, "units": units}
    found = [wanted(outs, place, memory, parameter.shape) for place, parameter in enumerate(parameters)]
    dx = memory("dx", x.shape) if needs_dx[0] else None
    given = {"dy": dy, "y": y, "waves": waves}
    for out, of_waves in zip(found[1:], (waves, None), strict=False):
        if out is not None:
            arguments, sums = {**given, "waves": of_waves, **sizes}, {"parts": out.reshape(-1)}
            down_columns(source, "periodic_parameters", rows, out.size, arguments, sums, memory, dy)
    if dx is None and found[0] is None:
        return [dx], found
    slopes = memory("slopes", (rows, features * k))
    kernel = parameters[1] if units else None
    _each("periodic_slopes", x, slopes.size, {**given, "kernel": kernel, "slopes": slopes, **sizes})
    if (out := found[0]) is not None:
        arguments, sums = {"slopes": slopes, "x": x, "k": k}, {"parts": out.reshape(-1)}
        down_columns(source, "periodic_frequencies", rows, out.size, arguments, sums, memory, dy)
    if dx is not None:
        of_x = {"slopes": slopes, "frequencies": parameters[0], "dx": dx, "features": features, "k": k}
        _each("periodic_dx", x, x.size, of_x)
    return [dx], found


def _source(x: Array) -> Source:
    return Source.of("stages/periodic_embedding/gpu.cu", x.dtype.name)


def _each(kernel: str, x: Array, count: int, arguments: dict[str, Any]) -> None:
    """Launch a kernel whose threads process one element at a time."""
    if count:
        launch(_source(x), kernel, blocks(count), THREADS, {**arguments, "count": count})

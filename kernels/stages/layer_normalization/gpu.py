"""Layer normalization on the GPU. Contract: the package's docstring."""

from collections.abc import Sequence
from typing import Any

from dnnkit.kernels._cuda.launch import THREADS, blocks, contiguous, launch
from dnnkit.kernels._cuda.rows import Division, variants
from dnnkit.kernels._cuda.source import REALS, Source
from dnnkit.kernels._cuda.strips import Memory, down_columns, wanted
from dnnkit.kernels.array import Array
from dnnkit.kernels.stages import Context, Settings

ROWS, SUMS = "stages/layer_normalization/gpu.cu", "stages/layer_normalization/sums.cu"


def sources() -> list[Source]:
    """Return every variant that ships."""
    rows = variants(Source.of(ROWS, dtype) for dtype in REALS)
    return [*rows, *(Source.of(SUMS, dtype) for dtype in REALS)]


def forward(
    xs: Sequence[Array], parameters: Sequence[Array], settings: Settings, context: Context, memory: Memory
) -> tuple[Array, Any]:
    """Return (y, (x, mean and 1 / √(v + epsilon) of each row))."""
    x, channels = contiguous(xs[0]), settings["channels"]
    y, moments = memory("y", x.shape), memory("moments", (x.size // channels, 2))
    gamma, beta = _trained(parameters, settings)
    numbers = {"centered": settings["centered"], "epsilon": settings["epsilon"]}
    arguments = {"x": x, "gamma": gamma, "beta": beta, **numbers, "y": y, "moments": moments}
    _launch("layer_normalization", x, channels, arguments, matrices=1)
    return y, (x, moments)


def backward(
    dy: Array,
    saved: Any,
    parameters: Sequence[Array],
    settings: Settings,
    needs_dx: Sequence[bool],
    memory: Memory,
    outs: Sequence[Array | None] | None = None,
) -> tuple[Sequence[Array | None], Sequence[Array | None]]:
    """Return the gradients in x, γ and β."""
    x, moments = saved
    channels, dy = settings["channels"], contiguous(dy)
    gamma, _ = _trained(parameters, settings)
    places = {"scale": 0, "center": len(parameters) - 1}
    found = {name: wanted(outs, at, memory, (channels,)) if settings[name] else None for name, at in places.items()}
    given, sums = {"dy": dy, "x": x, "moments": moments}, {"dgamma": found["scale"], "dbeta": found["center"]}
    if any(out is not None for out in sums.values()):
        source = Source.of(SUMS, x.dtype.name)
        down_columns(source, "layer_backward_sums", x.size // channels, channels, given, sums, memory, dy)
    dx = memory("dx", dy.shape) if needs_dx[0] else None
    if dx is not None:
        arguments = {**given, "gamma": gamma, "centered": settings["centered"], "dx": dx}
        _launch("layer_backward", dy, channels, arguments, matrices=2)
    return [dx], [found[name] for name in places if settings[name]]


def _launch(kernel: str, x: Array, channels: int, arguments: dict[str, Any], matrices: int) -> None:
    if x.size == 0:
        return
    rows, source = x.size // channels, Source.of(ROWS, x.dtype.name)
    division = Division.of(source, channels)
    sizes = {"rows": rows, "columns": channels, "group": division.group}
    source, shared_bytes = source.having(ROWS=division.rows), matrices * division.tile
    launch(source, kernel, blocks(rows, division.at_once), THREADS, {**arguments, **sizes}, shared_bytes)


def _trained(parameters: Sequence[Array], settings: Settings) -> tuple[Array | None, Array | None]:
    """Return (γ, β), either of which may be None."""
    return parameters[0] if settings["scale"] else None, parameters[-1] if settings["center"] else None

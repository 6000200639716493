"""Batch normalization on the GPU. Contract: the package's docstring."""

from collections.abc import Sequence
from typing import Any

from dnnkit.kernels._cuda.launch import contiguous
from dnnkit.kernels._cuda.source import REALS, Source
from dnnkit.kernels._cuda.strips import Memory, along_columns, down_columns, wanted
from dnnkit.kernels.array import Array
from dnnkit.kernels.stages import Context, Settings


def sources() -> list[Source]:
    """Return every variant that ships."""
    return [Source.of("stages/batch_normalization/gpu.cu", dtype) for dtype in REALS]


def forward(
    xs: Sequence[Array], parameters: Sequence[Array], settings: Settings, context: Context, memory: Memory
) -> tuple[Array, Any]:
    """Return (y, (x, its mean and 1 / √(v + epsilon), whether these are the batch's))."""
    x, channels, moving = contiguous(xs[0]), settings["channels"], len(parameters) - 2
    y, moments = memory("y", x.shape), memory("moments", (2, channels))
    rows, source = x.size // channels, _source(x)
    of_batch = context.training and not settings["frozen"]
    sums = squares = made = None
    if of_batch:
        sums, squares, made = (memory(name, shape) for name, shape in (
            ("sums", (channels,)), ("squares", (channels,)), ("next", (2, channels)),
        ))  # fmt: skip
        for out, before in ((sums, None), (squares, sums)):
            given = {"x": x, "sums_of_x": before, "count": rows}
            down_columns(source, "batch_sums", rows, channels, given, {"parts": out}, memory, x)
        context.statistics |= {moving: made[0], moving + 1: made[1]}
    gamma, beta = _trained(parameters, settings)
    arguments = {
        "x": x,
        "sums_of_x": sums,
        "sums_of_squares": squares,
        "count": rows,
        "moving_mean": parameters[moving],
        "moving_variance": parameters[moving + 1],
        "gamma": gamma,
        "beta": beta,
        "epsilon": settings["epsilon"],
        "keep": settings["momentum"],
        "rest": 1 - settings["momentum"],
        "y": y,
        "moments": moments,
        "next": made,
    }
    along_columns(source, "batch_normalization", rows, channels, arguments, x.itemsize)
    return y, (x, moments, of_batch)


def backward(
    dy: Array,
    saved: Any,
    parameters: Sequence[Array],
    settings: Settings,
    needs_dx: Sequence[bool],
    memory: Memory,
    outs: Sequence[Array | None] | None = None,
) -> tuple[Sequence[Array | None], Sequence[Array | None]]:
    """Return the gradients in x, γ and β; moving moments have none."""
    x, moments, of_batch = saved
    channels, dy = settings["channels"], contiguous(dy)
    rows, source, (gamma, _) = x.size // channels, _source(x), _trained(parameters, settings)
    places = {"scale": 0, "center": len(parameters) - 3}
    found = {name: wanted(outs, at, memory, (channels,)) if settings[name] else None for name, at in places.items()}
    dparameters = [*(found[name] for name in places if settings[name]), None, None]
    through = of_batch and needs_dx[0]
    dgamma, dbeta = (
        memory(f"sum for {name}", (channels,)) if through and out is None else out for name, out in found.items()
    )
    given = {"dy": dy, "x": x, "moments": moments}
    if dgamma is not None or dbeta is not None:
        sums = {"dgamma": dgamma, "dbeta": dbeta}
        down_columns(source, "batch_backward_sums", rows, channels, given, sums, memory, dy)
    if not needs_dx[0]:
        return [None], dparameters
    dx = memory("dx", dy.shape)
    sums = {"dgamma": dgamma, "dbeta": dbeta} if of_batch else {"dgamma": None, "dbeta": None}
    arguments = {**given, "gamma": gamma, **sums, "count": rows, "dx": dx}
    along_columns(source, "batch_backward", rows, channels, arguments, dy.itemsize)
    return [dx], dparameters


def _source(x: Array) -> Source:
    return Source.of("stages/batch_normalization/gpu.cu", x.dtype.name)


def _trained(parameters: Sequence[Array], settings: Settings) -> tuple[Array | None, Array | None]:
    """Return (γ, β), either of which may be None."""
    return parameters[0] if settings["scale"] else None, parameters[-3] if settings["center"] else None

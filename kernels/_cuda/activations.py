"""Activations on the GPU by name, forward and backward, each in one pass over memory.

The `gpu.cu` of an elementwise activation defines the function of one number; `elementwise.cu` applies it to arrays. Any
other activation has its own kernels and launcher, `gpu.py`, with `forward(x, out, b=None)` of x + b and `backward(dy,
saved, out)`.
"""

from functools import cache
from types import ModuleType

from dnnkit.kernels import registry
from dnnkit.kernels._cuda.launch import THREADS, blocks, contiguous, launch
from dnnkit.kernels._cuda.source import REALS, Source
from dnnkit.kernels.array import Array
from dnnkit.kernels.registry import Activation


def sources() -> list[Source]:
    """Return every variant that ships."""
    elementwise = [name for name in registry.names("activation") if registry.activation(name).elementwise]
    names = [name for name in elementwise if registry.has_gpu_version(name)]
    return [source(name, dtype) for name in names for dtype in REALS]


@cache
def source(name: str, dtype: str) -> Source:
    """Return the kernels of an elementwise activation, including those of a dense layer, as one source."""
    saves_input = registry.activation(name).saves == "input"
    slope = "derivative" if saves_input else "derivative_from_output"
    macros = {"ACTIVATION": name, "SLOPE": slope, "SAVES_INPUT": str(int(saves_input))}
    return Source.of("dense/gpu.cu", dtype, **macros)


@cache
def launcher(name: str) -> ModuleType:
    """Return the launcher of an activation that is not elementwise."""
    return registry.version(name, "gpu")


def forward(activation: Activation, x: Array, out: Array) -> None:
    """Write f(x) to out, which may be x."""
    if not activation.elementwise:
        launcher(activation.name).forward(x, out)
        return
    if x.size == 0:
        return
    arguments = {"x": contiguous(x), "y": out, "count": x.size}
    launch(source(activation.name, x.dtype.name), "activation_forward", _blocks(x), THREADS, arguments)


def backward(activation: Activation, dy: Array, saved: Array, out: Array) -> None:
    """Write the gradient in x to out, from the gradient in y and what the activation saves. out may be dy."""
    if not activation.elementwise:
        launcher(activation.name).backward(dy, saved, out)
        return
    if dy.size == 0:
        return
    arguments = {"dy": contiguous(dy), "saved": contiguous(saved), "dx": out, "count": dy.size}
    launch(source(activation.name, dy.dtype.name), "activation_backward", _blocks(dy), THREADS, arguments)


def _blocks(x: Array) -> int:
    """Return the number of blocks for a kernel whose threads process 16 bytes at a time."""
    return blocks(x.nbytes, 16 * THREADS)

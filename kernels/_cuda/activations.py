"""Activations on the GPU by their names, forward and backward, each one pass over memory.

An elementwise activation's `gpu.cu` says what happens to one number; `elementwise.cu` does it to arrays. Any other has
kernels and a launcher of its own beside it, `gpu.py`, with `forward(x, out, b=None)` of x + b and
`backward(dy, saved, out)`.
"""

from functools import cache
from types import ModuleType

from dnnkit.kernels import registry
from dnnkit.kernels._cuda.launch import THREADS, blocks, contiguous, launch
from dnnkit.kernels._cuda.source import REALS, Source
from dnnkit.kernels.array import Array
from dnnkit.kernels.registry import Activation


def sources() -> list[Source]:
    """Every variant that ships."""
    elementwise = [name for name in registry.names("activation") if registry.activation(name).elementwise]
    names = [name for name in elementwise if registry.has_gpu_version(name)]
    return [source(name, dtype) for name in names for dtype in REALS]


@cache
def source(name: str, dtype: str) -> Source:
    """An elementwise activation's kernels, those of a dense layer included: one source for all."""
    saves_input = registry.activation(name).saves == "input"
    slope = "derivative" if saves_input else "derivative_from_output"
    macros = {"ACTIVATION": name, "SLOPE": slope, "SAVES_INPUT": str(int(saves_input))}
    return Source.of("dense/gpu.cu", dtype, **macros)


@cache
def launcher(name: str) -> ModuleType:
    """The launcher of an activation that is not elementwise."""
    return registry.version(name, "gpu")


def forward(activation: Activation, x: Array, out: Array) -> None:
    """f(x) to out, which may be x."""
    if not activation.elementwise:
        launcher(activation.name).forward(x, out)
        return
    if x.size == 0:
        return
    arguments = {"x": contiguous(x), "y": out, "count": x.size}
    launch(source(activation.name, x.dtype.name), "activation_forward", _blocks(x), THREADS, arguments)


def backward(activation: Activation, dy: Array, saved: Array, out: Array) -> None:
    """The gradient in x, from that in y and what the activation saves, to out, which may be dy."""
    if not activation.elementwise:
        launcher(activation.name).backward(dy, saved, out)
        return
    if dy.size == 0:
        return
    arguments = {"dy": contiguous(dy), "saved": contiguous(saved), "dx": out, "count": dy.size}
    launch(source(activation.name, dy.dtype.name), "activation_backward", _blocks(dy), THREADS, arguments)


def _blocks(x: Array) -> int:
    """Blocks for a kernel whose threads take 16 bytes at a time."""
    return blocks(x.nbytes, 16 * THREADS)

"""Activations on the GPU by their names, forward and backward, each one pass over memory.

An activation's `gpu.cu` says what happens to one number; `elementwise.cu` does it to arrays. Only softmax, whose
numbers depend on each other, has kernels of its own.
"""

from functools import cache

from dnnkit.kernels import registry
from dnnkit.kernels._cuda import cuda
from dnnkit.kernels._cuda.cuda import Source
from dnnkit.kernels.activations.softmax import gpu as softmax
from dnnkit.kernels.array import Array
from dnnkit.kernels.registry import Activation


@cache
def source(name: str, dtype: str) -> Source:
    """An elementwise activation's kernels, those of a dense layer included: one source for all."""
    saves_input = registry.activation(name).saves == "input"
    slope = "derivative" if saves_input else "derivative_from_output"
    macros = {"ACTIVATION": name, "SLOPE": slope, "SAVES_INPUT": str(int(saves_input))}
    return Source.of("dense/gpu.cu", dtype, **macros)


def forward(activation: Activation, x: Array, out: Array) -> None:
    """f(x) to out, which may be x."""
    if not activation.elementwise:
        softmax.forward(x, out)
        return
    if x.size == 0:
        return
    arguments = {"x": cuda.contiguous(x), "y": out, "count": x.size}
    cuda.launch(source(activation.name, x.dtype.name), "activation_forward", _blocks(x), cuda.THREADS, arguments)


def backward(activation: Activation, dy: Array, saved: Array, out: Array) -> None:
    """The gradient in x, from that in y and what the activation saves, to out, which may be dy."""
    if not activation.elementwise:
        softmax.backward(dy, saved, out)
        return
    if dy.size == 0:
        return
    arguments = {"dy": cuda.contiguous(dy), "saved": cuda.contiguous(saved), "dx": out, "count": dy.size}
    cuda.launch(source(activation.name, dy.dtype.name), "activation_backward", _blocks(dy), cuda.THREADS, arguments)


def _blocks(x: Array) -> int:
    """Blocks for a kernel whose threads take 16 bytes at a time."""
    return cuda.blocks(x.nbytes, 16 * cuda.THREADS)

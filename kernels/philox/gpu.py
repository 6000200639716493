"""Philox4x32-10 on the GPU. Contract: the package's docstring."""

from dnnkit.kernels._cuda import cuda
from dnnkit.kernels._cuda.cuda import Source
from dnnkit.kernels.array import Array


def sources() -> list[Source]:
    """Every variant that ships."""
    return [Source.of("philox/gpu.cu")]


def random_bits(start: int, count: int, layer: int, step: int, seed: int, purpose: int, out: Array) -> None:
    """Words start … start + count - 1 of a layer's stream at a step, to out uint32 (count,)."""
    if count == 0:
        return
    counter = {"start": start, "count": count, "layer": layer, "step": step}
    arguments = {**counter, "seed": seed, "purpose": purpose, "out": out}
    cuda.launch(sources()[0], "random_bits", cuda.blocks(count, 4 * cuda.THREADS), cuda.THREADS, arguments)

"""What costs of a step are measured with (`backends/machine.py`): the same calls as in a step, nothing else."""

from dnnkit.kernels import atomic
from dnnkit.kernels.compiled import compiled
from dnnkit.kernels.matrix_product.cpu import product


@compiled
def products(a, b, out, times):
    """out = a · b, so many times."""
    for _ in range(times):
        product(a, b, out)


@compiled
def exchanges(thread, flags, times):
    """Two threads that wait for each other so many times; flags are 16 zeros that they share."""
    other = 8 * (1 - thread)
    for turn in range(times):
        atomic.store(flags, 8 * thread, turn + 1)
        looks = 0
        while atomic.load(flags, other) <= turn:
            looks += 1
            if looks < 2000:
                atomic.pause()
            else:
                atomic.yield_processor()

"""Loops that calibrate the cost model (`backends/numba_backend/calibration.py`): the calls of a step, nothing else."""

from dnnkit.kernels._numba import atomics
from dnnkit.kernels._numba.jit import jit
from dnnkit.kernels.matmul.cpu import product


@jit
def products(a, b, out, times):
    """out = a · b, `times` times."""
    for _ in range(times):
        product(a, b, out)


@jit
def wait_for(flags, place, turn):
    """Spin until `flags[place]` is at least `turn`."""
    looks = 0
    while atomics.load(flags, place) < turn:
        looks += 1
        if looks < 2000:
            atomics.pause()
        else:
            atomics.yield_processor()


@jit
def exchanges(thread, flags, numbers, times):
    """Two threads that wait for each other `times` times; flags are 16 zeros that they share."""
    for turn in range(times):
        atomics.store(flags, 8 * thread, turn + 1)
        wait_for(flags, 8 * (1 - thread), turn + 1)


@jit
def hand_over(thread, flags, numbers, times):
    """Two threads that write all of the numbers in turn, `times` times each: each reads what the other wrote."""
    for turn in range(times):
        wait_for(flags, 8 * (1 - thread), turn + thread)
        for e in range(numbers.size):
            numbers[e] += 1
        atomics.store(flags, 8 * thread, turn + 1)

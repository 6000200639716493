"""Interaction of blocks across barriers of the grid: planted bugs, seen in every order of blocks."""

import numpy as np
import pytest

from tests.cuda_on_cpu.compiling import ORDERS, KernelError, compile_for_cpu, order

pytestmark = pytest.mark.cuda_on_cpu

BLOCKS, THREADS, STEPS = 4, 32, 3
SIZE = BLOCKS * THREADS

SOURCE = """
#include <cooperative_groups.h>

enum { RIGHT, NO_BARRIER, TOO_EARLY, ONE_BUFFER };

template <int PLANTED>
__device__ void steps(const float* x, float* buffers, float* out, int count) {
    const int size = gridDim.x * blockDim.x, own = blockIdx.x * blockDim.x + threadIdx.x;
    const int next = (own + blockDim.x) % size;
    float value = x[own];
    for (int step = 0; step < count; ++step) {
        float* buffer = buffers + (PLANTED == ONE_BUFFER ? 0 : step % 2 * size);
        buffer[own] = value;
        __syncthreads();
        float neighbour = PLANTED == TOO_EARLY ? buffer[next] : 0.0f;
        if (PLANTED != NO_BARRIER) cooperative_groups::this_grid().sync();
        if (PLANTED != TOO_EARLY) neighbour = buffer[next];
        value = 0.5f * value + neighbour;
        __syncthreads();
    }
    out[own] = value;
}
"""
KERNELS = ["right", "no_barrier", "too_early", "one_buffer"]
CODE = SOURCE + "".join(
    f'extern "C" __global__ void {name}(const float* x, float* buffers, float* out, int count) '
    f"{{ steps<{name.upper()}>(x, buffers, out, count); }}\n"
    for name in KERNELS
)


def stepped(kernel: str, sanitize: bool = True) -> np.ndarray:
    """Return the result of a cooperative launch."""
    x, out = np.arange(SIZE, dtype=np.float32), np.zeros(SIZE, np.float32)
    module = compile_for_cpu(CODE, sanitize=sanitize, cooperative=True)
    arguments = (x, np.full(2 * SIZE, np.nan, np.float32), out, np.int32(STEPS))
    module.get_function(kernel)((BLOCKS,), (THREADS,), arguments)
    return out


def expected() -> np.ndarray:
    value = np.arange(SIZE, dtype=np.float32)
    for _ in range(STEPS):
        value = np.float32(0.5) * value + np.roll(value, -THREADS)
    return value


@pytest.mark.parametrize("name", ORDERS)
def test_neighbours_read_behind_a_barrier(name: str) -> None:
    with order(name):
        assert stepped("right").tolist() == expected().tolist()


@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize("planted", KERNELS[1:])
def test_neighbours_with_a_planted_bug(planted: str, name: str) -> None:
    with order(name), pytest.raises(KernelError) as caught:
        stepped(planted)
    found = str(caught.value)
    assert "race: " in found
    assert "buffers[" in found
    assert "with no barrier of both between" in found
    # a block one step ahead overwrites what another still reads, or has read its new number
    if planted == "one_buffer":
        assert ", which block (" in found


@pytest.mark.parametrize("planted", KERNELS[1:])
def test_a_block_that_runs_ahead_shows_them_unchecked(planted: str) -> None:
    """Where blocks take turns, their own barriers keep them in step, and the result is right."""
    results = {}
    for name in ("forwards", "ahead"):
        with order(name):
            assert stepped("right", sanitize=False).tolist() == expected().tolist()
            results[name] = stepped(planted, sanitize=False).tolist()
    assert results["forwards"] == expected().tolist()
    assert results["ahead"] != expected().tolist()


ATOMIC = """
__device__ unsigned int done = 0;
template <bool FENCE>
__device__ void sum(const float* x, float* parts, float* out) {
    __shared__ bool last;
    parts[blockIdx.x * blockDim.x + threadIdx.x] = x[blockIdx.x * blockDim.x + threadIdx.x];
    __syncthreads();
    if (threadIdx.x == 0) {
        if (FENCE) __threadfence();
        last = atomicAdd(&done, 1u) == gridDim.x - 1;
        if (last) done = 0;
    }
    __syncthreads();
    if (last && threadIdx.x == 0)
        for (unsigned i = 0; i < gridDim.x * blockDim.x; ++i) *out += parts[i];
}
extern "C" __global__ void fenced(const float* x, float* parts, float* out) { sum<true>(x, parts, out); }
extern "C" __global__ void unfenced(const float* x, float* parts, float* out) { sum<false>(x, parts, out); }
"""


def test_an_atomic_publishes_only_what_precedes_a_fence() -> None:
    module = compile_for_cpu(ATOMIC, sanitize=True)
    for name in ORDERS:
        arguments = (np.ones(SIZE, np.float32), np.zeros(SIZE, np.float32), np.zeros(1, np.float32))
        with order(name):
            module.get_function("fenced")((BLOCKS,), (THREADS,), arguments)
            assert arguments[2][0] == SIZE
    with pytest.raises(KernelError, match=r"race: reads parts\[.* which block \(\d, 0, 0\) wrote, with no barrier"):
        module.get_function("unfenced")((BLOCKS,), (THREADS,), arguments)


READERS = """
#include <cooperative_groups.h>
extern "C" __global__ void read_then_write(float* x, float* out, int barrier) {
    if (threadIdx.x == 0) out[blockIdx.x] = x[0];
    if (barrier) cooperative_groups::this_grid().sync();
    if (blockIdx.x == 0 && threadIdx.x == 0) x[0] = 1.0f;
}
"""


def test_a_write_comes_after_every_reader() -> None:
    """Also where the block that writes was the last to read."""
    kernel = compile_for_cpu(READERS, sanitize=True, cooperative=True).get_function("read_then_write")
    for name in ORDERS:
        x, out = np.zeros(1, np.float32), np.zeros(BLOCKS, np.float32)
        with order(name):
            kernel((BLOCKS,), (THREADS,), (x, out, np.int32(1)))
            assert (x[0], out.tolist()) == (1, [0] * BLOCKS)
            with pytest.raises(
                KernelError, match=r"race: (writes x\[.* read|reads x\[.* wrote), with no barrier of both"
            ):
                kernel((BLOCKS,), (THREADS,), (x, out, np.int32(0)))


MANY = """
#include <cooperative_groups.h>
extern "C" __global__ void many(const float* x, float* out) {
    cooperative_groups::this_grid().sync();
    const int own = blockIdx.x * blockDim.x + threadIdx.x;
    out[own] = x[own];
}
"""


def test_as_many_threads_at_once_as_a_large_gpu_runs() -> None:
    kernel = compile_for_cpu(MANY, cooperative=True).get_function("many")
    x = np.arange(132 * 512, dtype=np.float32)
    out = np.zeros_like(x)
    kernel((132,), (512,), (x, out))
    assert out.tolist() == x.tolist()
    with pytest.raises(KernelError, match="all must be alive at once, at most 327680"):
        kernel((1000,), (512,), (x, out))

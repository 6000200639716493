"""Races in shared memory by element, and the requested size."""

from typing import Any

import numpy as np
import pytest

from tests.cuda_on_cpu.compiling import ORDERS, KernelError, compile_for_cpu, order

pytestmark = pytest.mark.cuda_on_cpu

SHARED = """
// Neighbours write neighbouring numbers of an array that is aligned for packs of four.
extern "C" __global__ void neighbours(float* out) {
    extern __shared__ __align__(16) float numbers[];
    __shared__ __align__(16) unsigned char bytes[64];
    __shared__ float4 packs[16];
    numbers[threadIdx.x] = threadIdx.x;
    bytes[threadIdx.x] = threadIdx.x;
    reinterpret_cast<float*>(packs)[threadIdx.x] = threadIdx.x;
    out[threadIdx.x] = numbers[threadIdx.x] + bytes[threadIdx.x] + reinterpret_cast<float*>(packs)[threadIdx.x];
}
extern "C" __global__ void one_number(float* out) {
    extern __shared__ __align__(16) float numbers[];
    numbers[threadIdx.x / 2] = threadIdx.x;
}
extern "C" __global__ void one_pack(float* out) {
    extern __shared__ __align__(16) float numbers[];
    numbers[threadIdx.x] = threadIdx.x;
    if (threadIdx.x % 4 == 3) *reinterpret_cast<float4*>(numbers + threadIdx.x - 3) = make_float4(0, 0, 0, 0);
}
extern "C" __global__ void much(float* out) {
    extern __shared__ float numbers[];
    numbers[20000 + threadIdx.x] = threadIdx.x;
    __syncthreads();
    out[threadIdx.x] = numbers[20000 + 63 - threadIdx.x];
}
extern "C" __global__ void declares(float* out) {
    __shared__ float part[1000];
    extern __shared__ float numbers[];
    part[threadIdx.x] = numbers[threadIdx.x] = threadIdx.x;
    out[threadIdx.x] = part[threadIdx.x];
}
"""


def run(kernel: str, blocks: int, threads: int, *arguments: Any, **options: Any) -> None:
    """Launch once, checked; options are the launch attributes set before."""
    shared = options.pop("shared_mem", 0)
    function = compile_for_cpu(SHARED, sanitize=True).get_function(kernel)
    for name, value in options.items():
        setattr(function, name, value)
    function((blocks,), (threads,), arguments, shared_mem=shared)


@pytest.mark.parametrize("name", ORDERS)
def test_races_are_about_elements_whatever_their_alignment(name: str) -> None:
    out = np.zeros(64, np.float32)
    with order(name):
        run("neighbours", 1, 64, out, shared_mem=256)
        assert out.tolist() == [3 * i for i in range(64)]
        for planted in ("one_number", "one_pack"):
            with pytest.raises(KernelError, match=r"race: writes numbers\[.*, which thread .* of its block wrote"):
                run(planted, 1, 64, out, shared_mem=256)


def test_shared_memory_above_48_kib_is_available_on_request() -> None:
    out = np.zeros(64, np.float32)
    with pytest.raises(KernelError, match="much: 100000 bytes of dynamic shared memory, asked for 49152 at most"):
        run("much", 1, 64, out, shared_mem=100_000)
    run("much", 1, 64, out, shared_mem=100_000, max_dynamic_shared_size_bytes=100_000)
    assert out.tolist() == list(range(63, -1, -1))
    with pytest.raises(KernelError, match="asked for 300000 at most"):
        run("much", 1, 64, out, shared_mem=100_000, max_dynamic_shared_size_bytes=300_000)
    most = 227 * 1024
    with pytest.raises(KernelError, match=f"shared memory: {most - 3999 + 4000} bytes with part, the limit is {most}"):
        run("declares", 1, 64, out, shared_mem=most - 3999, max_dynamic_shared_size_bytes=most)
    run("declares", 1, 64, out, shared_mem=most - 4000, max_dynamic_shared_size_bytes=most)

"""What CUDA promises, on the CPU: every word of the header, in every order of threads and blocks."""

from collections.abc import Iterator

import numpy as np
import pytest

from dnnkit.kernels._cuda.source import signatures
from tests.cuda_on_cpu import compiling
from tests.cuda_on_cpu.compiling import ORDERS, compile_for_cpu, order

pytestmark = pytest.mark.cuda_on_cpu

SOURCE = """
// A comment with __shared__ float nothing; and "quotes", and extern "C" __global__ void nobody(int n) {}
#include <cooperative_groups.h>
namespace groups = cooperative_groups;

__constant__ float TABLE[4] = {1.0f, 2.0f, 3.0f, 4.0f};
__device__ unsigned int blocks_done = 0;

template <typename T, int SIZE>
__device__ __forceinline__ T sum_of_block(T value) {
    __shared__ T part[SIZE / 32];
    for (int distance = 16; distance > 0; distance /= 2) value += __shfl_down_sync(0xffffffffu, value, distance);
    if (threadIdx.x % 32 == 0) part[threadIdx.x / 32] = value;
    __syncthreads();
    value = threadIdx.x < SIZE / 32 ? part[threadIdx.x] : T(0);
    if (threadIdx.x < 32)
        for (int distance = 16; distance > 0; distance /= 2) value += __shfl_xor_sync(0xffffffffu, value, distance);
    __syncthreads();
    return value;
}

extern "C" __global__ void __launch_bounds__(128) sums(const float* __restrict__ x, double* out, long long n) {
    float single = 0.0f;
    double twice = 0.0;
    for (long long i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += (long long)gridDim.x * blockDim.x) {
        single += x[i];
        twice += 2.0 * __ldg(x + i);
    }
    single = sum_of_block<float, 128>(single);
    twice = sum_of_block<double, 128>(twice);
    if (threadIdx.x == 0) {
        atomicAdd(out, (double)single);
        atomicAdd(out + 1, twice);
    }
}

extern "C" __global__ void shuffles(int* out) {
    const int lane = threadIdx.x, half = lane < 16 ? 0x0000ffff : 0xffff0000;
    int* row = out + lane * 12;
    row[0] = __shfl_sync(0xffffffffu, lane * 10, 3);
    row[1] = __shfl_sync(0xffffffffu, lane * 10, 1, 8);
    row[2] = __shfl_up_sync(0xffffffffu, lane, 2);
    row[3] = __shfl_down_sync(0xffffffffu, lane, 2, 16);
    row[4] = __shfl_xor_sync(0xffffffffu, lane, 5);
    row[5] = (int)__ballot_sync(half, lane % 3 == 0);
    row[6] = __any_sync(half, lane == 20);
    row[7] = __all_sync(half, lane < 16);
    row[8] = __syncthreads_count(lane < 5);
    row[9] = __syncthreads_or(lane == 7);
    row[10] = __syncthreads_and(lane != 7);
    auto tile = groups::tiled_partition<8>(groups::this_thread_block());
    row[11] = tile.shfl(lane, 2) + 100 * (int)tile.thread_rank() + 1000 * tile.any(lane == 9);
}

extern "C" __global__ void reverse(const float* x, float* out, int n) {
    extern __shared__ __align__(16) float4 buffer[];
    const int i = threadIdx.x + blockDim.x * threadIdx.y;
    if (i < n) buffer[i] = reinterpret_cast<const float4*>(x)[i];
    __syncthreads();
    if (i < n) {
        const float4 v = buffer[n - 1 - i];
        reinterpret_cast<float4*>(out)[i] = make_float4(v.w * TABLE[0], v.z * TABLE[1], v.y * TABLE[2], v.x * TABLE[3]);
    }
}

extern "C" __global__ void atomics(int* i, unsigned int* u, unsigned long long* l, float* f) {
    atomicMax(i, (int)threadIdx.x);
    atomicMin(i + 1, -(int)threadIdx.x);
    atomicAdd(u, 2u);
    atomicInc(u + 1, 9u);
    atomicAdd(l, 1ull << 40);
    atomicExch(l + 1, 7ull);
    float old = *f, seen;
    do {
        seen = old;
        old = __int_as_float(atomicCAS((int*)f, __float_as_int(seen), __float_as_int(seen + 0.5f)));
    } while (old != seen);
}

extern "C" __global__ void last_block(const float* x, float* parts, float* out) {
    __shared__ bool last;
    if (threadIdx.x == 0) {
        parts[blockIdx.x] = x[blockIdx.x];
        __threadfence();
        last = atomicAdd(&blocks_done, 1u) == gridDim.x - 1;
    }
    __syncthreads();
    if (last && threadIdx.x == 0) {
        float sum = 0;
        for (unsigned block = 0; block < gridDim.x; ++block) sum += parts[block];
        *out = sum;
        blocks_done = 0;
    }
}

extern "C" __global__ void places(unsigned int* out) {
    const dim3 size = gridDim;
    const unsigned block = blockIdx.x + size.x * (blockIdx.y + size.y * blockIdx.z);
    const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    out[block * (blockDim.x * blockDim.y * blockDim.z) + thread] = (unsigned)groups::this_grid().thread_rank();
}

extern "C" __global__ void arithmetic(double* out) {
    out[0] = __umulhi(0xd2511f53u, 0x9e3779b9u);
    out[1] = (double)__umul64hi(1ull << 63, 6ull);
    out[2] = __popc(0xf0f0u) + 100 * __clz(1) + 10000 * __ffs(8);
    out[3] = fmaf(2.0f, 3.0f, 4.0f) + rsqrtf(4.0f) + rsqrt(16.0);
    out[4] = max(3, 7) + min(2.5f, 1.5f) + fmax(1.0, 2.0);
    out[5] = exp(-1.0f) == expf(-1.0f);
    out[6] = isnan(fmaxf(NAN, NAN)) + isinf(1e30f * 1e30f) + (max(NAN, 5.0f) == 5.0f);
    out[7] = __brev(1u) == 0x80000000u && __float_as_uint(1.0f) == 0x3f800000u;
}
"""


@pytest.fixture(params=[*ORDERS])
def _order(request: pytest.FixtureRequest) -> Iterator[None]:
    with order(request.param):
        yield


@pytest.fixture(params=[True, False], ids=["checked", "unchecked"])
def module(request: pytest.FixtureRequest, _order: None) -> compiling.Module:
    return compile_for_cpu(SOURCE, sanitize=request.param)


@pytest.mark.parametrize(("size", "blocks"), [(0, 1), (1, 3), (127, 1), (1000, 2), (100_003, 200)])
def test_sums_of_blocks_warps_and_atomics(
    module: compiling.Module, rng: np.random.Generator, size: int, blocks: int
) -> None:
    x, out = rng.random(size, np.float32), np.zeros(2)
    module.get_function("sums")((blocks,), (128,), (x, out, np.int64(size)))
    np.testing.assert_allclose(out, [x.sum(dtype=float), 2 * x.sum(dtype=float)], rtol=1e-5)


def test_shuffles_and_votes(module: compiling.Module) -> None:
    out = np.zeros((32, 12), np.int32)
    module.get_function("shuffles")((1,), (32,), (out,))
    lane = np.arange(32)
    low = sum(1 << i for i in range(0, 16, 3))
    high = np.array([sum(1 << i for i in range(18, 32, 3))], np.uint32).view(np.int32)[0]
    expected = [
        np.full(32, 30),
        (lane // 8 * 8 + 1) * 10,
        np.where(lane < 2, lane, lane - 2),
        np.where(lane % 16 > 13, lane, lane + 2),
        lane ^ 5,
        np.where(lane < 16, low, high),
        lane >= 16,
        lane < 16,
        np.full(32, 5),
        np.ones(32),
        np.zeros(32),
        lane // 8 * 8 + 2 + 100 * (lane % 8) + 1000 * (lane // 8 == 1),
    ]
    for column, values in enumerate(expected):
        assert out[:, column].tolist() == values.tolist(), column


def test_vectors_constants_and_dynamic_shared_memory(module: compiling.Module) -> None:
    x, out = np.arange(400, dtype=np.float32), np.zeros(400, np.float32)
    module.get_function("reverse")((1, 1), (16, 8), (x, out, np.int32(100)), shared_mem=1600)
    assert out.tolist() == (x[::-1].reshape(100, 4) * [1, 2, 3, 4]).ravel().tolist()


def test_atomics(module: compiling.Module) -> None:
    i, u, wide, f = np.zeros(2, np.int32), np.zeros(2, np.uint32), np.zeros(2, np.uint64), np.zeros(1, np.float32)
    module.get_function("atomics")((3,), (50,), (i, u, wide, f))
    assert i.tolist() == [49, -49]
    assert u.tolist() == [300, 0]
    assert wide.tolist() == [150 << 40, 7]
    assert f.tolist() == [75]


def test_the_last_block_sums_what_all_have_written(module: compiling.Module) -> None:
    x, parts, out = np.arange(40, dtype=np.float32), np.zeros(40, np.float32), np.zeros(1, np.float32)
    for _ in range(2):
        module.get_function("last_block")((40,), (64,), (x, parts, out))
        assert out[0] == x.sum()


def test_places_in_three_dimensions(module: compiling.Module) -> None:
    out = np.zeros(2 * 3 * 4 * 5 * 6 * 7, np.uint32)
    module.get_function("places")((2, 3, 4), (5, 6, 7), (out,))
    assert out.tolist() == list(range(out.size))


def test_arithmetic(module: compiling.Module) -> None:
    out = np.zeros(8)
    module.get_function("arithmetic")((1,), (1,), (out,))
    high = (0xD2511F53 * 0x9E3779B9) >> 32
    assert out.tolist() == [high, 3, 8 + 100 * 31 + 10000 * 4, 10 + 0.5 + 0.25, 7 + 1.5 + 2, 1, 3, 1]


def test_signatures_are_read_as_the_compiler_reads_them(module: compiling.Module) -> None:
    assert set(module.signatures) == set(signatures(SOURCE))
    assert "nobody" not in module.signatures
    for name in module.signatures:
        module.get_function(name)


def test_fibers_of_the_system_do_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the machine has no hand-written context switch for the processor."""
    parts = {file: compiling.machine_part(file) for file in compiling.PARTS}
    monkeypatch.setattr(compiling, "MACHINE_FLAGS", [*compiling.MACHINE_FLAGS, "-DCUDA_ON_CPU_UCONTEXT"])
    parts["machine.cpp"] = compiling.machine_part.__wrapped__("machine.cpp")  # the one with the fibers
    monkeypatch.setattr(compiling, "machine_part", parts.__getitem__)
    slow = compile_for_cpu(SOURCE)
    x, out = np.ones(1000, np.float32), np.zeros(2)
    slow.get_function("sums")((4,), (128,), (x, out, np.int64(1000)))
    assert out.tolist() == [1000, 2000]


def test_compiled_code_is_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    compile_for_cpu(SOURCE)
    monkeypatch.setattr(compiling.subprocess, "run", None)
    assert compile_for_cpu(SOURCE).get_function("sums")
    with pytest.raises(TypeError):  # another source would have to be compiled
        compile_for_cpu(f"{SOURCE}\n// another\nint another_{np.random.default_rng().integers(2**62)};")

"""One planted bug of each kind that the CPU's machine detects; each is caught, and the kernel without it is not."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from tests.cuda_on_cpu.compiling import ORDERS, KernelError, compile_for_cpu, order

pytestmark = pytest.mark.cuda_on_cpu

SIZE = 100
HEAD = 'extern "C" __global__ void kernel(const float* x, float* out, int n)'
INDEX = "const int i = blockIdx.x * blockDim.x + threadIdx.x;"


def run(body: str, arguments: Sequence[Any] | None = None, *, head: str = HEAD, block: int = 64, **options: Any) -> Any:
    """Run `kernel` on two blocks; return its second argument afterwards."""
    shared, sanitize = options.pop("shared_mem", 0), options.pop("sanitize", True)
    module = compile_for_cpu(f"{head}\n{{\n{body}\n}}\n", sanitize=sanitize, **options)
    if arguments is None:
        arguments = (np.arange(SIZE, dtype=np.float32), np.zeros(SIZE, np.float32), np.int32(SIZE))
    module.get_function("kernel")((2,), (block,), arguments, shared_mem=shared)
    return arguments[1]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (f"{INDEX} if (i <= n) out[i] = 1;", "writes 4 bytes at byte 400 (element 100) of out, which has 400 bytes"),
        (f"{INDEX} if (i < n) out[i] = x[i + 1];", "reads 4 bytes at byte 400 (element 100) of x"),
        (f"{INDEX} if (i < n) out[i] = x[i - 1];", "reads 4 bytes at byte -4 (element -1) of x"),
        (f"{INDEX} if (i < n) atomicAdd(out + i + 1, 1.0f);", "updates 4 bytes at byte 400 (element 100) of out"),
        (f"{INDEX} out[i * 100000000ll] = 1;", "far from every array"),
        (
            "reinterpret_cast<float4*>(out)[threadIdx.x / 2] = reinterpret_cast<const float4*>(x)[threadIdx.x];",
            "reads 16 bytes at",
        ),
    ],
)
def test_global_memory_out_of_bounds(wrong: str, message: str) -> None:
    with pytest.raises(KernelError) as caught:
        run(wrong)
    assert "out of bounds" in str(caught.value)
    assert message in str(caught.value)
    assert str(caught.value).startswith("kernel, block (")
    assert ", thread (" in str(caught.value)


def test_global_memory_within_bounds() -> None:
    assert run(f"{INDEX} if (i < n) out[i] = x[i] + 1;").tolist() == list(range(1, SIZE + 1))


def test_from_one_argument_into_its_neighbor() -> None:
    """Views of one buffer are adjacent; an access beyond one is not within the other."""
    buffer = np.zeros(2 * SIZE, np.float32)
    with pytest.raises(KernelError, match="out of bounds: writes"):
        run(f"{INDEX} if (i <= n) out[i] = 1;", (buffer[SIZE:], buffer[:SIZE], np.int32(SIZE)))


def test_results_reach_views_and_arrays_that_overlap() -> None:
    buffer = np.arange(SIZE, dtype=np.float32)
    run(f"{INDEX} if (i < n) out[i] = 2 * x[i];", (buffer, buffer, np.int32(SIZE)))
    run(f"{INDEX} if (i < n) out[i] = 2 * x[i];", (buffer[:10], buffer[90:], np.int32(10)))
    assert buffer.tolist() == [2 * i for i in range(90)] + [4 * i for i in range(10)]


@pytest.mark.parametrize(
    ("declared", "index", "message"),
    [
        ("__shared__ float tile[64];", "threadIdx.x + 1", "is out of the declared bounds"),
        ("__shared__ float tile[2][63];", "0][threadIdx.x", "is out of the declared bounds"),
        ("extern __shared__ float tile[];", "threadIdx.x + 1", "byte 256 (element 64) of tile, which has 256 bytes"),
        ("__shared__ float other[64]; float* tile = other;", "threadIdx.x + 1", "of other, which has 256 bytes"),
    ],
)
def test_shared_memory_out_of_bounds(declared: str, index: str, message: str) -> None:
    with pytest.raises(KernelError) as caught:
        run(f"{declared} tile[{index}] = 1; __syncthreads(); out[0] = 0;", shared_mem=256)
    assert message in str(caught.value)


def test_shared_memory_starts_with_no_zeros() -> None:
    out = run("__shared__ float sum; if (threadIdx.x == 0) { sum += 1; out[blockIdx.x] = sum; }")
    assert np.isnan(out[:2]).all()


def test_more_shared_memory_than_a_block_has() -> None:
    with pytest.raises(KernelError, match="shared memory: 49156 bytes with part, the limit is 49152"):
        run("__shared__ float part[64]; extern __shared__ float rest[]; out[0] = part[0] + rest[0];", shared_mem=48900)
    with pytest.raises(KernelError, match="shared memory: 49156 bytes with part, a kernel may declare 49152"):
        run("__shared__ float part[12289]; out[0] = part[0];")


@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize(
    "wrong",
    [
        "if (threadIdx.x < 40) __syncthreads(); out[threadIdx.x] = 1;",
        "if (threadIdx.x == 63) return; __syncthreads();",
        "if (threadIdx.x % 2) __syncthreads(); else __syncwarp(0x55555555);\n __syncwarp();",
        "if (blockIdx.x == 1) for (int i = 0; i < threadIdx.x; ++i) __syncthreads();",
    ],
)
def test_a_barrier_that_not_all_reach(wrong: str, name: str) -> None:
    with (
        order(name),
        pytest.raises(
            KernelError, match=r"block \(\d, 0, 0\), thread \(\d+, 0, 0\): .* not reached by all: it waits at"
        ),
    ):
        run(wrong)


def test_two_barriers_at_once() -> None:
    with pytest.raises(KernelError, match=r"is at the barrier in kernel.cu:\d+ while others .* wait at the one in"):
        run("if (threadIdx.x < 32)\n__syncthreads();\nelse\n__syncthreads();")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            "if (threadIdx.x % 2) __shfl_xor_sync(0xffffffffu, 1, 1);\n__syncthreads();",
            "waits at the warp operation in",
        ),
        ("if (threadIdx.x % 32 == 3) return; __syncwarp();", "whose thread has returned|not reached by all"),
        ("if (threadIdx.x % 2) __syncwarp(0x55555555);", "without the lane that calls it"),
        ("if (threadIdx.x < 16)\n__any_sync(0xffffffffu, 1);\nelse\n__any_sync(0xffffffffu, 1);", "is at the one in"),
        ("if (threadIdx.x < 16) __shfl_sync(0xffff, 1, 20);\n__syncthreads();", "reads from lane 20, which is not in"),
        ("__shfl_down_sync(threadIdx.x % 32 < 16 ? 0xffffffffu : 0xffffff0fu, 1, 16);", "mask"),
        ("__shfl_xor_sync(0xffffffffu, 1, 1, 24);", "width 24"),
    ],
)
def test_a_warp_operation_that_not_all_reach(wrong: str, message: str) -> None:
    with pytest.raises(KernelError, match=message):
        run(wrong)


def test_a_mask_with_missing_threads() -> None:
    with pytest.raises(KernelError, match="names lane 16, but the warp has 16 threads"):
        run("__syncwarp();", block=48)


SUM = """
    __shared__ float part[64];
    part[threadIdx.x] = x[threadIdx.x];
    {barrier}
    float sum = 0;
    for (int j = 0; j < 64; ++j) sum += part[j];
    {later}
    part[threadIdx.x] = sum;
    if (threadIdx.x < 50) out[blockIdx.x * 50 + threadIdx.x] = sum;
"""


@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize(("barrier", "later"), [("", "__syncthreads();"), ("__syncthreads();", "")])
def test_a_missing_barrier(barrier: str, later: str, name: str) -> None:
    """Read after write, write after read: found in every order."""
    with order(name), pytest.raises(KernelError, match=r"race: (reads part\[.* wrote|writes part\[.* read)"):
        run(SUM.format(barrier=barrier, later=later))


def test_without_the_missing_barrier() -> None:
    assert run(SUM.format(barrier="__syncthreads();", later="__syncthreads();")).tolist() == [sum(range(64))] * SIZE


@pytest.mark.parametrize("name", ORDERS)
def test_two_threads_or_blocks_that_write_one_element(name: str) -> None:
    with order(name), pytest.raises(KernelError, match=r"race: writes out\[.*, which thread .* of its block wrote"):
        run("out[threadIdx.x / 2] = 1;")
    with order(name), pytest.raises(KernelError, match=r"race: writes out\[.* which block \([01], 0, 0\) wrote, with"):
        run("out[threadIdx.x] = 1;")
    run("atomicAdd(out + threadIdx.x, 1.0f);")


def test_a_warp_operation_orders_its_lanes_alone() -> None:
    """After __syncwarp a warp may read what it wrote, and not what another one did."""
    body = "__shared__ float part[64]; part[threadIdx.x] = 1; __syncwarp(); {} {} = part[(threadIdx.x {}) % 64];"
    run(body.format("if (blockIdx.x == 0)", "out[threadIdx.x]", "^ 1"))
    with pytest.raises(KernelError, match=r"race: (reads|writes) part\["):
        run(body.format("if (blockIdx.x == 0)", "out[threadIdx.x]", "+ 32"))
    with pytest.raises(KernelError, match=r"race: (reads|writes) part\["):
        run(body.format("if (blockIdx.x == 0)", "out[threadIdx.x]", "^ 1").replace("__syncwarp();", ""))


def test_blocks_that_count_on_an_order() -> None:
    """A block that reads what another has written: right in one order, wrong in others, and detected in all."""
    wrong = "if (threadIdx.x == 0) out[blockIdx.x] = blockIdx.x == 0 ? 1 : out[blockIdx.x - 1] + 1;"
    results = {}
    for name in ORDERS:
        with order(name):
            results[name] = run(wrong, sanitize=False)[:2].tolist()
        with order(name), pytest.raises(KernelError, match=r"race: (reads|writes) out\[byte 0, .* with no barrier"):
            run(wrong)
    assert results["forwards"] == [1, 2]
    assert results["backwards"] == [1, 1]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("out[0] = n + 2147483647;", "line 3: overflow in an addition of signed integers"),
        ("out[0] = n * 100000000;", "overflow in a multiplication"),
        ("out[0] = n / (n - 100);", "integer division by zero"),
        ("out[0] = 1 << n;", "shift by"),
        ("float local[4] = {}; local[n] = 1; out[0] = local[n % 4];", "index 100 is out of the declared bounds"),
        ("out[0] = reinterpret_cast<const double*>(x + 1)[0];", "misaligned: an access of 8 bytes"),
    ],
)
def test_undefined_behavior_of_c(wrong: str, message: str) -> None:
    with pytest.raises(KernelError, match=message):
        run(f"if (blockIdx.x + threadIdx.x == 0) {{ {wrong} }}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros(SIZE), np.zeros(SIZE, np.float32), np.int32(1)), "x must be an array of f4, not ndarray of float64"),
        ((np.zeros(SIZE, np.float32), np.zeros(SIZE, np.int32), np.int32(1)), "out must be an array of f4"),
        ((np.zeros(SIZE, np.float32), np.zeros(SIZE, np.float32), np.int64(1)), "n must be a NumPy scalar i4"),
        ((np.zeros(SIZE, np.float32), np.zeros(SIZE, np.float32), 1), "n must be a NumPy scalar i4, not int"),
        ((np.zeros(SIZE, np.float32), np.zeros(SIZE, np.float32), 1.0), "n must be a NumPy scalar i4, not float"),
        ((np.zeros(SIZE, np.float32), None, np.int32(1)), "out must be an array of f4, not NoneType"),
        ((np.zeros(SIZE, np.float32), np.broadcast_to(np.float32(0), SIZE), np.int32(1)), "that may be written"),
    ],
)
def test_a_wrong_argument(arguments: Sequence[Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        run("", arguments)


def test_a_wrong_number_of_arguments_and_sizes() -> None:
    with pytest.raises(KernelError, match="takes 3 arguments"):
        run("", (np.zeros(SIZE, np.float32), np.zeros(SIZE, np.float32)))
    for grid, block in [((0,), (32,)), ((1,), (1025,)), ((1, 65536), (32,)), ((1,), (32, 32, 2)), ((1,), (32, 0))]:
        kernel = compile_for_cpu('extern "C" __global__ void __launch_bounds__(256) kernel() {}').get_function("kernel")
        with pytest.raises(KernelError, match="kernel: "):
            kernel(grid, block, ())
    with pytest.raises(KernelError, match="512 threads per block, at most 256"):
        kernel((1,), (512,), ())
    kernel((1,), (256,), ())


def test_a_null_pointer_is_given_and_not_followed() -> None:
    arguments = (np.uintp(0), np.zeros(SIZE, np.float32), np.int32(SIZE))
    assert run("if (x == nullptr && threadIdx.x + blockIdx.x == 0) out[0] = 1;", arguments)[0] == 1
    with pytest.raises(KernelError, match="out of bounds: reads 4 bytes"):
        run("out[0] = x[0];", arguments)
    with pytest.raises(TypeError, match="x must be an array"):
        run("", (np.uintp(64), *arguments[1:]))


def test_syncing_a_grid() -> None:
    include = f"#include <cooperative_groups.h>\n{HEAD}"
    one = "cooperative_groups::this_grid().sync();"
    body = f"{INDEX} if (i < n) out[i] = i; {one} float v = i < n ? out[n - 1 - i] : 0;\n{one} if (i < n) out[i] = v;"
    assert run(body, head=include, cooperative=True).tolist() == list(range(SIZE))[::-1]
    with pytest.raises(KernelError, match="the launch is not a cooperative one"):
        run(body, head=include)
    with pytest.raises(KernelError, match=r"grid sync not reached by all: .* but block \(1, 0, 0\), .* has returned"):
        run(f"if (blockIdx.x == 0) {one}", head=include, cooperative=True)


def test_sources_that_do_not_compile() -> None:
    with pytest.raises(KernelError, match="was not declared"):
        run("out[0] = nothing;")
    with pytest.raises(KernelError, match="one plain declaration for each shared array"):
        run("__shared__ float a[2], b[2];")
    with pytest.raises(KernelError, match="frame size"):
        run("float part[20000]; for (int i = 0; i < 20000; ++i) part[i] = x[i % 100]; out[0] = part[n];")
    with pytest.raises(KernelError, match="no kernel other"):
        compile_for_cpu(f"{HEAD} {{}}").get_function("other")

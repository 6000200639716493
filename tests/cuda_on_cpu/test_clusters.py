"""Clusters of blocks that access each other's shared memory: what CUDA promises, and planted bugs in every order."""

from typing import Any

import numpy as np
import pytest

from tests.cuda_on_cpu.compiling import ORDERS, KernelError, compile_for_cpu, order

pytestmark = pytest.mark.cuda_on_cpu

CLUSTER, CLUSTERS, THREADS, STEPS = 3, 2, 32, 3
BLOCKS = CLUSTER * CLUSTERS
SIZE = BLOCKS * THREADS

KERNELS = {
    "right": "",
    "words": "",
    "split": "",
    "fenced": "",
    "no_start": r"reads parts of block .* which may not have started: no barrier of both before",
    "no_barrier": r"race: (reads|writes) parts\[.* with no barrier of both between",
    "late": r"race: (reads|writes) parts\[.* with no barrier of both between",
    "one_buffer": r"race: (reads|writes) parts\[.* with no barrier of both between",
    "no_end": r"returns while block .* may still read its shared memory|which has returned: its shared memory is gone",
    "unfenced": r"race: reads parts\[.* with no barrier of both between",
}
"""Kernels, and the fault of those that have a planted bug."""

SOURCE = """
#include <cooperative_groups.h>
namespace groups = cooperative_groups;

enum { RIGHT, WORDS, SPLIT, FENCED, NO_START, NO_BARRIER, LATE, ONE_BUFFER, NO_END, UNFENCED };

template <int WAY>
__device__ void all_wait() {
    if (WAY == WORDS) {
        __cluster_barrier_arrive();
        __cluster_barrier_wait();
    } else if (WAY == FENCED || WAY == UNFENCED) {
        __syncthreads();
        if (WAY == FENCED && threadIdx.x == 0) __threadfence();
        __cluster_barrier_arrive_relaxed();
        __cluster_barrier_wait();
    } else {
        groups::this_cluster().sync();
    }
}

// Each block passes its numbers on to the block before it in its cluster, again and again.
template <int WAY>
__device__ void steps(const float* x, float* out, int count) {
    __shared__ float parts[2][32];
    const groups::cluster_group cluster = groups::this_cluster();
    const unsigned next = (cluster.block_rank() + 1) % cluster.num_blocks();
    const int own = blockIdx.x * blockDim.x + threadIdx.x;
    float value = x[own];
    if (WAY != NO_START) all_wait<WAY>();
    for (int step = 0; step < count; ++step) {
        float* part = parts[WAY == ONE_BUFFER ? 0 : step % 2];
        const bool late = WAY == LATE && threadIdx.x == 0;
        if (!late) part[threadIdx.x] = value;
        if (WAY == SPLIT || WAY == LATE) {
            cluster.barrier_arrive();
            if (late) part[threadIdx.x] = value;
            cluster.barrier_wait();
        } else if (WAY != NO_START && (WAY != NO_BARRIER || step == 0)) {
            all_wait<WAY>();
        }
        const float* theirs = WAY == WORDS ? static_cast<const float*>(__cluster_map_shared_rank(part, next))
                                           : cluster.map_shared_rank(part, next);
        value = 0.5f * value + theirs[threadIdx.x];
    }
    if (WAY != NO_END) all_wait<WAY>();
    out[own] = value;
}
""" + "".join(
    f'extern "C" __global__ void __cluster_dims__({CLUSTER}) {name}(const float* x, float* out, int count) '
    f"{{ steps<{name.upper()}>(x, out, count); }}\n"
    for name in KERNELS
)


def stepped(kernel: str, cooperative: bool = False) -> np.ndarray:
    x, out = np.arange(SIZE, dtype=np.float32), np.zeros(SIZE, np.float32)
    module = compile_for_cpu(SOURCE, sanitize=True, cooperative=cooperative)
    module.get_function(kernel)((BLOCKS,), (THREADS,), (x, out, np.int32(STEPS)))
    return out


def expected() -> np.ndarray:
    value = np.arange(SIZE, dtype=np.float32).reshape(CLUSTERS, CLUSTER, THREADS)
    for _ in range(STEPS):
        value = np.float32(0.5) * value + np.roll(value, -1, axis=1)
    return value.ravel()


@pytest.mark.parametrize("cooperative", [False, True], ids=["plain", "cooperative"])
@pytest.mark.parametrize("name", ORDERS)
def test_blocks_of_a_cluster_read_each_other(name: str, cooperative: bool) -> None:
    with order(name):
        for kernel in (kernel for kernel, wrong in KERNELS.items() if not wrong):
            assert stepped(kernel, cooperative).tolist() == expected().tolist()


@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize("planted", [kernel for kernel, wrong in KERNELS.items() if wrong])
def test_a_planted_bug_is_seen(planted: str, name: str) -> None:
    for cooperative in (False, True):
        with order(name), pytest.raises(KernelError, match=KERNELS[planted]):
            stepped(planted, cooperative)


OTHERS = """
#include <cooperative_groups.h>
namespace groups = cooperative_groups;

extern "C" __global__ void __launch_bounds__(8) __cluster_dims__(1, 2, 2) places(unsigned int* out) {
    const groups::cluster_group cluster = groups::this_cluster();
    __shared__ int own;
    const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
    unsigned int* row = out + block * 8 + threadIdx.x * 0;
    if (threadIdx.x > 0) return;
    row[0] = cluster.block_rank();
    row[1] = cluster.num_blocks();
    row[2] = __clusterIdx().x + 10 * __clusterIdx().y + 100 * __clusterIdx().z;
    row[3] = cluster.block_index().y + 10 * cluster.block_index().z;
    row[4] = cluster.query_shared_rank(cluster.map_shared_rank(&own, 2));
    row[5] = cluster.num_threads();
    row[6] = __clusterGridDimInClusters().y;
    row[7] = cluster.thread_rank();
}

// The last of each cluster adds up what all left in dynamic shared memory; the others wait at the end.
extern "C" __global__ void __cluster_dims__(4, 1, 1) sums(const int* x, int* out, int early) {
    extern __shared__ int left[];
    const groups::cluster_group cluster = groups::this_cluster();
    left[threadIdx.x] = x[blockIdx.x * blockDim.x + threadIdx.x];
    cluster.sync();
    if (early && cluster.block_rank() == 1) return;
    if (cluster.block_rank() == 3 && threadIdx.x == 0) {
        int sum = 0;
        for (unsigned rank = 0; rank < cluster.num_blocks(); ++rank)
            for (unsigned i = 0; i < blockDim.x; ++i) sum += cluster.map_shared_rank(left, rank)[i];
        out[blockIdx.x / 4] = sum;
        atomicAdd(cluster.map_shared_rank(left, 0), 1);
    }
    cluster.sync();
}

extern "C" __global__ void no_clusters(int* out) {
    groups::this_cluster().sync();
    if (threadIdx.x == 0) out[blockIdx.x] = groups::this_cluster().num_blocks();
}
extern "C" __global__ void __cluster_dims__(2) misuse(const int* x, int* out, int what) {
    __shared__ int own[1];
    const groups::cluster_group cluster = groups::this_cluster();
    if (what == 0) cluster.barrier_wait();
    if (what == 1) cluster.barrier_arrive(), cluster.barrier_arrive();
    if (what == 2) cluster.map_shared_rank(own, 2);
    if (what == 3) cluster.map_shared_rank(out, 0);
    if (what == 4) cluster.query_shared_rank(x);
    if (what == 5 && cluster.block_rank() == 0) cluster.sync();
    if (what == 6) {
        cluster.sync();
        out[0] = cluster.map_shared_rank(own, 0)[1];
    }
}
extern "C" __global__ void __cluster_dims__(16) wide(int* out) {
    out[blockIdx.x] = groups::this_cluster().num_blocks();
}
"""


def launched(
    kernel: str, grid: tuple[int, ...], threads: int, *arguments: Any, shared_mem: int = 0, **asked: Any
) -> None:
    function = compile_for_cpu(OTHERS, sanitize=True).get_function(kernel)
    for name, value in asked.items():
        setattr(function, name, value)
    function(grid, (threads,), arguments, shared_mem=shared_mem)


def test_places_in_a_cluster() -> None:
    out = np.zeros((4, 4, 3, 8), np.uint32)
    launched("places", (3, 4, 4), 8, out)
    z, y, x = np.indices((4, 4, 3))
    rank = y % 2 + 2 * (z % 2)
    wanted = [rank, 4, x + 10 * (y // 2) + 100 * (z // 2), y % 2 + 10 * (z % 2), 2, 32, 2, 8 * rank]
    for column, values in enumerate(wanted):
        assert (out[..., column] == values).all(), column


@pytest.mark.parametrize("name", ORDERS)
def test_dynamic_shared_memory_of_a_cluster(name: str) -> None:
    x, out = np.arange(64, dtype=np.int32), np.zeros(2, np.int32)
    with order(name):
        launched("sums", (8,), 8, x, out, np.int32(0), shared_mem=32)
        assert out.tolist() == x.reshape(2, 32).sum(axis=1).tolist()
        with pytest.raises(KernelError) as caught:
            launched("sums", (8,), 8, x, out, np.int32(1), shared_mem=32)
    assert any(
        words in str(caught.value) for words in ("which has returned: its shared memory is gone", "may still read")
    )


def test_a_launch_without_clusters_has_clusters_of_one_block() -> None:
    out = np.zeros(3, np.int32)
    launched("no_clusters", (3,), 8, out)
    assert out.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (0, "waits at its cluster's barrier in kernel.cu:.*, and has not arrived"),
        (1, "arrives again at its cluster's barrier in kernel.cu:.*, and has not waited"),
        (2, "maps shared memory of block 2 of a cluster of 2"),
        (3, "which is not in the shared memory of its block"),
        (4, "asks whose shared memory .* is in: it is nobody's"),
        (5, "cluster sync not reached by all: it waits at the cluster's barrier in .* has returned"),
        (6, "out of bounds: reads 4 bytes at byte 4"),
    ],
)
def test_misuse(what: int, message: str) -> None:
    with pytest.raises(KernelError, match=message):
        launched("misuse", (2,), 8, np.zeros(8, np.int32), np.zeros(8, np.int32), np.int32(what))


def test_sizes_of_clusters() -> None:
    out = np.zeros(32, np.int32)
    with pytest.raises(KernelError, match=r"wide: a grid \(24,\) of clusters of \(16, 1, 1\) blocks"):
        launched("wide", (24,), 8, out, non_portable_cluster_size_allowed=True)
    with pytest.raises(KernelError, match="wide: clusters of 16 blocks, at most 8"):
        launched("wide", (32,), 1, out, non_portable_cluster_size_allowed=False)
    launched("wide", (32,), 1, out, non_portable_cluster_size_allowed=True)
    assert out.tolist() == [16] * 32

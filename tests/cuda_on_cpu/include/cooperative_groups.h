// Stands in for CUDA's header of that name: the grid, the cluster, the block, and tiles of a power of two up to a warp.
#pragma once

#include "cuda_on_cpu.h"

namespace cooperative_groups {

using cuda_on_cpu::Where;

struct grid_group {
    void sync(Where where = Where::current()) const { cuda_on_cpu::grid_barrier(where); }
    bool is_valid() const { return true; }
    unsigned long long size() const {
        return 1ull * gridDim.x * gridDim.y * gridDim.z * blockDim.x * blockDim.y * blockDim.z;
    }
    unsigned long long block_rank() const {
        return blockIdx.x + 1ull * gridDim.x * (blockIdx.y + 1ull * gridDim.y * blockIdx.z);
    }
    unsigned long long thread_rank() const {
        return block_rank() * blockDim.x * blockDim.y * blockDim.z + threadIdx.x +
               blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    }
};
inline grid_group this_grid() { return {}; }

struct cluster_group {
    void sync(Where where = Where::current()) const { barrier_arrive(where), barrier_wait(where); }
    void barrier_arrive(Where where = Where::current()) const { __cluster_barrier_arrive(where); }
    void barrier_wait(Where where = Where::current()) const { __cluster_barrier_wait(where); }
    dim3 block_index() const { return __clusterRelativeBlockIdx(); }
    dim3 dim_blocks() const { return __clusterDim(); }
    unsigned block_rank() const { return __clusterRelativeBlockRank(); }
    unsigned num_blocks() const { return __clusterSizeInBlocks(); }
    unsigned num_threads() const { return num_blocks() * blockDim.x * blockDim.y * blockDim.z; }
    unsigned size() const { return num_threads(); }
    unsigned thread_rank() const {
        return block_rank() * blockDim.x * blockDim.y * blockDim.z + threadIdx.x +
               blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
    }
    template <typename T>
    T* map_shared_rank(T* address, unsigned rank) const {
        return static_cast<T*>(__cluster_map_shared_rank(address, rank));
    }
    unsigned query_shared_rank(const void* address) const { return __cluster_query_shared_rank(address); }
};
inline cluster_group this_cluster() { return {}; }

struct thread_block {
    void sync(Where where = Where::current()) const { __syncthreads(where); }
    unsigned size() const { return blockDim.x * blockDim.y * blockDim.z; }
    unsigned thread_rank() const { return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z); }
};
inline thread_block this_thread_block() { return {}; }

template <unsigned Size>
struct thread_block_tile {
    static_assert(Size > 0 && Size <= 32 && (Size & (Size - 1)) == 0, "a power of two up to a warp");
    unsigned size() const { return Size; }
    unsigned thread_rank() const { return this_thread_block().thread_rank() % Size; }
    unsigned mask() const {
        return Size == 32 ? 0xffffffffu : ((1u << (Size % 32)) - 1u) << (this_thread_block().thread_rank() % 32 / Size * Size);
    }
    void sync(Where where = Where::current()) const { __syncwarp(mask(), where); }
    template <typename T>
    T shfl(T value, int lane, Where where = Where::current()) const { return __shfl_sync(mask(), value, lane, Size, where); }
    template <typename T>
    T shfl_up(T value, unsigned by, Where where = Where::current()) const { return __shfl_up_sync(mask(), value, by, Size, where); }
    template <typename T>
    T shfl_down(T value, unsigned by, Where where = Where::current()) const {
        return __shfl_down_sync(mask(), value, by, Size, where);
    }
    template <typename T>
    T shfl_xor(T value, int by, Where where = Where::current()) const { return __shfl_xor_sync(mask(), value, by, Size, where); }
    int any(int predicate, Where where = Where::current()) const { return __any_sync(mask(), predicate, where); }
    int all(int predicate, Where where = Where::current()) const { return __all_sync(mask(), predicate, where); }
};
template <unsigned Size>
thread_block_tile<Size> tiled_partition(const thread_block&) { return {}; }

}  // namespace cooperative_groups

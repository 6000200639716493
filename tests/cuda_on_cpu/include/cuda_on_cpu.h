// CUDA C++ for g++: this header gives an unchanged .cu file the names that are built into nvcc and NVRTC.
//
// Keywords, threadIdx etc., barriers, warp shuffles and votes, atomics, intrinsics. Operations that wait for other
// threads are in waiting.cpp. Only `__shared__` declarations cannot be macros: compiling.py rewrites
//     __shared__ float tile[32][33];      to   a reference to an array that the block owns,
//     extern __shared__ float buffer[];   to   a pointer to the launch's dynamic shared memory.
// Stricter than a GPU: a barrier has to be reached by every thread of the block, cluster or grid (no early return before
// it), a warp operation by every lane of its mask; those of a block and of a warp all at the same line.
// Not emulated: concurrent threads (a thread that spins on another's store spins forever) and weakly ordered memory
// (memory.cpp and between_blocks.cpp detect races instead; atomic operations are none, the reader of what was fenced
// before one needs no fence, and a fence of one thread counts for its block), fused multiply-adds, the GPU's rounding of
// exp etc., streams, whether a cluster or a cooperative grid fits on a GPU, textures, inline PTX (so no mbarrier and no
// copies by TMA).
#pragma once

#include <assert.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <type_traits>
#include <utility>

#include "machine.h"

#define __global__
#define __device__
#define __host__
#define __constant__
#define __managed__
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define __cluster_dims__(...)
#define __align__(bytes) alignas(bytes)
#define __grid_constant__
#define CUDA_ON_CPU 1
#define __CUDA_ARCH__ 750
#define CUDART_INF_F __builtin_inff()
#define CUDART_INF __builtin_inf()
#define CUDART_NAN_F __builtin_nanf("")
#define CUDART_NAN __builtin_nan("")

constexpr int warpSize = 32;
using cuda_on_cpu::Where;

// ---- Barriers, warps --------------------------------------------------------------------------------------------

inline void __syncthreads(Where where = Where::current()) {
    cuda_on_cpu::block_barrier(cuda_on_cpu::Barrier::plain, 0, where);
}
inline int __syncthreads_count(int predicate, Where where = Where::current()) {
    return cuda_on_cpu::block_barrier(cuda_on_cpu::Barrier::count, predicate, where);
}
inline int __syncthreads_or(int predicate, Where where = Where::current()) {
    return cuda_on_cpu::block_barrier(cuda_on_cpu::Barrier::any, predicate, where);
}
inline int __syncthreads_and(int predicate, Where where = Where::current()) {
    return cuda_on_cpu::block_barrier(cuda_on_cpu::Barrier::all, predicate, where);
}
inline void __syncwarp(unsigned mask = 0xffffffffu, Where where = Where::current()) {
    cuda_on_cpu::warp_operation(cuda_on_cpu::Warp::sync, mask, 0, 0, 32, where);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, Where where = Where::current()) {
    return cuda_on_cpu::warp_operation(cuda_on_cpu::Warp::ballot, mask, predicate != 0, 0, 32, where);
}
inline int __any_sync(unsigned mask, int predicate, Where where = Where::current()) {
    return cuda_on_cpu::warp_operation(cuda_on_cpu::Warp::any, mask, predicate != 0, 0, 32, where);
}
inline int __all_sync(unsigned mask, int predicate, Where where = Where::current()) {
    return cuda_on_cpu::warp_operation(cuda_on_cpu::Warp::all, mask, predicate != 0, 0, 32, where);
}

namespace cuda_on_cpu {

template <typename T>
T exchange(Warp kind, unsigned mask, T value, int lane, int width, Where where) {
    static_assert(std::is_arithmetic_v<T> && sizeof(T) >= 4, "shuffles move 4 or 8 bytes");
    unsigned long long bits = 0;
    __builtin_memcpy(&bits, &value, sizeof value);
    bits = warp_operation(kind, mask, bits, lane, width, where);
    __builtin_memcpy(&value, &bits, sizeof value);
    return value;
}

}  // namespace cuda_on_cpu

#include "clusters.h"

#define CUDA_ON_CPU_SHUFFLE(name, kind, argument)                                                                    \
    template <typename T>                                                                                            \
    T name(unsigned mask, T value, argument lane, int width = 32, Where where = Where::current()) {                     \
        return cuda_on_cpu::exchange(cuda_on_cpu::Warp::kind, mask, value, int(lane), width, where);                  \
    }
CUDA_ON_CPU_SHUFFLE(__shfl_sync, shuffle, int)
CUDA_ON_CPU_SHUFFLE(__shfl_up_sync, shuffle_up, unsigned)
CUDA_ON_CPU_SHUFFLE(__shfl_down_sync, shuffle_down, unsigned)
CUDA_ON_CPU_SHUFFLE(__shfl_xor_sync, shuffle_xor, int)
#undef CUDA_ON_CPU_SHUFFLE

// ---- Memory ------------------------------------------------------------------------------------------------------

inline void __threadfence() { cuda_on_cpu::fence(); }
inline void __threadfence_block() {}  // one processor thread runs everything: every write is seen at once
inline void __threadfence_cluster() { cuda_on_cpu::fence(); }
inline void __threadfence_system() { cuda_on_cpu::fence(); }
#define CUDA_ON_CPU_LOAD(name)                                                                                       \
    template <typename T>                                                                                            \
    T name(const T* address) {                                                                                       \
        return *address;                                                                                             \
    }
CUDA_ON_CPU_LOAD(__ldg)
CUDA_ON_CPU_LOAD(__ldcg)
CUDA_ON_CPU_LOAD(__ldcs)
CUDA_ON_CPU_LOAD(__ldca)
#undef CUDA_ON_CPU_LOAD
#define CUDA_ON_CPU_STORE(name)                                                                                      \
    template <typename T>                                                                                            \
    void name(T* address, std::type_identity_t<T> value) {                                                           \
        *address = value;                                                                                            \
    }
CUDA_ON_CPU_STORE(__stcg)
CUDA_ON_CPU_STORE(__stcs)
CUDA_ON_CPU_STORE(__stwb)
CUDA_ON_CPU_STORE(__stwt)
#undef CUDA_ON_CPU_STORE

#define CUDA_ON_CPU_ATOMIC(name, result)                                                                             \
    template <typename T>                                                                                            \
    __attribute__((noinline, no_sanitize_address, no_sanitize_undefined)) T name(T* address,                         \
                                                                                 std::type_identity_t<T> value) {    \
        cuda_on_cpu::atomic_access(address, sizeof(T));                                                              \
        T old = *address;                                                                                            \
        *address = (result);                                                                                         \
        return old;                                                                                                  \
    }
CUDA_ON_CPU_ATOMIC(atomicAdd, old + value)
CUDA_ON_CPU_ATOMIC(atomicSub, old - value)
CUDA_ON_CPU_ATOMIC(atomicMax, old < value ? value : old)
CUDA_ON_CPU_ATOMIC(atomicMin, value < old ? value : old)
CUDA_ON_CPU_ATOMIC(atomicExch, value)
CUDA_ON_CPU_ATOMIC(atomicAnd, old & value)
CUDA_ON_CPU_ATOMIC(atomicOr, old | value)
CUDA_ON_CPU_ATOMIC(atomicXor, old ^ value)
CUDA_ON_CPU_ATOMIC(atomicInc, old >= value ? T(0) : T(old + 1))
CUDA_ON_CPU_ATOMIC(atomicDec, old == 0 || old > value ? value : T(old - 1))
#undef CUDA_ON_CPU_ATOMIC

template <typename T>
__attribute__((noinline, no_sanitize_address)) T atomicCAS(T* address, std::type_identity_t<T> compare,
                                                           std::type_identity_t<T> value) {
    cuda_on_cpu::atomic_access(address, sizeof(T));
    T old = *address;
    if (old == compare) *address = value;
    return old;
}

#include "intrinsics.h"

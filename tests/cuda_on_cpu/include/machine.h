// The interface of the machine that runs a kernel: threads, barriers, warps, memory, accesses.
#pragma once

#include <stddef.h>

#include <source_location>
#include <type_traits>

#include "vector_types.h"

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

namespace cuda_on_cpu {

extern dim3 cluster_size;  // in blocks

using Where = std::source_location;  // of a barrier or a warp operation: all participants are at the same one

enum class Warp : int { shuffle, shuffle_up, shuffle_down, shuffle_xor, ballot, any, all, sync };
enum class Barrier : int { plain, count, any, all };

// Wait until all lanes of `mask` are here; then each gets its answer (see machine.cpp: answer()).
unsigned long long warp_operation(Warp kind, unsigned mask, unsigned long long value, int lane, int width, Where where);
// Wait until all threads of the block are here; the answer combines their predicates.
int block_barrier(Barrier kind, int predicate, Where where);
// Wait until all threads of the grid are here; only in a cooperative launch.
void grid_barrier(Where where);
// Arrive at the cluster's barrier; relaxed: publishes only the memory accesses before a fence.
void cluster_arrive(bool relaxed, Where where);
// Wait until all of them have arrived.
void cluster_wait(Where where);
// Earlier writes may be read by threads that observe a later atomic operation, or a relaxed arrival.
void fence();
// The same offset in the shared memory of another block of the cluster; the owner of a shared-memory address.
void* map_shared(const void* address, unsigned rank);
unsigned shared_rank(const void* address);
// Granularity of race detection in bytes: a number, or a number of a vector; for a struct, whose members vary, a byte.
template <typename T>
constexpr size_t grain() {
    using Element = std::remove_all_extents_t<T>;
    if constexpr (requires(Element element) { element.x; }) return sizeof(Element::x);
    return std::is_class_v<Element> || std::is_union_v<Element> ? 1 : sizeof(Element);
}
// The block's array of that key (one per declaration); filled with bytes 0xFF when the block starts.
void* shared_array(const void* key, size_t bytes, size_t alignment, size_t grain, const char* name);
// The dynamic shared memory of the launch.
void* dynamic_shared_array(size_t alignment, size_t grain, const char* name);
// Before an atomic operation: the address is checked as an access, and is never a race.
void atomic_access(const void* address, size_t bytes);
// Ends the launch with a message; does not return.
[[noreturn]] void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));

}  // namespace cuda_on_cpu

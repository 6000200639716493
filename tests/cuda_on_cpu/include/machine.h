// What a kernel asks of the machine that runs it: machine.cpp (threads, barriers, warps) and memory.cpp (accesses).
#pragma once

#include <stddef.h>

#include <source_location>

#include "vector_types.h"

extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;

namespace cuda_on_cpu {

using Where = std::source_location;  // of a barrier or a warp operation: all who take part are at the same one

enum class Warp : int { shuffle, shuffle_up, shuffle_down, shuffle_xor, ballot, any, all, sync };
enum class Barrier : int { plain, count, any, all };

// Wait until all lanes of `mask` are here; then each has its answer (see machine.cpp: answer()).
unsigned long long warp_operation(Warp kind, unsigned mask, unsigned long long value, int lane, int width, Where where);
// Wait until all threads of the block are here; the answer combines their predicates.
int block_barrier(Barrier kind, int predicate, Where where);
// Wait until all threads of the grid are here; only in a cooperative launch.
void grid_barrier(Where where);
// The block's array of that key (one for each declaration); filled with bytes 0xFF when the block starts.
void* shared_array(const void* key, size_t bytes, size_t alignment, const char* name);
// The dynamic shared memory of the launch.
void* dynamic_shared_array(size_t alignment, const char* name);
// Before an atomic operation: the address is checked as an access, and not taken for a race.
void atomic_access(const void* address, size_t bytes);
// Ends the launch with a message; does not return.
[[noreturn]] void fail(const char* format, ...) __attribute__((format(printf, 1, 2)));

}  // namespace cuda_on_cpu

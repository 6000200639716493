// Checks every access of a kernel before it happens.
//
// g++ -fsanitize=kernel-address puts a call before each load and store (AddressSanitizer's instrumentation); the functions
// called are these, not libasan's, so that no other runtime is loaded into Python and a launch ends with a message
// instead of ending the process. An access has to be in one array argument, one shared array, the thread's own stack or
// the kernel's own constants, and aligned to its size. Two threads of a block that touch the same element, one of them
// writing, with neither a barrier nor a warp operation between them, are a race, in whatever order they ran; so are two
// blocks that do so with no barrier of both between (between_blocks.cpp). The parts of -fsanitize=undefined that matter to
// kernels end here, too: an index beyond an array's declared bounds, signed integer overflow, a division by zero.
#include <stdio.h>

#include <algorithm>

#include "machine_state.h"

extern "C" __attribute__((visibility("hidden"))) char __ehdr_start, _end;  // of this library

namespace cuda_on_cpu {

constexpr size_t RACES_UP_TO = size_t(64) << 20;  // bytes of an array; for larger ones only bounds are checked

static std::vector<std::vector<Touched>> touched_arguments;
static size_t last_region;

void memory_start() {
    last_region = 0;
    touched_arguments.assign(size_t(launch->region_count), {});
}

void memory_block_starts(Block& block) {
    block.known.assign(block.threads.size() * WARP, 0);
}

void memory_warp_meets(Block& block, unsigned warp, unsigned mask) {
    Thread* lanes = &block.threads[warp * WARP];
    for (unsigned i = 0; i < WARP; ++i) {
        if (!(mask >> i & 1)) continue;
        for (unsigned j = 0; j < WARP; ++j)
            if (mask >> j & 1) block.known[(warp * WARP + i) * WARP + j] = lanes[j].clock;
    }
    for (unsigned i = 0; i < WARP; ++i)
        if (mask >> i & 1) ++lanes[i].clock;
}

static bool ordered_after(uint16_t other, uint32_t clock) {
    if (other == current->number) return true;
    return other / WARP == current->number / WARP &&
           current->block->known[current->number * WARP + other % WARP] >= clock;
}

[[noreturn]] static void race_of_blocks(const char* does, const char* name, size_t offset, size_t grain, uint32_t other,
                                        const char* did) {
    fail("race: %s %s[byte %zu, element %zu], which %s %s, with no barrier of both between", does, name, offset,
         offset / grain, place("block", index_of(other)).c_str(), did);
}

// Races with other blocks; `touched` has block numbers + 1.
static void look_between_blocks(Touched& touched, bool write, const char* name, size_t offset, size_t grain) {
    const Block& block = *current->block;
    const uint32_t own = block.number + 1, moment = std::max(current->moment, block.moment);
    const auto unheard = [&](uint32_t other, uint32_t when) {
        return other && other != own && !has_heard(block, other - 1, when);
    };
    if (unheard(touched.write_block, touched.write_moment))
        race_of_blocks(write ? "writes" : "reads", name, offset, grain, touched.write_block - 1, "wrote");
    if (write) {
        for (int i = 0; i < 2; ++i)
            if (unheard(touched.read_block[i], touched.read_moment[i]))
                race_of_blocks("writes", name, offset, grain, touched.read_block[i] - 1, "read");
        touched.write_block = own;
        touched.write_moment = moment;
        return;
    }
    if (touched.read_block[0] != own) {
        touched.read_block[1] = touched.read_block[0];
        touched.read_moment[1] = touched.read_moment[0];
        touched.read_block[0] = own;
    }
    touched.read_moment[0] = moment;
}

[[noreturn]] static void race(const char* does, const char* name, size_t offset, size_t grain, unsigned other,
                              const char* did) {
    const uint3& who = current->block->threads[other].index;
    fail("race: %s %s[byte %zu, element %zu], which %s of its block %s, with nothing between that orders the two", does,
         name, offset, offset / grain, place("thread", who).c_str(), did);
}

static void look_for_races(Touched& touched, bool write, bool others, const char* name, size_t offset, size_t grain) {
    const Thread& thread = *current;
    const Block& block = *thread.block;
    if (touched.write_epoch == block.epoch && !ordered_after(touched.writer, touched.write_clock))
        race(write ? "writes" : "reads", name, offset, grain, touched.writer, "wrote");
    if (others) look_between_blocks(touched, write, name, offset, grain);
    if (!write) {
        if (touched.read_epoch != block.epoch) {
            touched.read_epoch = block.epoch;
            touched.reader[0] = touched.reader[1] = uint16_t(thread.number);
            touched.read_clock[0] = touched.read_clock[1] = thread.clock;
        } else if (touched.reader[0] != thread.number) {
            touched.reader[1] = touched.reader[0];
            touched.read_clock[1] = touched.read_clock[0];
            touched.reader[0] = uint16_t(thread.number);
        }
        touched.read_clock[0] = thread.clock;
        return;
    }
    if (touched.read_epoch == block.epoch)
        for (int i = 0; i < 2; ++i)
            if (!ordered_after(touched.reader[i], touched.read_clock[i]))
                race("writes", name, offset, grain, touched.reader[i], "read");
    touched.write_epoch = block.epoch;
    touched.write_clock = thread.clock;
    touched.writer = uint16_t(thread.number);
}

enum class Access { load, store, atomic };

static void touch(std::vector<Touched>& touched, size_t bytes_of_array, size_t grain, size_t offset, size_t bytes,
                  Access access, bool others, const char* name) {
    if (access == Access::atomic || bytes_of_array > RACES_UP_TO) return;
    const size_t elements = (bytes_of_array + grain - 1) / grain;
    if (touched.size() < elements) touched.resize(elements);
    for (size_t i = offset / grain; i <= (offset + bytes - 1) / grain; ++i)
        look_for_races(touched[i], access == Access::store, others, name, i * grain, grain);
}

static const char* said(Access access) {
    return access == Access::load ? "reads" : access == Access::store ? "writes" : "updates";
}

// Not in any array: reported relative to the nearest one, if it is near.
[[noreturn]] static void out_of_bounds(const char* address, size_t bytes, Access access) {
    const char* what = said(access);
    const char *name = nullptr, *begin = nullptr;
    size_t size = 0, grain = 1, nearest = 1 << 20;
    auto consider = [&](const char* array, size_t length, size_t element, const char* called) {
        const size_t distance = address < array ? size_t(array - address) : size_t(address - array) - std::min(length, size_t(address - array));
        if (distance >= nearest) return;
        nearest = distance, name = called, begin = array, size = length, grain = element;
    };
    for (const Block* block : current->block->cluster->blocks)
        for (const SharedArray& array : block->arrays) consider(array.begin, array.bytes, array.grain, array.name);
    for (int i = 0; i < launch->region_count; ++i) {
        const Region& region = launch->regions[i];
        consider(region.begin, region.bytes, region.grain, region.name);
    }
    if (!name) fail("out of bounds: %s %zu bytes at %p, far from every array", what, bytes, address);
    const long long offset = address - begin;
    fail("out of bounds: %s %zu bytes at byte %lld (element %lld) of %s, which has %zu bytes (%zu elements)", what, bytes,
         offset, (offset < 0 ? offset - (long long)grain + 1 : offset) / (long long)grain, name, size, size / grain);
}

static void check(const void* pointer, size_t bytes, Access access) {
    if (!current || bytes == 0) return;
    auto* address = static_cast<const char*>(pointer);
    auto inside = [&](const char* begin, size_t size) {
        return address >= begin && size_t(address - begin) <= size && bytes <= size - size_t(address - begin);
    };
    if (inside(static_cast<const char*>(current->stack), STACK_BYTES)) return;
    if (Block* owner = owner_of(address)) {
        for (size_t i = 0; i < owner->arrays.size(); ++i) {
            const SharedArray& array = owner->arrays[i];
            if (!inside(array.begin, array.bytes)) continue;
            if (owner != current->block) visit(*owner, said(access), array.name);
            if (owner->touched.size() <= i) owner->touched.resize(i + 1);
            touch(owner->touched[i], array.bytes, array.grain, size_t(address - array.begin), bytes, access,
                  owner->cluster->blocks.size() > 1, array.name);
            return;
        }
        out_of_bounds(address, bytes, access);
    }
    for (int i = 0; i < launch->region_count; ++i) {
        const size_t number = (last_region + size_t(i)) % size_t(launch->region_count);
        const Region& region = launch->regions[number];
        if (!inside(region.begin, region.bytes)) continue;
        last_region = number;
        touch(touched_arguments[number], region.bytes, region.grain, size_t(address - region.begin), bytes, access, true,
              region.name);
        return;
    }
    if (!inside(&__ehdr_start, size_t(&_end - &__ehdr_start))) out_of_bounds(address, bytes, access);
}

static void check_aligned(const void* address, size_t bytes, Access access) {
    if (current && reinterpret_cast<uintptr_t>(address) % bytes != 0)
        fail("misaligned: an access of %zu bytes at %p, which is no multiple of that", bytes, address);
    check(address, bytes, access);
}

void atomic_access(const void* address, size_t bytes) {
    check_aligned(address, bytes, Access::atomic);
    atomic_meets(address);
}

struct Place {  // source location; the first member of the arguments of the compiler's handlers
    const char* file;
    uint32_t line, column;
};

[[noreturn]] static void undefined(const Place* place, const char* what) {
    fail("line %u: %s", place->line, what);
}

}  // namespace cuda_on_cpu

using cuda_on_cpu::Access;
using cuda_on_cpu::Place;

#define ACCESSES(bytes)                                                                                              \
    extern "C" void __asan_load##bytes##_noabort(const void* address) {                                              \
        cuda_on_cpu::check_aligned(address, bytes, Access::load);                                                    \
    }                                                                                                                \
    extern "C" void __asan_store##bytes##_noabort(const void* address) {                                             \
        cuda_on_cpu::check_aligned(address, bytes, Access::store);                                                   \
    }
ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)
extern "C" void __asan_loadN_noabort(const void* address, size_t bytes) { cuda_on_cpu::check(address, bytes, Access::load); }
extern "C" void __asan_storeN_noabort(const void* address, size_t bytes) { cuda_on_cpu::check(address, bytes, Access::store); }
extern "C" void __asan_handle_no_return() {}

extern "C" void __ubsan_handle_out_of_bounds(const Place* place, unsigned long index) {
    cuda_on_cpu::fail("line %u: index %ld is out of the declared bounds of its array", place->line, long(index));
}
#define UNDEFINED(name, what, ...)                                                                                   \
    extern "C" void __ubsan_handle_##name(const Place* place, ##__VA_ARGS__) { cuda_on_cpu::undefined(place, what); }
UNDEFINED(add_overflow, "overflow in an addition of signed integers", unsigned long, unsigned long)
UNDEFINED(sub_overflow, "overflow in a subtraction of signed integers", unsigned long, unsigned long)
UNDEFINED(mul_overflow, "overflow in a multiplication of signed integers", unsigned long, unsigned long)
UNDEFINED(negate_overflow, "overflow in the negation of a signed integer", unsigned long)
UNDEFINED(divrem_overflow, "integer division by zero, or of the least integer by -1", unsigned long, unsigned long)
UNDEFINED(shift_out_of_bounds, "shift by fewer than 0 bits or by more than the type has", unsigned long, unsigned long)

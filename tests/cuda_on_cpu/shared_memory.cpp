// Shared memory: the arrays of a block, and which blocks of its cluster may access them when.
//
// A block may access another's after it has synchronized with it at all (before, that one may not have started), until it
// returns: and that one must not return before it has synchronized with the last access.
#include <string.h>

#include <algorithm>

#include "machine_state.h"

namespace cuda_on_cpu {

static const char dynamic_key = 0;

static void* shared_array(Block& block, const void* key, size_t bytes, size_t alignment, size_t grain, const char* name) {
    for (const SharedArray& array : block.arrays)
        if (array.key == key) return array.begin;
    if (key != &dynamic_key) block.static_bytes += bytes;
    if (block.static_bytes > STATIC_LIMIT)
        fail("shared memory: %zu bytes with %s, a kernel may declare %zu", block.static_bytes, name, STATIC_LIMIT);
    const size_t total = block.static_bytes + launch->shared_bytes;
    if (total > launch->shared_limit)
        fail("shared memory: %zu bytes with %s, the limit is %zu", total, name, launch->shared_limit);
    alignment = std::max<size_t>(alignment, 16);
    const auto memory = reinterpret_cast<uintptr_t>(block.memory.data());
    const size_t offset = (memory + block.memory_used + GAP + alignment - 1) / alignment * alignment - memory;
    if (offset + bytes + GAP > block.memory.size()) fail("too many __shared__ arrays");
    block.memory_used = offset + bytes;
    char* begin = block.memory.data() + offset;
    memset(begin, 0xFF, bytes);  // not zeros: NaN, -1
    block.arrays.push_back({key, name, begin, bytes, alignment, grain});
    return begin;
}

void* shared_array(const void* key, size_t bytes, size_t alignment, size_t grain, const char* name) {
    if (!current) fail("__shared__ %s outside a kernel", name);
    return shared_array(*current->block, key, bytes, alignment, grain, name);
}

void* dynamic_shared_array(size_t alignment, size_t grain, const char* name) {
    return shared_array(&dynamic_key, launch->shared_bytes, alignment, grain, name);
}

// ---- Of the other blocks of a cluster -----------------------------------------------------------------------------

void* map_shared(const void* address, unsigned rank) {
    const auto* byte = static_cast<const char*>(address);
    const auto& peers = current->block->cluster->blocks;
    if (rank >= peers.size()) fail("maps shared memory of block %u of a cluster of %zu", rank, peers.size());
    for (const SharedArray& array : current->block->arrays) {
        if (byte < array.begin || byte > array.begin + array.bytes) continue;
        const size_t offset = size_t(byte - array.begin);
        void* theirs = shared_array(*peers[rank], array.key, array.bytes, array.alignment, array.grain, array.name);
        return static_cast<char*>(theirs) + offset;
    }
    fail("maps %p, which is not in the shared memory of its block", address);
}

static bool holds(const Block& block, const void* address) {
    const auto* byte = static_cast<const char*>(address);
    return byte >= block.memory.data() && byte < block.memory.data() + block.memory.size();
}

// The block of the current thread's cluster that owns this shared memory, or nullptr.
Block* owner_of(const void* address) {
    for (Block* block : current->block->cluster->blocks)
        if (holds(*block, address)) return block;
    return nullptr;
}

unsigned shared_rank(const void* address) {
    const auto& peers = current->block->cluster->blocks;
    Block* owner = owner_of(address);
    if (!owner) fail("asks whose shared memory %p is in: it is nobody's", address);
    return unsigned(std::find(peers.begin(), peers.end(), owner) - peers.begin());
}

// Before an access to the shared memory of another block.
void visit(Block& owner, const char* does, const char* name) {
    const Block& guest = *current->block;
    if (owner.finished == threads_in_block)
        fail("%s %s of %s, which has returned: its shared memory is gone", does, name, place("block", owner.index).c_str());
    if (!has_heard(guest, owner.number, 1))
        fail("%s %s of %s, which may not have started: no barrier of both before", does, name,
             place("block", owner.index).c_str());
    const auto& peers = owner.cluster->blocks;
    owner.guests.resize(peers.size());
    owner.guests[size_t(std::find(peers.begin(), peers.end(), &guest) - peers.begin())] =
        std::max(current->moment, guest.moment);
}

// Before the last thread of a block returns.
void check_guests(const Block& block) {
    for (size_t rank = 0; rank < block.guests.size(); ++rank) {
        const Block& guest = *block.cluster->blocks[rank];
        if (block.guests[rank] && !has_heard(block, guest.number, block.guests[rank]))
            fail("returns while %s may still read its shared memory: no barrier of both after the access",
                 place("block", guest.index).c_str());
    }
}

}  // namespace cuda_on_cpu

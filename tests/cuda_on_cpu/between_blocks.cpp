// Happens-before between blocks: which accesses of another block come before, in whatever order they ran.
//
// A block counts moments: a barrier of the grid or of its cluster ends one, and so does a fence. memory.cpp records the
// moment of each access. Another block may rely on the access once it knows that moment: a barrier of the grid exchanges
// the knowledge of all blocks, one of a cluster that of its blocks; an atomic operation after a fence leaves the knowledge
// of its block at the address, for the next atomic operation there. A fence or a wait of one thread counts for its block.
#include <algorithm>
#include <unordered_map>

#include "machine_state.h"

namespace cuda_on_cpu {

dim3 cluster_size;

static size_t blocks_in_grid;
static Heard heard_by_all;                              // at the grid's last barrier
static std::unordered_map<const void*, Heard> left_at;  // by atomic operations

void between_blocks_start(size_t count) {
    blocks_in_grid = count;
    heard_by_all.clear();
    left_at.clear();
}

static void hear(Heard& heard, uint32_t number, uint32_t moment) {
    heard.resize(blocks_in_grid);
    heard[number] = std::max(heard[number], moment);
}

static void hear(Heard& heard, const Heard& told) {
    heard.resize(std::max(heard.size(), told.size()));
    for (size_t i = 0; i < told.size(); ++i) heard[i] = std::max(heard[i], told[i]);
}

bool has_heard(const Block& block, uint32_t number, uint32_t moment) {
    const auto in = [&](const Heard& heard) { return !heard.empty() && heard[number] >= moment; };
    return number == block.number || in(heard_by_all) || in(block.heard);
}

void grid_meets() {
    heard_by_all.resize(blocks_in_grid);
    for (auto& block : blocks) {
        heard_by_all[block->number] = block->moment + 1;  // of threads that have arrived at a cluster's barrier, too
        block->moment += 2;
    }
}

void cluster_arrives(Block& block, bool relaxed) {
    Heard& collected = block.cluster->collected;
    block.relaxed |= relaxed;
    current->moment = block.moment + 1;  // its later accesses are not published here
    if (++block.arrivals < threads_in_block) return;
    hear(collected, block.heard);
    hear(collected, block.number, block.relaxed ? std::max(block.fenced, 1u) : block.moment);
    ++block.moment;
    block.arrivals = 0;
    block.relaxed = false;
}

void cluster_waits(Block& block) {
    if (block.barriers == block.cluster->barriers) return;  // another thread of the block has waited for this barrier
    block.barriers = block.cluster->barriers;
    hear(block.heard, block.cluster->told);
}

void fence() {
    Block& block = *current->block;
    current->fenced = block.fenced = std::max(current->moment, block.moment);
    block.moment = block.fenced + 1;
}

void atomic_meets(const void* address) {
    if (!current) return;
    Block& block = *current->block;
    const auto found = left_at.find(address);
    if (found != left_at.end()) hear(block.heard, found->second);
    if (!current->fenced) return;
    Heard& left = left_at[address];
    hear(left, block.heard);
    hear(left, block.number, current->fenced);
}

}  // namespace cuda_on_cpu

// Where threads wait for each other: barriers of block, cluster and grid, warp operations; and reports of deadlocks.
//
// All participants have to arrive: each thread of block, cluster or grid, each lane of the mask, those of a block or of a
// mask at the same operation of the source, including threads that have returned. Some GPUs tolerate some violations, but
// programs cannot rely on that.
#include <string.h>

#include <algorithm>

#include "machine_state.h"

namespace cuda_on_cpu {

static size_t in_grid, grid_waiting;

void waiting_start(size_t threads_in_grid) {
    in_grid = threads_in_grid;
    grid_waiting = 0;
}

static bool same(const Where& a, const Where& b) {
    return a.line() == b.line() && strcmp(a.file_name(), b.file_name()) == 0;
}

static std::string said(const Where& where) {
    return std::string(where.file_name()) + ":" + std::to_string(where.line());
}

static void wait_at(State state, const Where& where) {
    current->state = state;
    current->where = where;
}

int block_barrier(Barrier kind, int predicate, Where where) {
    Thread& thread = *current;
    Block& block = *thread.block;
    if (block.waiting == 0) {
        block.barrier = where;
        block.barrier_kind = kind;
        block.answer = kind == Barrier::all;
    } else if (!same(where, block.barrier)) {
        fail("is at the barrier in %s while others of its block wait at the one in %s", said(where).c_str(),
             said(block.barrier).c_str());
    }
    if (kind == Barrier::count) block.answer += predicate != 0;
    if (kind == Barrier::any) block.answer |= predicate != 0;
    if (kind == Barrier::all) block.answer &= predicate != 0;
    wait_at(State::at_barrier, where);
    if (++block.waiting == threads_in_block) {
        block.waiting = 0;
        block.epoch = ++epochs;
        for (Thread& each : block.threads) each.value = static_cast<unsigned long long>(block.answer);
        make_ready(block);
    }
    to_machine();
    return static_cast<int>(thread.value);
}

void grid_barrier(Where where) {
    if (!launch->cooperative) fail("grid sync in %s, but the launch is not a cooperative one", said(where).c_str());
    wait_at(State::at_grid_barrier, where);
    if (++grid_waiting == in_grid) {
        grid_waiting = 0;
        grid_meets();
        for (auto& block : blocks) {
            block->epoch = ++epochs;
            make_ready(*block);
        }
    }
    to_machine();
}

void cluster_arrive(bool relaxed, Where where) {
    Thread& thread = *current;
    Cluster& cluster = *thread.block->cluster;
    if (thread.has_arrived) fail("arrives again at its cluster's barrier in %s, and has not waited", said(where).c_str());
    thread.has_arrived = true;
    ++thread.arrivals;
    cluster_arrives(*thread.block, relaxed);
    if (++cluster.arrived < threads_in_block * cluster.blocks.size()) return;
    cluster.arrived = 0;
    ++cluster.barriers;
    cluster.told.swap(cluster.collected);
    cluster.collected.clear();
    for (auto& block : blocks) {  // in the order of the launch
        if (block->cluster != &cluster) continue;
        block->epoch = ++epochs;
        make_ready_after_cluster(*block);
    }
}

void cluster_wait(Where where) {
    Thread& thread = *current;
    if (!thread.has_arrived) fail("waits at its cluster's barrier in %s, and has not arrived", said(where).c_str());
    if (thread.block->cluster->barriers < thread.arrivals) {
        wait_at(State::at_cluster_barrier, where);
        to_machine();
    }
    thread.has_arrived = false;
    cluster_waits(*thread.block);
}

// The value that `thread` receives, now that all lanes of its mask have passed theirs.
static unsigned long long answer(const Thread& thread, const Thread* lanes) {
    const int lane = int(thread.number % WARP);
    const unsigned mask = thread.mask;
    unsigned votes = 0;
    for (unsigned i = 0; i < WARP; ++i)
        if (mask >> i & 1) votes |= unsigned(lanes[i].value & 1) << i;
    const int first = lane / thread.width * thread.width, last = first + thread.width - 1;
    int source = lane;
    switch (thread.kind) {
        case Warp::sync: return 0;
        case Warp::ballot: return votes;
        case Warp::any: return votes != 0;
        case Warp::all: return votes == mask;
        case Warp::shuffle: source = first + (thread.lane & (thread.width - 1)); break;
        case Warp::shuffle_up: source = lane - thread.lane < first ? lane : lane - thread.lane; break;
        case Warp::shuffle_down: source = lane + thread.lane > last ? lane : lane + thread.lane; break;
        case Warp::shuffle_xor: source = (lane ^ thread.lane) > last ? lane : lane ^ thread.lane; break;
    }
    if (!(mask >> source & 1))
        fail("lane %d of the shuffle in %s reads from lane %d, which is not in its mask %#x", lane,
             said(thread.where).c_str(), source, mask);
    return lanes[source].value;
}

static void check_mask(const Block& block, const Thread& thread, unsigned mask, const Where& where) {
    const unsigned warp = thread.number / WARP, exist = std::min(WARP, threads_in_block - warp * WARP);
    if (!(mask >> (thread.number % WARP) & 1))
        fail("the mask %#x of the warp operation in %s is without the lane that calls it", mask, said(where).c_str());
    for (unsigned i = 0; i < WARP; ++i) {
        if (!(mask >> i & 1)) continue;
        if (i >= exist)
            fail("the mask %#x in %s names lane %u, but the warp has %u threads", mask, said(where).c_str(), i, exist);
        if (block.threads[warp * WARP + i].state == State::returned)
            fail("the mask %#x in %s names lane %u, whose thread has returned", mask, said(where).c_str(), i);
    }
}

// All lanes of the mask have arrived: each gets its answer and may continue.
static void meet(Block& block, unsigned warp, unsigned mask) {
    const Thread& thread = *current;
    Thread* lanes = &block.threads[warp * WARP];
    unsigned long long received[WARP] = {};
    for (unsigned i = 0; i < WARP; ++i) {
        if (!(mask >> i & 1)) continue;
        if (!same(lanes[i].where, thread.where))
            fail("is at the warp operation in %s while lane %u of its mask is at the one in %s",
                 said(thread.where).c_str(), i, said(lanes[i].where).c_str());
        if (lanes[i].mask != mask)
            fail("the warp operation in %s has mask %#x here and %#x in lane %u", said(thread.where).c_str(), mask,
                 lanes[i].mask, i);
        received[i] = answer(lanes[i], lanes);
    }
    for (unsigned i = 0; i < WARP; ++i)
        if (mask >> i & 1) lanes[i].value = received[i];
    block.arrived[warp] &= ~mask;
    memory_warp_meets(block, warp, mask);
    make_ready(block, warp, mask);
}

unsigned long long warp_operation(Warp kind, unsigned mask, unsigned long long value, int lane, int width, Where where) {
    Thread& thread = *current;
    Block& block = *thread.block;
    const unsigned warp = thread.number / WARP;
    check_mask(block, thread, mask, where);
    if (width < 1 || width > 32 || (width & (width - 1)))
        fail("the width %d of the shuffle in %s is no power of two up to 32", width, said(where).c_str());
    wait_at(State::at_warp_operation, where);
    thread.kind = kind;
    thread.mask = mask;
    thread.value = value;
    thread.lane = lane;
    thread.width = width;
    block.arrived[warp] |= 1u << (thread.number % WARP);
    if ((block.arrived[warp] & mask) == mask) meet(block, warp, mask);
    to_machine();
    return thread.value;
}

static std::string whereabouts(const Thread& thread) {
    switch (thread.state) {
        case State::at_barrier: return "waits at the block's barrier in " + said(thread.where);
        case State::at_warp_operation: return "waits at the warp operation in " + said(thread.where);
        case State::at_cluster_barrier: return "waits at the cluster's barrier in " + said(thread.where);
        case State::at_grid_barrier: return "waits at the grid's barrier in " + said(thread.where);
        case State::returned: return "has returned";
        case State::ready: return "runs";
    }
    return "";
}

// Whether `thread` waits for `other`.
static bool awaited(const Thread& thread, const Thread& other) {
    if (thread.state == State::at_cluster_barrier)
        return thread.block->cluster == other.block->cluster && other.arrivals < thread.arrivals;
    if (thread.state == other.state && same(thread.where, other.where)) return false;
    if (thread.state == State::at_grid_barrier) return true;
    if (thread.block != other.block) return false;
    return thread.state == State::at_barrier ||
           (thread.number / WARP == other.number / WARP && (thread.mask >> (other.number % WARP) & 1));
}

void explain_standstill() {
    for (auto& block : blocks) {
        for (Thread& thread : block->threads) {
            if (thread.state == State::returned) continue;
            for (auto& other_block : blocks) {
                for (Thread& other : other_block->threads) {
                    if (!awaited(thread, other)) continue;
                    const char* what = thread.state == State::at_barrier           ? "barrier"
                                       : thread.state == State::at_warp_operation  ? "warp operation"
                                       : thread.state == State::at_cluster_barrier ? "cluster sync"
                                                                                   : "grid sync";
                    const std::string who = place("block", other_block->index) + ", " + place("thread", other.index);
                    give_up(&thread, std::string(what) + " not reached by all: it " + whereabouts(thread) + ", but " +
                                         who + " " + whereabouts(other));
                }
            }
        }
    }
}

}  // namespace cuda_on_cpu

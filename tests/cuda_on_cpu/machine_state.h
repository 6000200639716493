// State shared by the parts of the machine: scheduling (machine.cpp, waiting.cpp) and accesses. Kernels never see this.
#pragma once

#include <stdint.h>

#include <memory>
#include <string>
#include <vector>

#include "machine.h"

namespace cuda_on_cpu {

constexpr unsigned WARP = 32;

enum class State : uint8_t { ready, at_barrier, at_warp_operation, at_cluster_barrier, at_grid_barrier, returned };

struct Block;

// Per block of the grid, by its number: the last of its moments that is known (between_blocks.cpp); or empty.
using Heard = std::vector<uint32_t>;

struct Thread {
    Block* block = nullptr;
    uint3 index{};
    unsigned number = 0;  // in the block; its lane is number % 32
    State state = State::ready;
    void* stack = nullptr;
    void* stack_pointer = nullptr;
    Where where;  // the operation it waits at, as the next five
    Warp kind{};
    unsigned mask = 0;
    int lane = 0, width = 32;
    unsigned long long value = 0;  // given, then received
    uint32_t clock = 1;            // synchronizations it took part in, for memory.cpp
    uint32_t arrivals = 0;         // at its cluster's barrier
    bool has_arrived = false;      // arrived, and has not waited yet
    uint32_t moment = 0;           // of its accesses, or its block's if that is later
    uint32_t fenced = 0;           // its block's moment at its last fence
};

struct SharedArray {
    const void* key;
    const char* name;
    char* begin;
    size_t bytes, alignment;
    size_t grain;  // bytes of an element, the granularity of race detection
};

// The last accesses of an element. Readers: the last one and another, of the last block that read; blocks likewise.
struct Touched {
    uint32_t write_epoch, write_clock, read_epoch, read_clock[2];
    uint32_t write_block, write_moment, read_block[2], read_moment[2];  // blocks: their number + 1
    uint16_t writer, reader[2];
};

// Blocks that can reach each other's shared memory; a launch without clusters has clusters of one block.
struct Cluster {
    std::vector<Block*> blocks;  // by rank
    unsigned arrived = 0;        // threads, at the next barrier
    uint32_t barriers = 0;       // that all threads have reached
    Heard collected, told;       // from threads that arrived; for those that waited for the last barrier
};

struct Block {
    uint3 index{};
    uint32_t number = 0;  // in the grid
    size_t place = 0;     // in `blocks`
    Cluster* cluster = nullptr;
    unsigned arrivals = 0;  // of its threads, at the cluster's next barrier
    bool relaxed = false;   // whether one of them was relaxed
    uint32_t barriers = 0;  // of the cluster that it has waited for
    uint32_t moment = 2;    // counts events that may publish to other blocks; 1 is its start
    uint32_t fenced = 0;    // its moment at its last fence
    Heard heard;            // by barriers of its cluster and atomic operations
    std::vector<uint32_t> guests;  // by rank: the last moment of another block that touched its shared memory
    uint32_t epoch = 0;   // counts the barriers of all blocks, so that no two intervals between barriers share one
    unsigned waiting = 0, finished = 0;
    Where barrier;
    int answer = 0;
    Barrier barrier_kind{};
    std::vector<Thread> threads;
    std::vector<uint32_t> arrived;  // lanes per warp that wait at a warp operation
    std::vector<char> memory;       // its shared arrays, with gaps between them
    size_t memory_used = 0, static_bytes = 0;
    std::vector<SharedArray> arrays;
    std::vector<std::vector<Touched>> touched;  // per shared array; entries of earlier blocks have other epochs
    std::vector<uint32_t> known;  // [thread][lane]: the lane's clock when the two last met at a warp operation
};

// One array argument of the launch; a kernel may touch these and the block's shared arrays, and nothing else.
struct Region {
    char* begin;
    size_t bytes;
    size_t grain;  // of an element
    const char* name;
};

// Filled in by compiling.py.
struct Launch {
    const char* kernel;
    void (*call)(void**);
    void** arguments;
    const Region* regions;
    int region_count;
    unsigned grid[3];
    unsigned block[3];
    unsigned cluster[3];
    size_t shared_bytes, shared_limit;  // dynamic; maximum per block, including declared ones
    int order;  // 0: 0, 1, 2, …; AHEAD: same, but each block runs until it blocks; 1: backwards; else a seed for shuffling
    int cooperative;
    int flushes;  // whether denormals count as zero
};

extern const Launch* launch;
extern std::vector<std::unique_ptr<Block>> blocks;  // those alive: of one cluster, or all in a cooperative launch
extern unsigned threads_in_block;
extern uint32_t epochs;
extern Thread* current;  // nullptr while the machine itself runs

constexpr size_t STACK_BYTES = 64 * 1024;
constexpr size_t STATIC_LIMIT = 48 * 1024;  // of declared arrays, whatever was requested
constexpr size_t GAP = 256;                 // between shared arrays
constexpr int AHEAD = -1;

// machine.cpp
void to_machine();
[[noreturn]] void give_up(const Thread* about, const std::string& why);
void make_ready(Block& block);
void make_ready_after_cluster(Block& block);
void make_ready(Block& block, unsigned warp, unsigned mask);
std::string place(const char* what, const uint3& at);
uint3 index_of(uint32_t number);

// waiting.cpp
void waiting_start(size_t threads_in_grid);
void explain_standstill();

// between_blocks.cpp
void between_blocks_start(size_t blocks_in_grid);
bool has_heard(const Block& block, uint32_t number, uint32_t moment);
void grid_meets();
void cluster_arrives(Block& block, bool relaxed);
void cluster_waits(Block& block);
void atomic_meets(const void* address);

// shared_memory.cpp
Block* owner_of(const void* address);
void visit(Block& owner, const char* does, const char* name);
void check_guests(const Block& block);

// memory.cpp
void memory_start();
void memory_block_starts(Block& block);
void memory_warp_meets(Block& block, unsigned warp, unsigned mask);

}  // namespace cuda_on_cpu

// What machine.cpp (who runs when) and memory.cpp (who touches what) share. Kernels never see this.
#pragma once

#include <stdint.h>

#include <memory>
#include <string>
#include <vector>

#include "machine.h"

namespace cuda_on_cpu {

constexpr unsigned WARP = 32;

enum class State : uint8_t { ready, at_barrier, at_warp_operation, at_grid_barrier, returned };

struct Block;

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
    uint32_t clock = 1;            // synchronisations it took part in, for memory.cpp
};

struct SharedArray {
    const void* key;
    const char* name;
    char* begin;
    size_t bytes;
    size_t grain;  // what races are looked for in: the alignment of its type
};

// Who touched an element last. Readers: the last one and another.
struct Touched {
    uint32_t write_epoch, write_clock, write_block, write_grid_epoch;  // write_block: its number + 1
    uint32_t read_epoch, read_clock[2];
    uint16_t writer, reader[2];
};

struct Block {
    uint3 index{};
    uint32_t number = 0;  // in the grid
    uint32_t epoch = 0;   // counts the barriers of all blocks, so that no two intervals between barriers share one
    unsigned waiting = 0, finished = 0;
    Where barrier;
    int answer = 0;
    Barrier barrier_kind{};
    std::vector<Thread> threads;
    std::vector<uint32_t> arrived;  // lanes of each warp that wait at a warp operation
    std::vector<char> memory;       // its shared arrays, apart from each other
    size_t memory_used = 0, shared_bytes = 0;
    std::vector<SharedArray> arrays;
    std::vector<std::vector<Touched>> touched;  // of each shared array; entries of blocks before have other epochs
    std::vector<uint32_t> known;  // [thread][lane]: the lane's clock when the two last met at a warp operation
};

// One array argument of the launch; a kernel may touch these and the block's shared arrays, and nothing else.
struct Region {
    char* begin;
    size_t bytes;
    size_t grain;  // of an element
    const char* name;
};

// As compiling.py fills it in.
struct Launch {
    const char* kernel;
    void (*call)(void**);
    void** arguments;
    const Region* regions;
    int region_count;
    unsigned grid[3];
    unsigned block[3];
    size_t shared_bytes;
    int order;  // 0: 0, 1, 2, …; 1: backwards; else a seed to shuffle by
    int cooperative;
    int flushes;  // whether numbers below the smallest normal one count as zero
};

extern const Launch* launch;
extern uint32_t grid_epoch;  // counts grid barriers
extern std::vector<std::unique_ptr<Block>> blocks;  // those alive: one, or in a cooperative launch all
extern uint32_t epochs;
extern Thread* current;  // nullptr while the machine itself runs

constexpr size_t STACK_BYTES = 64 * 1024;
constexpr size_t SHARED_LIMIT = 48 * 1024;  // what a block has without asking for more
constexpr size_t GAP = 256;                 // between shared arrays

// machine.cpp
void to_machine();
[[noreturn]] void give_up(const Thread* about, const std::string& why);
void make_ready(Block& block);
void make_ready(Block& block, unsigned warp, unsigned mask);
std::string place(const char* what, const uint3& at);

// waiting.cpp
void waiting_start(unsigned threads_in_block, size_t threads_in_grid);
void explain_standstill();

// memory.cpp
void memory_start();
void memory_block_starts(Block& block);
void memory_warp_meets(Block& block, unsigned warp, unsigned mask);

}  // namespace cuda_on_cpu

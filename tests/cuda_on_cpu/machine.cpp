// Who runs when: the threads of a block are fibers of one processor thread, each of which runs until it waits for others.
//
// Blocks run one after the other, in the order asked for; in a cooperative launch all are alive at once. When nobody can
// run and somebody still waits, a barrier or a warp operation was not reached by all: that ends the launch with a message
// that names who waits and for whom. Errors leave the fibers where they are; nothing in them needs undoing.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include <algorithm>
#include <random>

#include "fiber.h"
#include "machine_state.h"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace cuda_on_cpu {

const Launch* launch;
Thread* current;
std::vector<std::unique_ptr<Block>> blocks;
uint32_t epochs, grid_epoch;

static void* machine_stack_pointer;
static std::string failure;
static std::vector<Thread*> ready;
static size_t next_ready;
static std::vector<unsigned> thread_order, lane_order;
static std::vector<void*> free_stacks, stack_chunks;
static unsigned threads_in_block;
static constexpr uint64_t CANARY = 0x5afe57ac6b0770f5;

std::string place(const char* what, const uint3& at) {
    char text[64];
    snprintf(text, sizeof text, "%s (%u, %u, %u)", what, at.x, at.y, at.z);
    return text;
}

// ---- Fibers ------------------------------------------------------------------------------------------------------

constexpr size_t STACKS_A_CHUNK = 64, CHUNKS_KEPT = 4;

// After a launch: what a large one took is given back, as every compiled source has stacks of its own.
static void release_stacks() {
    if (stack_chunks.size() <= CHUNKS_KEPT) return;
    for (void* chunk : stack_chunks) munmap(chunk, STACKS_A_CHUNK * STACK_BYTES);
    stack_chunks.clear();
    free_stacks.clear();
}

static void* new_stack() {
    if (free_stacks.empty()) {
        auto* memory = static_cast<char*>(mmap(nullptr, STACKS_A_CHUNK * STACK_BYTES, PROT_READ | PROT_WRITE,
                                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
        if (memory == MAP_FAILED) fail("no memory for the stacks of so many threads");
        stack_chunks.push_back(memory);
        for (size_t i = STACKS_A_CHUNK; i-- > 0;) free_stacks.push_back(memory + i * STACK_BYTES);
    }
    void* stack = free_stacks.back();
    free_stacks.pop_back();
    *static_cast<uint64_t*>(stack) = CANARY;
    return stack;
}

void to_machine() {
    Thread* thread = current;
    current = nullptr;
    switch_fiber(&thread->stack_pointer, machine_stack_pointer);
}

void give_up(const Thread* about, const std::string& why) {
    failure = launch->kernel;
    if (about) failure += ", " + place("block", about->block->index) + ", " + place("thread", about->index);
    failure += ": " + why;
    if (current) to_machine();
    throw 0;  // from the machine itself: caught in cuda_on_cpu_launch
}

void fail(const char* format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    give_up(current, text);
}

static void thread_main() {
    launch->call(launch->arguments);
    Thread* thread = current;
    thread->state = State::returned;
    ++thread->block->finished;
    to_machine();
}

static void resume(Thread* thread) {
    if (!thread->stack) {
        thread->stack = new_stack();
        thread->stack_pointer = start_fiber(thread->stack, STACK_BYTES, thread_main);
    }
    current = thread;
    threadIdx = thread->index;
    blockIdx = thread->block->index;
    switch_fiber(&machine_stack_pointer, thread->stack_pointer);
    if (!failure.empty()) throw 0;
    if (*static_cast<uint64_t*>(thread->stack) != CANARY)
        fail("a thread needed more than %zu bytes of stack for its local arrays", STACK_BYTES);
    if (thread->state == State::returned) {
        free_stacks.push_back(thread->stack);
        thread->stack = nullptr;
    }
}

void make_ready(Block& block) {
    for (unsigned number : thread_order) {
        Thread& thread = block.threads[number];
        thread.state = State::ready;
        ++thread.clock;
        ready.push_back(&thread);
    }
}

void make_ready(Block& block, unsigned warp, unsigned mask) {
    for (unsigned lane : lane_order) {
        if (!(mask >> lane & 1)) continue;
        block.threads[warp * WARP + lane].state = State::ready;
        ready.push_back(&block.threads[warp * WARP + lane]);
    }
}

static void run_ready() {
    while (next_ready < ready.size()) {
        Thread* thread = ready[next_ready++];
        if (next_ready == ready.size()) {
            ready.clear();
            next_ready = 0;
        }
        resume(thread);
    }
    for (auto& block : blocks)
        if (block->finished != threads_in_block) explain_standstill();
}

// ---- Shared memory -----------------------------------------------------------------------------------------------

void* shared_array(const void* key, size_t bytes, size_t alignment, const char* name) {
    if (!current) fail("__shared__ %s outside a kernel", name);
    Block& block = *current->block;
    for (const SharedArray& array : block.arrays)
        if (array.key == key) return array.begin;
    block.shared_bytes += bytes;
    if (block.shared_bytes > SHARED_LIMIT)
        fail("shared memory: %zu bytes with %s, the limit is %zu", block.shared_bytes, name, SHARED_LIMIT);
    const size_t grain = std::min<size_t>(alignment, 8);
    alignment = std::max<size_t>(alignment, 16);
    size_t offset = (block.memory_used + GAP + alignment - 1) / alignment * alignment;
    if (offset + bytes + GAP > block.memory.size()) fail("too many __shared__ arrays");
    block.memory_used = offset + bytes;
    char* begin = block.memory.data() + offset;
    memset(begin, 0xFF, bytes);  // no zeros to count on: NaN, -1
    block.arrays.push_back({key, name, begin, bytes, grain});
    return begin;
}

void* dynamic_shared_array(size_t alignment, const char* name) {
    static char key;
    return shared_array(&key, launch->shared_bytes, alignment, name);
}

// ---- A launch ----------------------------------------------------------------------------------------------------

template <typename Number>
static std::vector<Number> in_order(size_t count, int order) {
    std::vector<Number> numbers(count);
    for (size_t i = 0; i < count; ++i) numbers[i] = Number(order == 1 ? count - 1 - i : i);
    if (order > 1) std::shuffle(numbers.begin(), numbers.end(), std::mt19937(unsigned(order)));
    return numbers;
}

static void start_block(Block& block, uint32_t number) {
    block.number = number;
    block.index = {number % gridDim.x, number / gridDim.x % gridDim.y, number / gridDim.x / gridDim.y};
    block.epoch = ++epochs;
    block.waiting = block.finished = 0;
    block.threads.resize(threads_in_block);
    block.arrived.assign((threads_in_block + WARP - 1) / WARP, 0);
    block.memory.resize(SHARED_LIMIT + 64 * GAP);
    block.memory_used = block.shared_bytes = 0;
    block.arrays.clear();
    for (unsigned i = 0; i < threads_in_block; ++i) {
        Thread& thread = block.threads[i];
        thread.block = &block;
        thread.number = i;
        thread.index = {i % blockDim.x, i / blockDim.x % blockDim.y, i / blockDim.x / blockDim.y};
        thread.state = State::ready;
        thread.clock = 1;
    }
    memory_block_starts(block);
    for (unsigned i : thread_order) ready.push_back(&block.threads[i]);
}

// While it lives, numbers below the smallest normal one are zero, read or written; on x86-64 alone.
struct Flushing {
#if defined(__x86_64__)
    const unsigned before = _mm_getcsr();
    explicit Flushing(bool flushes) { _mm_setcsr(before | (flushes ? 0x8040 : 0)); }
    ~Flushing() { _mm_setcsr(before); }
#else
    explicit Flushing(bool) {}
#endif
};

static void run(const Launch& asked) {
    const Flushing flushing(asked.flushes);
    blockDim = {asked.block[0], asked.block[1], asked.block[2]};
    gridDim = {asked.grid[0], asked.grid[1], asked.grid[2]};
    const size_t count = size_t(gridDim.x) * gridDim.y * gridDim.z;
    threads_in_block = blockDim.x * blockDim.y * blockDim.z;
    const size_t threads_in_grid = threads_in_block * count;
    if (asked.cooperative && threads_in_grid > 65536)
        fail("a cooperative launch of %zu threads: all must be alive at once, at most 65536", threads_in_grid);
    thread_order = in_order<unsigned>(threads_in_block, asked.order);
    lane_order = in_order<unsigned>(WARP, asked.order);
    waiting_start(threads_in_block, threads_in_grid);
    memory_start();
    for (uint32_t number : in_order<uint32_t>(count, asked.order)) {
        if (asked.cooperative || blocks.empty()) blocks.push_back(std::make_unique<Block>());
        start_block(*blocks.back(), number);
        if (!asked.cooperative) run_ready();
    }
    run_ready();
}

}  // namespace cuda_on_cpu

// Nothing if all went well, else what went wrong; valid until the next launch.
extern "C" const char* cuda_on_cpu_launch(const cuda_on_cpu::Launch* asked) {
    using namespace cuda_on_cpu;
    launch = asked;
    failure.clear();
    ready.clear();
    next_ready = 0;
    blocks.clear();
    epochs = grid_epoch = 0;
    try {
        run(*asked);
    } catch (int) {
        for (auto& block : blocks)
            for (Thread& thread : block->threads)
                if (thread.stack) free_stacks.push_back(thread.stack);
    }
    current = nullptr;
    blocks.clear();
    release_stacks();
    return failure.empty() ? nullptr : failure.c_str();
}

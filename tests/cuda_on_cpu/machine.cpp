// Scheduling: the threads of a block are fibers of one processor thread, each of which runs until it waits for others.
//
// Clusters run one after the other, in the requested order; the blocks of one, and all of them in a cooperative launch,
// are alive at once: either their threads take turns, or a block runs ahead until it has to wait for another. When no
// thread can run and some still wait, a barrier or a warp operation was not reached by all: that ends the launch with a
// message that names the waiting threads and what they wait for. Errors abandon the fibers; nothing in them needs undoing.
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
uint32_t epochs;
unsigned threads_in_block;

static void* machine_stack_pointer;
static std::string failure;
static std::vector<std::unique_ptr<Cluster>> clusters;
static std::vector<unsigned> thread_order, lane_order, rank_order;
static std::vector<void*> free_stacks, stack_chunks;
static constexpr uint64_t CANARY = 0x5afe57ac6b0770f5;

std::string place(const char* what, const uint3& at) {
    char text[64];
    snprintf(text, sizeof text, "%s (%u, %u, %u)", what, at.x, at.y, at.z);
    return text;
}

uint3 index_of(uint32_t number) {
    return {number % gridDim.x, number / gridDim.x % gridDim.y, number / gridDim.x / gridDim.y};
}

// ---- Ready threads ------------------------------------------------------------------------------------------------

struct Queue {
    std::vector<Thread*> threads;
    size_t next = 0;
};
static std::vector<Queue> queues;  // one per block where blocks run ahead, else one for all

static void enqueue(Thread& thread) {
    thread.state = State::ready;
    queues[queues.size() > 1 ? thread.block->place : 0].threads.push_back(&thread);
}

static Thread* next_of(Queue& queue) {
    if (queue.threads.empty()) return nullptr;
    Thread* thread = queue.threads[queue.next++];
    if (queue.next == queue.threads.size()) {
        queue.threads.clear();
        queue.next = 0;
    }
    return thread;
}

void make_ready(Block& block) {
    for (unsigned number : thread_order) {
        ++block.threads[number].clock;
        enqueue(block.threads[number]);
    }
}

void make_ready(Block& block, unsigned warp, unsigned mask) {
    for (unsigned lane : lane_order)
        if (mask >> lane & 1) enqueue(block.threads[warp * WARP + lane]);
}

void make_ready_after_cluster(Block& block) {
    for (unsigned number : thread_order)
        if (block.threads[number].state == State::at_cluster_barrier) enqueue(block.threads[number]);
}

// ---- Fibers ------------------------------------------------------------------------------------------------------

constexpr size_t STACKS_A_CHUNK = 64, CHUNKS_KEPT = 4;

// After a launch: free the memory of a large one, because every compiled source has its own stacks.
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
    if (thread->block->finished + 1 == threads_in_block) check_guests(*thread->block);
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

static void run_ready() {
    for (bool ran = true; ran;) {
        ran = false;
        for (Queue& queue : queues) {
            while (Thread* thread = next_of(queue)) {
                resume(thread);
                ran = true;
            }
        }
    }
    for (auto& block : blocks)
        if (block->finished != threads_in_block) explain_standstill();
}

// ---- A launch ----------------------------------------------------------------------------------------------------

template <typename Number>
static std::vector<Number> in_order(size_t count, int order) {
    std::vector<Number> numbers(count);
    for (size_t i = 0; i < count; ++i) numbers[i] = Number(order == 1 ? count - 1 - i : i);
    if (order > 1) std::shuffle(numbers.begin(), numbers.end(), std::mt19937(unsigned(order)));
    return numbers;
}

static void start_block(Block& block, const uint3& index) {
    block.number = index.x + gridDim.x * (index.y + gridDim.y * index.z);
    block.index = index;
    block.epoch = ++epochs;
    block.waiting = block.finished = block.arrivals = 0;
    block.relaxed = false;
    block.barriers = block.fenced = 0;
    block.moment = 2;
    block.heard.clear();
    block.guests.clear();
    block.threads.resize(threads_in_block);
    block.arrived.assign((threads_in_block + WARP - 1) / WARP, 0);
    block.memory.resize(launch->shared_limit + 64 * GAP);
    block.memory_used = block.static_bytes = 0;
    block.arrays.clear();
    if (block.cluster->blocks.size() > 1) block.touched.clear();
    for (unsigned i = 0; i < threads_in_block; ++i) {
        Thread& thread = block.threads[i];
        thread.block = &block;
        thread.number = i;
        thread.index = {i % blockDim.x, i / blockDim.x % blockDim.y, i / blockDim.x / blockDim.y};
        thread.clock = 1;
        thread.arrivals = thread.moment = thread.fenced = 0;
        thread.has_arrived = false;
    }
    memory_block_starts(block);
    for (unsigned i : thread_order) enqueue(block.threads[i]);
}

static void new_cluster() {
    clusters.push_back(std::make_unique<Cluster>());
    clusters.back()->blocks.resize(rank_order.size());
    for (unsigned rank : rank_order) {
        blocks.push_back(std::make_unique<Block>());
        blocks.back()->place = blocks.size() - 1;
        blocks.back()->cluster = clusters.back().get();
        clusters.back()->blocks[rank] = blocks.back().get();
    }
}

static void start_cluster(Cluster& cluster, uint32_t number) {
    const dim3 size = cluster_size, many = {gridDim.x / size.x, gridDim.y / size.y, gridDim.z / size.z};
    const uint3 at = {number % many.x, number / many.x % many.y, number / many.x / many.y};
    cluster.arrived = cluster.barriers = 0;
    cluster.collected.clear();
    cluster.told.clear();
    for (unsigned rank : rank_order) {
        const uint3 in = {rank % size.x, rank / size.x % size.y, rank / size.x / size.y};
        start_block(*cluster.blocks[rank], {at.x * size.x + in.x, at.y * size.y + in.y, at.z * size.z + in.z});
    }
}

// While it lives, denormals are zero, read or written (FTZ/DAZ); on x86-64 only.
struct Flushing {
#if defined(__x86_64__)
    const unsigned before = _mm_getcsr();
    explicit Flushing(bool flushes) { _mm_setcsr(before | (flushes ? 0x8040 : 0)); }
    ~Flushing() { _mm_setcsr(before); }
#else
    explicit Flushing(bool) {}
#endif
};

constexpr size_t MOST_ALIVE = 160 * 2048;  // threads of the largest GPUs: multiprocessors × threads of each

static void run(const Launch& asked) {
    const Flushing flushing(asked.flushes);
    blockDim = {asked.block[0], asked.block[1], asked.block[2]};
    gridDim = {asked.grid[0], asked.grid[1], asked.grid[2]};
    cluster_size = {asked.cluster[0], asked.cluster[1], asked.cluster[2]};
    const unsigned in_cluster = cluster_size.x * cluster_size.y * cluster_size.z;
    const size_t count = size_t(gridDim.x) * gridDim.y * gridDim.z;
    threads_in_block = blockDim.x * blockDim.y * blockDim.z;
    const size_t threads_in_grid = threads_in_block * count;
    if (asked.cooperative && threads_in_grid > MOST_ALIVE)
        fail("a cooperative launch of %zu threads: all must be alive at once, at most %zu", threads_in_grid, MOST_ALIVE);
    thread_order = in_order<unsigned>(threads_in_block, asked.order);
    lane_order = in_order<unsigned>(WARP, asked.order);
    rank_order = in_order<unsigned>(in_cluster, asked.order);
    queues.assign(asked.order != AHEAD ? 1 : asked.cooperative ? count : in_cluster, {});
    waiting_start(threads_in_grid);
    between_blocks_start(count);
    memory_start();
    for (uint32_t number : in_order<uint32_t>(count / in_cluster, asked.order)) {
        if (asked.cooperative || clusters.empty()) new_cluster();
        start_cluster(*clusters.back(), number);
        if (!asked.cooperative) run_ready();
    }
    run_ready();
}

}  // namespace cuda_on_cpu

// Returns null on success, else the error message; valid until the next launch.
extern "C" const char* cuda_on_cpu_launch(const cuda_on_cpu::Launch* asked) {
    using namespace cuda_on_cpu;
    launch = asked;
    failure.clear();
    blocks.clear();
    clusters.clear();
    epochs = 0;
    try {
        run(*asked);
    } catch (int) {
        for (auto& block : blocks)
            for (Thread& thread : block->threads)
                if (thread.stack) free_stacks.push_back(thread.stack);
    }
    current = nullptr;
    blocks.clear();
    clusters.clear();
    release_stacks();
    return failure.empty() ? nullptr : failure.c_str();
}

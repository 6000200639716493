// Runs a launch: the threads of a block are fibers of one processor thread, each of which runs until it waits for others.
//
// Blocks run one after the other, in the order asked for; in a cooperative launch all are alive at once. When nobody can
// run and somebody still waits, a barrier or a warp operation was not reached by all: that ends the launch with a message
// that names who waits and for whom. Errors leave the fibers where they are; nothing in them needs undoing.
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>

#include "fiber.h"
#include "machine_state.h"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace cuda_on_cpu {

const Launch* launch;
Thread* current;
uint32_t grid_epoch;

static void* machine_stack_pointer;
static std::string failure;
static std::vector<Thread*> ready;
static size_t next_ready;
static std::vector<unsigned> thread_order;
static std::vector<std::unique_ptr<Block>> blocks;
static std::vector<void*> free_stacks;
static uint32_t epochs;
static unsigned threads_in_block, grid_waiting;
static size_t threads_in_grid;
static constexpr uint64_t CANARY = 0x5afe57ac6b0770f5;

static std::string place(const char* what, const uint3& at) {
    char text[64];
    snprintf(text, sizeof text, "%s (%u, %u, %u)", what, at.x, at.y, at.z);
    return text;
}

static std::string whereabouts(const Thread& thread) {
    std::string line = " line " + std::to_string(thread.line);
    switch (thread.state) {
        case State::at_barrier: return "waits at the block's barrier in" + line;
        case State::at_warp_operation: return "waits at the warp operation in" + line;
        case State::at_grid_barrier: return "waits at the grid's barrier in" + line;
        case State::returned: return "has returned";
        case State::ready: return "runs";
    }
    return "";
}

// ---- Fibers ------------------------------------------------------------------------------------------------------

static void* new_stack() {
    if (free_stacks.empty()) {
        constexpr size_t count = 64;
        auto* memory = static_cast<char*>(mmap(nullptr, count * STACK_BYTES, PROT_READ | PROT_WRITE,
                                               MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
        if (memory == MAP_FAILED) fail("no memory for the stacks of so many threads");
        for (size_t i = count; i-- > 0;) free_stacks.push_back(memory + i * STACK_BYTES);
    }
    void* stack = free_stacks.back();
    free_stacks.pop_back();
    *static_cast<uint64_t*>(stack) = CANARY;
    return stack;
}

static void to_machine() {
    Thread* thread = current;
    current = nullptr;
    switch_fiber(&thread->stack_pointer, machine_stack_pointer);
}

void fail(const char* format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    failure = launch ? std::string(launch->kernel) + ", " : "";
    if (current) failure += place("block", current->block->index) + ", " + place("thread", current->index) + ": ";
    failure += text;
    if (current) to_machine();
    throw 0;  // from the machine itself: caught in cuda_on_cpu_launch
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

// ---- Where threads wait ------------------------------------------------------------------------------------------

static void make_ready(Block& block) {
    for (unsigned number : thread_order) {
        block.threads[number].state = State::ready;
        ++block.threads[number].clock;
        ready.push_back(&block.threads[number]);
    }
}

int block_barrier(Barrier kind, int predicate, int line) {
    Thread& thread = *current;
    Block& block = *thread.block;
    if (block.waiting == 0) {
        block.barrier_line = line;
        block.barrier_kind = kind;
        block.answer = kind == Barrier::all;
    } else if (line != block.barrier_line || kind != block.barrier_kind) {
        fail("reached the barrier in line %d while others of its block wait at the one in line %d", line,
             block.barrier_line);
    }
    if (kind == Barrier::count) block.answer += predicate != 0;
    if (kind == Barrier::any) block.answer |= predicate != 0;
    if (kind == Barrier::all) block.answer &= predicate != 0;
    thread.state = State::at_barrier;
    thread.line = line;
    if (++block.waiting == threads_in_block) {
        block.waiting = 0;
        block.epoch = ++epochs;
        for (Thread& each : block.threads) each.value = block.answer;
        make_ready(block);
    }
    to_machine();
    return static_cast<int>(thread.value);
}

void grid_barrier(int line) {
    Thread& thread = *current;
    if (!launch->cooperative) fail("grid sync in line %d, but the launch is not a cooperative one", line);
    thread.state = State::at_grid_barrier;
    thread.line = line;
    if (++grid_waiting == threads_in_grid) {
        grid_waiting = 0;
        for (auto& block : blocks) {
            block->epoch = ++epochs;
            make_ready(*block);
        }
        ++grid_epoch;
    }
    to_machine();
}

// What `thread` receives, now that all lanes of its mask have given their values.
static unsigned long long answer(const Thread& thread, const Thread* lanes) {
    const unsigned lane = thread.number % WARP;
    const unsigned mask = thread.mask;
    unsigned votes = 0;
    for (unsigned i = 0; i < WARP; ++i)
        if (mask >> i & 1) votes |= unsigned(lanes[i].value & 1) << i;
    const int first = int(lane) / thread.width * thread.width, last = first + thread.width - 1;
    int source = int(lane);
    switch (thread.kind) {
        case Warp::sync: return 0;
        case Warp::ballot: return votes;
        case Warp::any: return votes != 0;
        case Warp::all: return votes == mask;
        case Warp::shuffle: source = first + (thread.lane & (thread.width - 1)); break;
        case Warp::shuffle_up: source = int(lane) - thread.lane; break;
        case Warp::shuffle_down: source = int(lane) + thread.lane; break;
        case Warp::shuffle_xor: source = int(lane) ^ thread.lane; break;
    }
    if (thread.kind == Warp::shuffle_xor ? source > last : source < first || source > last) source = int(lane);
    if (!(mask >> source & 1))
        fail("%s: the shuffle in line %d reads from lane %d, which is not in its mask %#x",
             place("thread", thread.index).c_str(), thread.line, source, mask);
    return lanes[source].value;
}

unsigned long long warp_operation(Warp kind, unsigned mask, unsigned long long value, int lane, int width, int line) {
    Thread& thread = *current;
    Block& block = *thread.block;
    const unsigned warp = thread.number / WARP;
    Thread* lanes = &block.threads[warp * WARP];
    const unsigned exist = std::min(WARP, threads_in_block - warp * WARP);
    if (!(mask >> (thread.number % WARP) & 1))
        fail("the mask %#x of the warp operation in line %d is without the lane that calls it", mask, line);
    if (width < 1 || width > 32 || (width & (width - 1)))
        fail("the width %d of the shuffle in line %d is no power of two up to 32", width, line);
    for (unsigned i = 0; i < WARP; ++i) {
        if (!(mask >> i & 1)) continue;
        if (i >= exist) fail("the mask %#x in line %d names lane %u, but the warp has %u threads", mask, line, i, exist);
        if (lanes[i].state == State::returned)
            fail("the mask %#x in line %d names lane %u, whose thread has returned", mask, line, i);
    }
    thread.state = State::at_warp_operation;
    thread.kind = kind;
    thread.mask = mask;
    thread.value = value;
    thread.lane = lane;
    thread.width = width;
    thread.line = line;
    block.arrived[warp] |= 1u << (thread.number % WARP);
    if ((block.arrived[warp] & mask) == mask) {
        unsigned long long received[WARP] = {};
        for (unsigned i = 0; i < WARP; ++i) {
            if (!(mask >> i & 1)) continue;
            if (lanes[i].line != line || lanes[i].kind != kind)
                fail("is at the warp operation in line %d while lane %u of its mask is at the one in line %d", line, i,
                     lanes[i].line);
            if (lanes[i].mask != mask)
                fail("the warp operation in line %d has mask %#x here and %#x in lane %u", line, mask, lanes[i].mask, i);
            received[i] = answer(lanes[i], lanes);
        }
        block.arrived[warp] &= ~mask;
        memory_warp_meets(block, warp, mask);
        for (unsigned number : thread_order) {
            if (number / WARP != warp || !(mask >> (number % WARP) & 1)) continue;
            Thread& each = block.threads[number];
            each.value = received[number % WARP];
            each.state = State::ready;
            ready.push_back(&each);
        }
    }
    to_machine();
    return thread.value;
}

// Nobody can run: who waits, and for whom.
static void explain_standstill() {
    for (auto& block : blocks) {
        for (Thread& thread : block->threads) {
            if (thread.state == State::returned) continue;
            const unsigned warp = thread.number / WARP;
            for (auto& other_block : blocks) {
                for (Thread& other : other_block->threads) {
                    if (thread.state != State::at_grid_barrier && other.block != thread.block) continue;
                    if (thread.state == State::at_warp_operation &&
                        (other.number / WARP != warp || !(thread.mask >> (other.number % WARP) & 1)))
                        continue;
                    if (other.state == thread.state && other.line == thread.line) continue;
                    const std::string who = (other.block == thread.block ? "" : place("block", other_block->index) + ", ") +
                                            place("thread", other.index) + " " + whereabouts(other);
                    const char* what = thread.state == State::at_barrier          ? "barrier"
                                       : thread.state == State::at_warp_operation ? "warp operation"
                                                                                  : "grid sync";
                    failure = std::string(launch->kernel) + ", " + place("block", block->index) + ", " +
                              place("thread", thread.index) + ": " + what + " not reached by all: it " +
                              whereabouts(thread) + ", but " + who;
                    throw 0;
                }
            }
        }
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

static void run(const Launch& asked) {
    blockDim = {asked.block[0], asked.block[1], asked.block[2]};
    gridDim = {asked.grid[0], asked.grid[1], asked.grid[2]};
    const size_t count = size_t(gridDim.x) * gridDim.y * gridDim.z;
    threads_in_block = blockDim.x * blockDim.y * blockDim.z;
    threads_in_grid = threads_in_block * count;
    if (asked.cooperative && threads_in_grid > 65536)
        fail("a cooperative launch of %zu threads: all must be alive at once, at most 65536", threads_in_grid);
    thread_order = in_order<unsigned>(threads_in_block, asked.order);
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
    grid_waiting = epochs = grid_epoch = 0;
    try {
        run(*asked);
    } catch (int) {
        for (auto& block : blocks)
            for (Thread& thread : block->threads)
                if (thread.stack) free_stacks.push_back(thread.stack);
    }
    current = nullptr;
    blocks.clear();
    return failure.empty() ? nullptr : failure.c_str();
}

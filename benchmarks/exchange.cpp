// Time of what two workers exchange in a step by rows, with shared parameters and with a copy per worker.
//
//     g++ -O3 -march=native -pthread benchmarks/exchange.cpp -o exchange && ./exchange
//
// Each worker reads all parameters twice and writes its gradient; after a barrier, it adds the other's gradient for its
// half of the parameters and updates them; after a second barrier the next step begins. Shared: both workers read and
// update the same parameters. Copies: a worker also writes its half to the other's gradient, from which the other
// copies it. First quartiles of 1,000 steps, in microseconds.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

using Clock = std::chrono::steady_clock;

struct alignas(128) Turn { std::atomic<long> value{0}; };
static Turn turns[2];

static void barrier(int me, long &count) {
    turns[me].value.store(++count, std::memory_order_release);
    while (turns[1 - me].value.load(std::memory_order_acquire) < count) {}
}

struct Numbers {
    explicit Numbers(size_t size) : data(static_cast<float *>(std::aligned_alloc(4096, size * 4)), std::free) {
        std::memset(data.get(), 0, size * 4);
    }
    std::unique_ptr<float, void (*)(void *)> data;
};

static float sum(const float *x, size_t size) {
    float lanes[64] = {};
    for (size_t i = 0; i < size; i += 64)
        for (size_t k = 0; k < 64; k++) lanes[k] += x[i + k];
    float total = 0;
    for (float lane : lanes) total += lane;
    return total;
}

enum Part { RECEIVE, READ, GRADIENT, UPDATE, PARTS };

static void work(int me, float *parameters, float *const gradients[2], size_t size, bool copies, double out[PARTS]) {
    const size_t half = size / 2;
    float *gradient = gradients[me], *own = parameters + me * half, *others = parameters + (1 - me) * half;
    float *summand = gradients[1 - me] + me * half, *total = gradient + me * half;
    std::vector<double> times[PARTS];
    [[maybe_unused]] volatile float sink = 0;
    long count = 0;
    for (int step = 0; step < 1000; step++) {
        auto start = Clock::now();
        auto lap = [&](Part part) {
            std::atomic_thread_fence(std::memory_order_seq_cst);  // until all stores have been made
            auto now = Clock::now();
            times[part].push_back(std::chrono::duration<double, std::micro>(now - start).count());
            start = now;
        };
        if (copies) std::memcpy(others, gradient + (1 - me) * half, half * 4);
        lap(RECEIVE);
        sink = sum(parameters, size) + sum(parameters, size);
        lap(READ);
        for (size_t i = 0; i < size; i++) gradient[i] = static_cast<float>(step);
        lap(GRADIENT);
        barrier(me, count);
        start = Clock::now();
        for (size_t i = 0; i < half; i++) total[i] += summand[i];
        for (size_t i = 0; i < half; i++) own[i] -= 0.01f * total[i];
        if (copies) std::memcpy(summand, own, half * 4);
        lap(UPDATE);
        barrier(me, count);
    }
    for (int part = 0; part < PARTS; part++) {
        std::sort(times[part].begin(), times[part].end());
        out[part] = times[part][times[part].size() / 4];
    }
}

int main() {
    std::printf("%10s %8s %9s %7s %9s %8s %7s\n", "parameters", "", "receive", "read", "gradient", "update", "sum");
    for (size_t size : {4096, 16384, 65536, 131072, 262144, 524288}) {
        for (bool copies : {false, true}) {
            Numbers first(size), second(size), one(size), two(size);
            float *const gradients[2] = {one.data.get(), two.data.get()};
            double out[PARTS], unused[PARTS];
            turns[0].value = turns[1].value = 0;
            float *others = copies ? second.data.get() : first.data.get();
            std::thread other([&] { work(1, others, gradients, size, copies, unused); });
            work(0, first.data.get(), gradients, size, copies, out);
            other.join();
            double sum = out[RECEIVE] + out[READ] + out[GRADIENT] + out[UPDATE];
            std::printf("%10zu %8s %9.2f %7.2f %9.2f %8.2f %7.2f\n", size, copies ? "copies" : "shared", out[RECEIVE],
                        out[READ], out[GRADIENT], out[UPDATE], sum);
        }
    }
}

// Two layers, trained for many steps in one launch: a worker is a block and owns some of the hidden units.
//
// Its weights stay in its shared memory. The outputs need all workers: each writes its part of the sums, all wait, each adds
// all parts in the order of workers. Two buffers alternate, so one wait per step is enough: before a worker writes a buffer
// again it has waited, a step later, for all its readers. Workers are the blocks of a cluster, which write their parts to
// their own shared memory, or where CLUSTER is 1 those of a cooperative grid, which write them to `parts`.
#if CLUSTER == 1
#include <cooperative_groups.h>
#endif

__device__ __forceinline__ void wait_for_all() {
#if CLUSTER > 1
    __cluster_barrier_arrive();
    __cluster_barrier_wait();
#else
    cooperative_groups::this_grid().sync();
#endif
}

// weights: per worker those of its units, (inputs, units) and (units, outputs); parts: (2, workers, rows, outputs).
extern "C" __global__ void __cluster_dims__(CLUSTER, 1, 1) __launch_bounds__(128) train_steps(
    const float* x, const float* targets, float* weights, float* parts, float* losses, int rows, int inputs, int units,
    int outputs, int steps, float rate
) {
    extern __shared__ __align__(16) float memory[];
    const int worker = blockIdx.x, workers = gridDim.x;
    const int size = (inputs + outputs) * units, exchanged = rows * outputs;
    float* w1 = memory;
    float* w2 = w1 + inputs * units;
    float* hidden = w2 + units * outputs;
    float* hidden_gradient = hidden + rows * units;
    float* gradient = hidden_gradient + rows * units;
#if CLUSTER > 1
    float* buffers = gradient + exchanged;
#else
    float* buffers = parts;
#endif
    float* own_weights = weights + worker * size;
    for (int e = threadIdx.x; e < size; e += blockDim.x) memory[e] = own_weights[e];
    __syncthreads();
    for (int step = 0; step < steps; ++step) {
        const float* batch = x + step * rows * inputs;
        const float* wanted = targets + step * exchanged;
        for (int e = threadIdx.x; e < rows * units; e += blockDim.x) {
            float sum = 0.0f;
            for (int i = 0; i < inputs; ++i) sum += batch[e / units * inputs + i] * w1[i * units + e % units];
            hidden[e] = sum > 0.0f ? sum : 0.0f;
        }
        __syncthreads();
        const int turn = step % 2;
#if CLUSTER > 1
        float* part = buffers + turn * exchanged;
#else
        float* part = buffers + (turn * workers + worker) * exchanged;
#endif
        for (int e = threadIdx.x; e < exchanged; e += blockDim.x) {
            float sum = 0.0f;
            for (int u = 0; u < units; ++u) sum += hidden[e / outputs * units + u] * w2[u * outputs + e % outputs];
            part[e] = sum;
        }
        wait_for_all();  // for the parts
        for (int e = threadIdx.x; e < exchanged; e += blockDim.x) {
            float sum = 0.0f;
            for (int other = 0; other < workers; ++other) {
#if CLUSTER > 1
                sum += static_cast<const float*>(__cluster_map_shared_rank(part, other))[e];
#else
                sum += buffers[(turn * workers + other) * exchanged + e];
#endif
            }
            gradient[e] = (sum - wanted[e]) / rows;
        }
        __syncthreads();
        for (int e = threadIdx.x; e < rows * units; e += blockDim.x) {
            float sum = 0.0f;
            for (int o = 0; o < outputs; ++o) sum += gradient[e / units * outputs + o] * w2[e % units * outputs + o];
            hidden_gradient[e] = hidden[e] > 0.0f ? sum : 0.0f;
        }
        if (worker == 0 && threadIdx.x == 0) {
            float sum = 0.0f;
            for (int e = 0; e < exchanged; ++e) sum += gradient[e] * gradient[e];
            losses[step] = sum * rows / 2;
        }
        __syncthreads();
        for (int e = threadIdx.x; e < size; e += blockDim.x) {
            const bool second = e >= inputs * units;
            const int place = second ? e - inputs * units : e, columns = second ? outputs : units;
            const float* from = second ? hidden + place / columns : batch + place / columns;
            const float* to = (second ? gradient : hidden_gradient) + place % columns;
            float sum = 0.0f;
            for (int row = 0; row < rows; ++row) sum += from[row * (second ? units : inputs)] * to[row * columns];
            memory[e] -= rate * sum;
        }
        __syncthreads();
    }
#if CLUSTER > 1
    wait_for_all();  // no block returns while others read its shared memory
#endif
    for (int e = threadIdx.x; e < size; e += blockDim.x) own_weights[e] = memory[e];
}

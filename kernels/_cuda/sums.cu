// Sums over the threads of a block, in an order that depends on nothing but the block's size: each run gives the same
// bits. No atomics on floating-point numbers anywhere.

#include "_cuda/clock.cu"

constexpr int BLOCK = 256;  // threads of every block that sums
constexpr unsigned int ALL = 0xffffffffu;

// The sum over all threads of a block of BLOCK threads; valid in thread 0. Every thread of the block must come here.
__device__ __forceinline__ double block_sum(double value) {
    __shared__ double of_warp[BLOCK / 32];
    __syncthreads();  // thread 0 has read the sums of the time before
    for (int offset = 16; offset > 0; offset /= 2) value += __shfl_down_sync(ALL, value, offset);
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = value;
    __syncthreads();  // every warp has left its own
    double total = 0;
    if (threadIdx.x == 0) {
        for (int warp = 0; warp < BLOCK / 32; ++warp) total += of_warp[warp];
    }
    return total;
}

// Leaves a sum in total, or adds it to what is there.
__device__ __forceinline__ void leave(double sum, double* total, bool adds) {
    *total = adds ? *total + sum : sum;
}

// The second stage of sums: of the blocks' parts (count, sums), to totals (sums,) or added to them. Where there is a
// clock, the first is the loss of a step, which is over then. One block of BLOCK threads.
extern "C" __global__ void sum_parts(
    const double* parts, double* totals, long long* clock, int count, int sums, bool adds
) {
    for (int k = 0; k < sums; ++k) {
        double sum = 0;
        for (int i = threadIdx.x; i < count; i += BLOCK) sum += parts[i * sums + k];
        sum = block_sum(sum);
        if (threadIdx.x == 0) leave(sum, totals + k, adds);
    }
    if (threadIdx.x == 0 && clock != nullptr) end_step(clock, totals);
}

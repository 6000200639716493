// Sums over the threads of a block, in an order that depends on the block's size alone: every run gives the same bits.
// No atomics anywhere.

#include "_cuda/clock.cu"

constexpr int BLOCK = 256;  // threads of every block that sums
constexpr unsigned int ALL = 0xffffffffu;

// Returns the sum over all threads of a block of BLOCK threads; valid in thread 0. All threads of the block must call
// this.
__device__ __forceinline__ double block_sum(double value) {
    __shared__ double of_warp[BLOCK / 32];
    __syncthreads();  // until thread 0 has read the previous sums
    for (int offset = 16; offset > 0; offset /= 2) value += __shfl_down_sync(ALL, value, offset);
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = value;
    __syncthreads();  // until every warp has written its sum
    double total = 0;
    if (threadIdx.x == 0) {
        for (int warp = 0; warp < BLOCK / 32; ++warp) total += of_warp[warp];
    }
    return total;
}

// Writes a sum to total, or adds it.
__device__ __forceinline__ void leave(double sum, double* total, bool adds) {
    *total = adds ? *total + sum : sum;
}

// Second stage of sums: adds the blocks' parts (count, sums) and writes them to totals (sums,), or adds them. If there
// is a clock, the first sum is the loss of a step, which then ends. One block of BLOCK threads.
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

// Sums over the threads of a block, in an order that depends on nothing but the block's size: each run gives the same
// bits. No atomics on floating-point numbers anywhere.

constexpr int BLOCK = 256;  // threads of every block that sums
constexpr unsigned int ALL = 0xffffffffu;

// The sum over all threads of a block of BLOCK threads; valid in thread 0. Every thread of the block must come here,
// once in a kernel.
__device__ __forceinline__ double block_sum(double value) {
    __shared__ double of_warp[BLOCK / 32];
    for (int offset = 16; offset > 0; offset /= 2) value += __shfl_down_sync(ALL, value, offset);
    if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = value;
    __syncthreads();
    double total = 0;
    if (threadIdx.x == 0) {
        for (int warp = 0; warp < BLOCK / 32; ++warp) total += of_warp[warp];
    }
    return total;
}

// The second stage of a sum: that of the blocks' parts, to total[0]. One block of BLOCK threads.
extern "C" __global__ void sum_parts(const double* parts, double* total, int count) {
    double sum = 0;
    for (int i = threadIdx.x; i < count; i += BLOCK) sum += parts[i];
    sum = block_sum(sum);
    if (threadIdx.x == 0) total[0] = sum;
}

// Index of this thread in the grid, and number of threads: start and stride of a grid-stride loop.
__device__ __forceinline__ long long thread_in_grid() {
    return static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
}

__device__ __forceinline__ long long threads_in_grid() {
    return static_cast<long long>(gridDim.x) * blockDim.x;
}

// This thread's number in the grid, and how many threads there are: the start and the stride of a loop over elements.
__device__ __forceinline__ long long thread_in_grid() {
    return static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
}

__device__ __forceinline__ long long threads_in_grid() {
    return static_cast<long long>(gridDim.x) * blockDim.x;
}

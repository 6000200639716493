// The second stage of the bias gradient, apart because no activation is in it. Contract: the package's docstring.

#include "_cuda/columns.cu"

// db_j = the sum of parts_ij over the chunks i.
extern "C" __global__ void sum_columns(const REAL* parts, REAL* db, long long rows, long long columns) {
    __shared__ REAL shared[STRIP_THREADS];
    long long stride = static_cast<long long>(gridDim.x) * blockDim.x;
    for (long long start = static_cast<long long>(blockIdx.x) * blockDim.x; start < columns; start += stride) {
        long long column = start + threadIdx.x;
        REAL sums[1] = {};
        if (column < columns) {
            for (long long row = threadIdx.y; row < rows; row += blockDim.y) sums[0] += parts[row * columns + column];
        }
        sum_down<1>(sums, shared);
        if (threadIdx.y == 0 && column < columns) db[column] = sums[0];
    }
}

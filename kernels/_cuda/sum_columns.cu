// Second stage of sums down columns, a separate source because it is the same for all of them.

#include "_cuda/columns.cu"
#include "_cuda/packs.cu"

// out_j = sum of parts_ij over the chunks i.
extern "C" __global__ void sum_columns(const REAL* parts, REAL* out, int rows, int columns) {
    __shared__ REAL shared[STRIP_THREADS];
    const int stride = gridDim.x * blockDim.x;
    for (int start = blockIdx.x * blockDim.x; start < columns; start += stride) {
        const int column = start + threadIdx.x;
        REAL sums[1] = {};
        if (column < columns) {
            auto read = [=](int row) { return parts[static_cast<long long>(row) * columns + column]; };
            some_at_once<8>(threadIdx.y, blockDim.y, rows, read, [&](int, REAL part) { sums[0] += part; });
        }
        sum_down<1>(sums, shared);
        if (threadIdx.y == 0 && column < columns) out[column] = sums[0];
    }
}

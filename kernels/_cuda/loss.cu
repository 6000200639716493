// A loss over the rows of a batch, with its gradient, in one pass. LOSS is its name; the folder's gpu.cu says what a row
// does. Each block sums the losses of its rows in double; sum_parts adds up the blocks' sums.

#include "_cuda/rows.cu"
#include "_cuda/sums.cu"
#include "losses/LOSS/gpu.cu"

template <typename Target>
__device__ __forceinline__ void loss_of_rows(
    const REAL* scores, const Target* targets, const REAL* weights, REAL scale, REAL* out, double* parts,
    long long rows, long long columns, int group
) {
    int rows_at_once = BLOCK / group;
    long long stride = static_cast<long long>(gridDim.x) * rows_at_once;
    double sum = 0;
    for (long long start = static_cast<long long>(blockIdx.x) * rows_at_once; start < rows; start += stride) {
        Row row = row_of_thread(start, rows, columns, group);
        long long begin = row.number * columns;
        REAL w = weight(weights, row);
        REAL loss = loss::LOSS::row_loss(row, scores + begin, targets, w * scale, out + begin);
        if (row.present && row.lane == 0) sum += static_cast<double>(w) * static_cast<double>(loss);
    }
    sum = block_sum(sum);
    if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

extern "C" __global__ void __launch_bounds__(256) loss_of_values(
    const REAL* scores, const REAL* targets, const REAL* weights, REAL scale, REAL* out, double* parts,
    long long rows, long long columns, int group
) {
    loss_of_rows(scores, targets, weights, scale, out, parts, rows, columns, group);
}

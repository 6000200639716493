// A loss over the rows of a batch, with its gradient, in one launch. LOSS is its name; the folder's gpu.cu says what a row
// does. Each block sums the losses of its rows in double; sum_parts adds up the blocks' sums.

#include "_cuda/rows.cu"
#include "_cuda/sums.cu"
#include "losses/LOSS/gpu.cu"

template <typename Target>
__device__ __forceinline__ void loss_of_rows(
    const REAL* scores, const Target* targets, const REAL* weights, REAL scale, REAL* out, double* parts,
    long long rows, int columns, int group
) {
    double sum = 0;
    auto of_row = [&](auto& row, auto& numbers, auto& wanted, REAL* to) {
        REAL w = weight(weights, row);
        REAL loss = loss::LOSS::row_loss(row, numbers, wanted, w * scale, to);
        if (row.present && row.lane == 0) sum += static_cast<double>(w) * static_cast<double>(loss);
    };
    for_rows(scores, targets, out, rows, columns, group, of_row);
    sum = block_sum(sum);
    if (threadIdx.x == 0) parts[blockIdx.x] = sum;
}

extern "C" __global__ void __launch_bounds__(256, 2) loss_of_values(
    const REAL* scores, const REAL* targets, const REAL* weights, REAL scale, REAL* out, double* parts,
    long long rows, int columns, int group
) {
    loss_of_rows(scores, targets, weights, scale, out, parts, rows, columns, group);
}

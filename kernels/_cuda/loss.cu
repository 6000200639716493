// A loss over the rows of a batch, with its gradient, in one launch. LOSS is its name; the folder's gpu.cu defines the
// loss of a row. MEASURES is what else that launch sums: `loss_alone`, nothing, or `with_metric`, a metric. Each block
// sums its rows in double; sum_parts adds up the blocks' sums.

#include "_cuda/rows.cu"
#include "_cuda/sums.cu"
#include "losses/LOSS/gpu.cu"
#include "_cuda/MEASURES.cu"

// Sums go to totals if there is one block, else to parts (blocks, SUMS) for sum_parts. A training step has its scale in
// `numbers` and its clock to advance; otherwise both are null.
template <typename Target>
__device__ __forceinline__ void loss_of_rows(
    const REAL* scores, const Target* targets, const REAL* weights, REAL scale, const REAL* numbers, REAL threshold,
    REAL* out, double* parts, double* totals, long long* clock, bool adds, long long rows, int columns, int group
) {
    scale = number(scale, numbers, 0);
    double sums[SUMS] = {};
    auto of_row = [&](auto& row, auto& held, auto& wanted, REAL* to) {
        REAL w = weight(weights, row);
        double measured = row_metric(row, held, wanted, threshold);  // before the loss changes its inputs
        REAL loss = loss::LOSS::row_loss(row, held, wanted, w * scale, to);
        if (row.present && row.lane == 0) {
            sums[0] += static_cast<double>(w) * static_cast<double>(loss);
            if (SUMS > 1) sums[SUMS - 1] += static_cast<double>(w) * measured;
        }
    };
    for_rows(scores, targets, out, rows, columns, group, of_row);
    for (int k = 0; k < SUMS; ++k) {
        double sum = block_sum(sums[k]);
        if (threadIdx.x > 0) continue;
        if (gridDim.x > 1) {
            parts[blockIdx.x * SUMS + k] = sum;
        } else {
            leave(sum, totals + k, adds);
        }
    }
    if (threadIdx.x == 0 && gridDim.x == 1 && clock != nullptr) end_step(clock, totals);
}

extern "C" __global__ void __launch_bounds__(256, 2) loss_of_values(
    const REAL* scores, const REAL* targets, const REAL* weights, REAL scale, const REAL* numbers, REAL threshold,
    REAL* out, double* parts, double* totals, long long* clock, bool adds, long long rows, int columns, int group
) {
    loss_of_rows(
        scores, targets, weights, scale, numbers, threshold, out, parts, totals, clock, adds, rows, columns, group
    );
}

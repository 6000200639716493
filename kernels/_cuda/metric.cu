// A metric summed over the rows of a batch. METRIC is its name; the folder's gpu.cu defines the value of a row, in all
// threads that share the row. Each block sums its rows in double, to totals if it is the only one; otherwise sum_parts
// adds up the parts.

#include "_cuda/rows.cu"
#include "_cuda/sums.cu"
#include "metrics/METRIC/gpu.cu"

template <typename Target>
__device__ __forceinline__ void sum_of_rows(
    const REAL* scores, const Target* targets, const REAL* weights, REAL threshold, double* parts, double* totals,
    bool adds, long long rows, int columns, int group
) {
    double sum = 0;
    auto of_row = [&](auto& row, auto& numbers, auto& wanted, REAL*) {
        double value = metric::METRIC::value(row, numbers, wanted, threshold);
        if (row.present && row.lane == 0) sum += static_cast<double>(weight(weights, row)) * value;
    };
    for_rows(scores, targets, static_cast<REAL*>(nullptr), rows, columns, group, of_row);
    sum = block_sum(sum);
    if (threadIdx.x > 0) return;
    if (gridDim.x > 1) {
        parts[blockIdx.x] = sum;
    } else {
        leave(sum, totals, adds);
    }
}

extern "C" __global__ void __launch_bounds__(256, 2) metric_of_values(
    const REAL* scores, const REAL* targets, const REAL* weights, REAL threshold, double* parts, double* totals,
    bool adds, long long rows, int columns, int group
) {
    sum_of_rows(scores, targets, weights, threshold, parts, totals, adds, rows, columns, group);
}

extern "C" __global__ void __launch_bounds__(256, 2) metric_of_labels(
    const REAL* scores, const long long* targets, const REAL* weights, REAL threshold, double* parts, double* totals,
    bool adds, long long rows, int columns, int group
) {
    sum_of_rows(scores, targets, weights, threshold, parts, totals, adds, rows, columns, group);
}

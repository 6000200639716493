// A metric computed alongside the loss, on the same scores and targets. METRIC is its name.

#include "metrics/METRIC/gpu.cu"

constexpr int SUMS = 2;

template <typename RowOf, typename Scores, typename Targets>
__device__ __forceinline__ double row_metric(const RowOf& row, Scores& scores, Targets& targets, REAL threshold) {
    return metric::METRIC::value(row, scores, targets, threshold);
}

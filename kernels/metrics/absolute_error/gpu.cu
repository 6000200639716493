// Absolute error, row by row. Contract: the package's docstring.

namespace metric::absolute_error {

template <typename Walked, typename Scores, typename Targets>
__device__ __forceinline__ double value(const Walked& row, Scores& scores, Targets& targets, REAL) {
    double sum = 0;
    row.each(scores, targets, [&](int, REAL score, REAL t) {
        sum += fabs(static_cast<double>(score) - static_cast<double>(t));
    });
    return row_sum(row, sum) / static_cast<double>(row.columns);
}

}  // namespace metric::absolute_error

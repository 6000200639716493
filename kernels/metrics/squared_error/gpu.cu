// Squared error, row by row. Contract: the package's docstring.

namespace metric::squared_error {

template <typename Walked, typename Scores, typename Targets>
__device__ __forceinline__ double value(const Walked& row, Scores& scores, Targets& targets, REAL) {
    double sum = 0;
    row.each(scores, targets, [&](int, REAL score, REAL t) {
        double error = static_cast<double>(score) - static_cast<double>(t);
        sum += error * error;
    });
    return row_sum(row, sum) / static_cast<double>(row.columns);
}

}  // namespace metric::squared_error

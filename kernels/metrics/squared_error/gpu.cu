// Squared error, row by row. Contract: the package's docstring.

namespace metric::squared_error {

template <typename Target>
__device__ __forceinline__ double value(const Row& row, const REAL* scores, const Target* targets, REAL) {
    double sum = 0;
    for (long long k = row.first(); k < row.columns; k += row.group) {
        double score = scores[row.number * row.columns + k];
        double error = score - static_cast<double>(target(targets, row, k));
        sum += error * error;
    }
    return row_sum(row, sum) / static_cast<double>(row.columns);
}

}  // namespace metric::squared_error

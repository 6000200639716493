// Binary accuracy, row by row. Contract: the package's docstring.

namespace metric::binary_accuracy {

template <typename Target>
__device__ __forceinline__ double value(const Row& row, const REAL* scores, const Target* targets, REAL threshold) {
    int right = 0;
    for (long long k = row.first(); k < row.columns; k += row.group) {
        bool predicted = scores[row.number * row.columns + k] > threshold;
        right += predicted == (target(targets, row, k) > REAL(0.5));
    }
    return static_cast<double>(row_sum(row, right)) / static_cast<double>(row.columns);
}

}  // namespace metric::binary_accuracy

// Categorical accuracy, row by row. Contract: the package's docstring.

namespace metric::categorical_accuracy {

struct Best {
    REAL value;
    int place;
};

// The larger number, the first where both are equal; a NaN counts as the largest, as in NumPy.
__device__ __forceinline__ Best better(Best a, Best b) {
    bool a_is_nan = a.value != a.value, b_is_nan = b.value != b.value;
    bool equal = a.value == b.value || (a_is_nan && b_is_nan);
    bool b_wins = equal ? b.place < a.place : !a_is_nan && (b_is_nan || b.value > a.value);
    return b_wins ? b : a;
}

// Index of the largest of the row's numbers.
__device__ __forceinline__ int largest_place(const Row& row, const REAL* matrix) {
    const REAL* numbers = matrix + row.number * row.columns;
    Best best = {REAL(0), 0};
    if (row.present) best = {numbers[row.any()], static_cast<int>(row.any())};
    for (long long k = row.first(); k < row.columns; k += row.group) {
        best = better(best, {numbers[k], static_cast<int>(k)});
    }
    for (int offset = row.group / 2; offset > 0; offset /= 2) {
        Best other = {__shfl_xor_sync(WARP, best.value, offset), __shfl_xor_sync(WARP, best.place, offset)};
        best = better(best, other);
    }
    return best.place;
}

__device__ __forceinline__ long long label(const REAL* targets, const Row& row) {
    return largest_place(row, targets);
}

__device__ __forceinline__ long long label(const long long* labels, const Row& row) {
    return row.present ? labels[row.number] : 0;
}

template <typename Target>
__device__ __forceinline__ double value(const Row& row, const REAL* scores, const Target* targets, REAL) {
    int predicted = largest_place(row, scores);
    return predicted == label(targets, row) ? 1.0 : 0.0;
}

}  // namespace metric::categorical_accuracy

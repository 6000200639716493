// Categorical accuracy, row by row. Contract: the package's docstring.

namespace metric::categorical_accuracy {

struct Best {
    REAL value;
    int place;
};

// Returns the larger number, the first if both are equal; NaN counts as the largest, as in NumPy.
__device__ __forceinline__ Best better(Best a, Best b) {
    bool a_is_nan = a.value != a.value, b_is_nan = b.value != b.value;
    bool equal = a.value == b.value || (a_is_nan && b_is_nan);
    bool b_wins = equal ? b.place < a.place : !a_is_nan && (b_is_nan || b.value > a.value);
    return b_wins ? b : a;
}

constexpr int NOWHERE = 0x7fffffff;

// Index of the maximum of the row's numbers.
template <typename Walked, typename Numbers>
__device__ __forceinline__ int largest_place(const Walked& row, Numbers& numbers) {
    int first = row.lane * Walked::AT_ONCE;
    Best best = {Limits<REAL>::minus_infinity(), first < row.columns ? first : NOWHERE};  // loses against every number but -inf
    row.each(numbers, [&](int k, REAL number) {
        bool wins = number > best.value || (number != number && best.value == best.value);  // k only grows
        if (wins) best = {number, k};
    });
    for (int offset = row.group / 2; offset > 0; offset /= 2) {
        Best other = {__shfl_xor_sync(WARP, best.value, offset), __shfl_xor_sync(WARP, best.place, offset)};
        best = better(best, other);
    }
    return best.place;
}

template <typename Walked, typename Numbers>
__device__ __forceinline__ int label(const Walked& row, Numbers& targets) {
    return largest_place(row, targets);
}

template <typename Walked, int WIDTH>
__device__ __forceinline__ int label(const Walked&, OneHot<WIDTH>& target) {
    return target.label;
}

template <typename Walked, typename Scores, typename Targets>
__device__ __forceinline__ double value(const Walked& row, Scores& scores, Targets& targets, REAL) {
    int predicted = largest_place(row, scores);
    return predicted == label(row, targets) ? 1.0 : 0.0;
}

}  // namespace metric::categorical_accuracy

// Binary accuracy, row by row. Contract: the package's docstring.

namespace metric::binary_accuracy {

template <typename Walked, typename Scores, typename Targets>
__device__ __forceinline__ double value(const Walked& row, Scores& scores, Targets& targets, REAL threshold) {
    int right = 0;
    row.each(scores, targets, [&](int, REAL score, REAL t) { right += (score > threshold) == (t > REAL(0.5)); });
    return static_cast<double>(row_sum(row, right)) / static_cast<double>(row.columns);
}

}  // namespace metric::binary_accuracy

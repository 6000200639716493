// Sum of squared errors, row by row. Contract: the package's docstring.

namespace loss::sum_squared_error {

// Loss of the row, the same in all its threads; `factor` times its gradient goes to out.
template <typename Walked, typename Scores, typename Targets>
__device__ __forceinline__ REAL row_loss(
    const Walked& row, Scores& predictions, Targets& targets, REAL factor, REAL* out
) {
    REAL loss = REAL(0);
    row.map(predictions, targets, out, [&](int, REAL y, REAL t) {
        REAL difference = y - t;
        loss += difference * difference;
        return difference * factor;
    });
    return row_sum(row, loss) * REAL(0.5);
}

}  // namespace loss::sum_squared_error

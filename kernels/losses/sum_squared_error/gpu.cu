// Sum of squared errors, row by row. Contract: the package's docstring.

namespace loss::sum_squared_error {

// Returns the loss of the row, the same in all its threads; writes `factor` times its gradient to out.
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

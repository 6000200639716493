// Mean squared error, row by row. Contract: the package's docstring.

namespace loss::mean_squared_error {

// Returns the loss of the row, the same in all its threads; writes `factor` times its gradient to out.
template <typename Walked, typename Scores, typename Targets>
__device__ __forceinline__ REAL row_loss(
    const Walked& row, Scores& predictions, Targets& targets, REAL factor, REAL* out
) {
    REAL outputs = REAL(row.columns), step = REAL(2) * factor / outputs, loss = REAL(0);
    row.map(predictions, targets, out, [&](int, REAL y, REAL t) {
        REAL difference = y - t;
        loss += difference * difference;
        return difference * step;
    });
    return row_sum(row, loss) / outputs;
}

}  // namespace loss::mean_squared_error

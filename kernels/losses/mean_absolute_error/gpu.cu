// Mean absolute error, row by row, written by dnnkit.formula.write_losses.

namespace loss::mean_absolute_error {

// Loss of the row, the same in all its threads; `factor` times its gradient goes to out.
template <typename Walked, typename Scores, typename Targets>
__device__ __forceinline__ REAL row_loss(
    const Walked& row, Scores& predictions, Targets& targets, REAL factor, REAL* out
) {
    REAL outputs = REAL(row.columns), step = factor / outputs, loss = REAL(0);
    row.map(predictions, targets, out, [&](int, REAL y, REAL t) {
        REAL difference = y - t;
        REAL v0 = fabs(difference);
        bool v1 = difference < REAL(0.0);
        REAL v2 = v1 ? REAL(-1.0) : REAL(0.0);
        bool v3 = difference > REAL(0.0);
        REAL v4 = v3 ? REAL(1.0) : v2;
        loss += v0;
        return step * v4;
    });
    return row_sum(row, loss) / outputs;
}

}  // namespace loss::mean_absolute_error

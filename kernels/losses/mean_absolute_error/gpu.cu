// Mean absolute error, row by row, written by dnnkit.formula.write_losses.

namespace loss::mean_absolute_error {

// Loss of the row, the same in all its threads; `factor` times its gradient goes to out.
template <typename Target>
__device__ __forceinline__ REAL row_loss(
    const Row& row, const REAL* predictions, const Target* targets, REAL factor, REAL* out
) {
    REAL outputs = REAL(row.columns), step = factor / outputs, loss = REAL(0);
    for (long long k = row.first(); k < row.columns; k += row.group) {
        REAL y = predictions[k], t = target(targets, row, k);
        REAL difference = y - t;
        REAL v0 = fabs(difference);
        bool v1 = difference < REAL(0.0);
        REAL v2 = v1 ? REAL(-1.0) : REAL(0.0);
        bool v3 = difference > REAL(0.0);
        REAL v4 = v3 ? REAL(1.0) : v2;
        loss += v0;
        out[k] = step * v4;
    }
    return row_sum(row, loss) / outputs;
}

}  // namespace loss::mean_absolute_error

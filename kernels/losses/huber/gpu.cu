// Huber's loss, row by row, written by dnnkit.formula.write_losses.

namespace loss::huber {

// Loss of the row, the same in all its threads; `factor` times its gradient goes to out.
template <typename Walked, typename Scores, typename Targets>
__device__ __forceinline__ REAL row_loss(
    const Walked& row, Scores& predictions, Targets& targets, REAL factor, REAL* out,
    REAL delta = REAL(1.0)
) {
    REAL outputs = REAL(row.columns), step = factor / outputs, loss = REAL(0);
    row.map(predictions, targets, out, [&](int, REAL y, REAL t) {
        REAL difference = y - t;
        REAL v0 = fabs(difference);
        bool v1 = REAL(delta) >= v0;
        REAL v2 = REAL(delta) * REAL(0.5);
        REAL v3 = v0 - v2;
        REAL v4 = REAL(delta) * v3;
        REAL v5 = difference * difference;
        REAL v6 = v5 * REAL(0.5);
        REAL v7 = v1 ? v6 : v4;
        bool v8 = difference < REAL(0.0);
        REAL v9 = v8 ? REAL(-1.0) : REAL(0.0);
        bool v10 = difference > REAL(0.0);
        REAL v11 = v10 ? REAL(1.0) : v9;
        REAL v12 = REAL(delta) * v11;
        REAL v13 = v1 ? difference : v12;
        loss += v7;
        return step * v13;
    });
    return row_sum(row, loss) / outputs;
}

}  // namespace loss::huber

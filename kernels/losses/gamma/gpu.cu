// Gamma deviance, row by row, written by dnnkit.formula.write_losses.

namespace loss::gamma {

// Loss of the row, the same in all its threads; `factor` times its gradient goes to out.
template <typename Walked, typename Scores, typename Targets>
__device__ __forceinline__ REAL row_loss(
    const Walked& row, Scores& predictions, Targets& targets, REAL factor, REAL* out
) {
    REAL outputs = REAL(row.columns), step = factor / outputs, loss = REAL(0);
    row.map(predictions, targets, out, [&](int, REAL y, REAL t) {
        REAL v0 = y + REAL(1e-07);
        REAL v1 = REAL(1.0) / v0;
        REAL v2 = v1 * t;
        REAL v3 = v2 * REAL(2.0);
        REAL v4 = log(v2);
        REAL v5 = v4 * REAL(2.0);
        REAL v6 = v3 - v5;
        REAL v7 = v6 - REAL(2.0);
        REAL v8 = v1 * REAL(2.0);
        REAL v9 = t * REAL(2.0);
        REAL v10 = v0 * v0;
        REAL v11 = v9 / v10;
        REAL v12 = v8 - v11;
        loss += v7;
        return step * v12;
    });
    return row_sum(row, loss) / outputs;
}

}  // namespace loss::gamma

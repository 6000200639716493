// Log-cosh loss, row by row, written by dnnkit.formula.write_losses.

namespace loss::log_cosh {

// Loss of the row, the same in all its threads; `factor` times its gradient goes to out.
template <typename Walked, typename Scores, typename Targets>
__device__ __forceinline__ REAL row_loss(
    const Walked& row, Scores& predictions, Targets& targets, REAL factor, REAL* out
) {
    REAL outputs = REAL(row.columns), step = factor / outputs, loss = REAL(0);
    row.map(predictions, targets, out, [&](int, REAL y, REAL t) {
        REAL difference = y - t;
        REAL v0 = fabs(difference);
        REAL v1 = v0 * REAL(-2.0);
        REAL v2 = expm1(v1);
        REAL v3 = exp(v1);
        REAL v4 = log1p(v3);
        REAL v5 = v0 + v4;
        REAL v6 = v5 - REAL(0.6931471805599453);
        bool v7 = difference < REAL(0.0);
        REAL v8 = v7 ? REAL(-1.0) : REAL(0.0);
        bool v9 = difference > REAL(0.0);
        REAL v10 = v9 ? REAL(1.0) : v8;
        REAL v11 = v2 * v10;
        REAL v12 = v2 + REAL(2.0);
        REAL v13 = v11 / v12;
        REAL v14 = -v13;
        loss += v6;
        return step * v14;
    });
    return row_sum(row, loss) / outputs;
}

}  // namespace loss::log_cosh

// Squared hinge loss, row by row, written by dnnkit.formula.write_losses.

namespace loss::squared_hinge {

// Loss of the row, the same in all its threads; `factor` times its gradient goes to out.
template <typename Walked, typename Scores, typename Targets>
__device__ __forceinline__ REAL row_loss(
    const Walked& row, Scores& predictions, Targets& targets, REAL factor, REAL* out
) {
    REAL outputs = REAL(row.columns), step = factor / outputs, loss = REAL(0);
    row.map(predictions, targets, out, [&](int, REAL y, REAL t) {
        REAL v0 = t - REAL(0.5);
        bool v1 = v0 < REAL(0.0);
        REAL v2 = v1 ? REAL(-1.0) : REAL(0.0);
        bool v3 = v0 > REAL(0.0);
        REAL v4 = v3 ? REAL(1.0) : v2;
        REAL v5 = v4 * y;
        REAL v6 = REAL(1.0) - v5;
        bool v7 = v6 < REAL(0.0);
        REAL v8 = v7 ? REAL(0.0) : v6;
        REAL v9 = v8 * v8;
        bool v10 = v5 < REAL(1.0);
        REAL v11 = -v4;
        REAL v12 = v10 ? v11 : REAL(0.0);
        REAL v13 = v8 * v12;
        REAL v14 = v13 * REAL(2.0);
        loss += v9;
        return step * v14;
    });
    return row_sum(row, loss) / outputs;
}

}  // namespace loss::squared_hinge

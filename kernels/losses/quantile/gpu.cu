// Quantile loss, or pinball loss, row by row, written by dnnkit.formula.write_losses.

namespace loss::quantile {

// Loss of the row, the same in all its threads; `factor` times its gradient goes to out.
template <typename Walked, typename Scores, typename Targets>
__device__ __forceinline__ REAL row_loss(
    const Walked& row, Scores& predictions, Targets& targets, REAL factor, REAL* out,
    REAL quantile = REAL(0.5)
) {
    REAL outputs = REAL(row.columns), step = factor / outputs, loss = REAL(0);
    row.map(predictions, targets, out, [&](int, REAL y, REAL t) {
        REAL difference = y - t;
        bool v0 = difference < REAL(0.0);
        REAL v1 = REAL(1.0) - REAL(quantile);
        REAL v2 = v1 * difference;
        REAL v3 = difference * REAL(quantile);
        REAL v4 = -v3;
        REAL v5 = v0 ? v4 : v2;
        REAL v6 = -REAL(quantile);
        REAL v7 = v0 ? v6 : v1;
        loss += v5;
        return step * v7;
    });
    return row_sum(row, loss) / outputs;
}

}  // namespace loss::quantile

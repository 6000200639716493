// Poisson loss, row by row, written by dnnkit.formula.write_losses.

namespace loss::poisson {

// Loss of the row, the same in all its threads; `factor` times its gradient goes to out.
template <typename Walked, typename Scores, typename Targets>
__device__ __forceinline__ REAL row_loss(
    const Walked& row, Scores& predictions, Targets& targets, REAL factor, REAL* out
) {
    REAL outputs = REAL(row.columns), step = factor / outputs, loss = REAL(0);
    row.map(predictions, targets, out, [&](int, REAL y, REAL t) {
        REAL v0 = y + REAL(1e-07);
        REAL v1 = log(v0);
        REAL v2 = t * v1;
        REAL v3 = y - v2;
        REAL v4 = t / v0;
        REAL v5 = REAL(1.0) - v4;
        loss += v3;
        return step * v5;
    });
    return row_sum(row, loss) / outputs;
}

}  // namespace loss::poisson

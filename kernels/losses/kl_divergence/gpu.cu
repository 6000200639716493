// Kullback-Leibler divergence, row by row, written by dnnkit.formula.write_losses.

namespace loss::kl_divergence {

// Loss of the row, the same in all its threads; `factor` times its gradient goes to out.
template <typename Walked, typename Scores, typename Targets>
__device__ __forceinline__ REAL row_loss(
    const Walked& row, Scores& predictions, Targets& targets, REAL factor, REAL* out
) {
    REAL step = factor, loss = REAL(0);
    row.map(predictions, targets, out, [&](int, REAL y, REAL t) {
        bool v0 = y < REAL(1e-07);
        REAL v1 = v0 ? REAL(1e-07) : y;
        REAL v2 = REAL(1.0) / v1;
        bool v3 = t < REAL(1e-30);
        REAL v4 = v3 ? REAL(1e-30) : t;
        REAL v5 = v2 * v4;
        REAL v6 = log(v5);
        REAL v7 = t * v6;
        bool v8 = y > REAL(1e-07);
        REAL v9 = v8 ? REAL(1.0) : REAL(0.0);
        REAL v10 = v2 * t;
        REAL v11 = v10 * v9;
        REAL v12 = -v11;
        loss += v7;
        return step * v12;
    });
    return row_sum(row, loss);
}

}  // namespace loss::kl_divergence

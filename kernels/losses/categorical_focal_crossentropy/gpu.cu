// Categorical focal loss, row by row, written by dnnkit.formula.write_losses.

namespace loss::categorical_focal_crossentropy {

// Loss of the row, the same in all its threads; `factor` times its gradient goes to out.
template <typename Walked, typename Scores, typename Targets>
__device__ __forceinline__ REAL row_loss(
    const Walked& row, Scores& predictions, Targets& targets, REAL factor, REAL* out,
    REAL gamma = REAL(2.0),
    REAL alpha = REAL(0.25)
) {
    REAL step = factor, loss = REAL(0);
    row.map(predictions, targets, out, [&](int, REAL y, REAL t) {
        bool v0 = y < REAL(1e-07);
        REAL v1 = v0 ? REAL(1e-07) : y;
        bool v2 = v1 > REAL(0.9999999);
        REAL v3 = v2 ? REAL(0.9999999) : v1;
        REAL v4 = REAL(1.0) - v3;
        REAL v5 = pow(v4, REAL(gamma));
        REAL v6 = t * REAL(alpha);
        REAL v7 = v6 * v5;
        REAL v8 = log(v3);
        REAL v9 = v7 * v8;
        bool v10 = v1 < REAL(0.9999999);
        bool v11 = y > REAL(1e-07);
        REAL v12 = v11 ? REAL(1.0) : REAL(0.0);
        REAL v13 = v10 ? v12 : REAL(0.0);
        REAL v14 = -v9;
        REAL v15 = v9 * v13;
        REAL v16 = v15 * REAL(gamma);
        REAL v17 = v16 / v4;
        REAL v18 = v7 * v13;
        REAL v19 = v18 / v3;
        REAL v20 = v17 - v19;
        loss += v14;
        return step * v20;
    });
    return row_sum(row, loss);
}

}  // namespace loss::categorical_focal_crossentropy

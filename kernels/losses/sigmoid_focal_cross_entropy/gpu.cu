// Sigmoid and binary focal loss, row by row, written by dnnkit.formula.write_losses.

namespace loss::sigmoid_focal_cross_entropy {

// Loss of the row, the same in all its threads; `factor` times its gradient goes to out.
template <typename Walked, typename Scores, typename Targets>
__device__ __forceinline__ REAL row_loss(
    const Walked& row, Scores& predictions, Targets& targets, REAL factor, REAL* out,
    REAL gamma = REAL(2.0),
    REAL positive = REAL(1.0),
    REAL negative = REAL(1.0)
) {
    REAL outputs = REAL(row.columns), step = factor / outputs, loss = REAL(0);
    row.map(predictions, targets, out, [&](int, REAL y, REAL t) {
        REAL v0 = fabs(y);
        REAL v1 = -v0;
        REAL v2 = exp(v1);
        REAL v3 = log1p(v2);
        REAL v4 = REAL(1.0) - t;
        REAL v5 = v2 + REAL(1.0);
        REAL v6 = REAL(1.0) / v5;
        bool v7 = y >= REAL(0.0);
        REAL v8 = v7 ? v2 : REAL(1.0);
        REAL v9 = v6 * t;
        REAL v10 = v9 * v8;
        REAL v11 = v7 ? REAL(1.0) : v2;
        REAL v12 = v4 * v6;
        REAL v13 = v12 * v11;
        REAL v14 = v10 + v13;
        bool v15 = v14 < REAL(1e-07);
        REAL v16 = v15 ? REAL(1e-07) : v14;
        REAL v17 = pow(v16, REAL(gamma));
        REAL v18 = v7 ? y : REAL(0.0);
        REAL v19 = v3 + v18;
        REAL v20 = v4 * REAL(negative);
        REAL v21 = v20 * v19;
        REAL v22 = -y;
        REAL v23 = v7 ? REAL(0.0) : v22;
        REAL v24 = v3 + v23;
        REAL v25 = t * REAL(positive);
        REAL v26 = v25 * v24;
        REAL v27 = v21 + v26;
        REAL v28 = v17 * v27;
        REAL v29 = v6 * v6;
        REAL v30 = v13 * REAL(negative);
        REAL v31 = v10 * REAL(positive);
        REAL v32 = v30 - v31;
        REAL v33 = v17 * v32;
        bool v34 = v14 > REAL(1e-07);
        REAL v35 = v2 * v29;
        REAL v36 = v35 * v4;
        REAL v37 = v35 * t;
        REAL v38 = v36 - v37;
        REAL v39 = v34 ? v38 : REAL(0.0);
        REAL v40 = v28 * REAL(gamma);
        REAL v41 = v40 * v39;
        REAL v42 = v41 / v16;
        REAL v43 = v33 + v42;
        loss += v28;
        return step * v43;
    });
    return row_sum(row, loss) / outputs;
}

}  // namespace loss::sigmoid_focal_cross_entropy

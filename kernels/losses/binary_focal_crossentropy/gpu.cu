// Binary focal loss, row by row, written by dnnkit.formula.write_losses.

namespace loss::binary_focal_crossentropy {

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
        bool v0 = y < REAL(1e-07);
        REAL v1 = v0 ? REAL(1e-07) : y;
        bool v2 = v1 > REAL(0.9999999);
        REAL v3 = v2 ? REAL(0.9999999) : v1;
        REAL v4 = REAL(1.0) - v3;
        REAL v5 = REAL(1.0) - t;
        REAL v6 = v3 * v5;
        REAL v7 = v4 * t;
        REAL v8 = v6 + v7;
        REAL v9 = pow(v8, REAL(gamma));
        REAL v10 = -v3;
        REAL v11 = log1p(v10);
        REAL v12 = v5 * REAL(negative);
        REAL v13 = v12 * v11;
        REAL v14 = -v13;
        REAL v15 = log(v3);
        REAL v16 = t * REAL(positive);
        REAL v17 = v16 * v15;
        REAL v18 = v14 - v17;
        REAL v19 = v9 * v18;
        bool v20 = v1 < REAL(0.9999999);
        bool v21 = y > REAL(1e-07);
        REAL v22 = v21 ? REAL(1.0) : REAL(0.0);
        REAL v23 = v20 ? v22 : REAL(0.0);
        REAL v24 = v23 * t;
        REAL v25 = v5 * v23;
        REAL v26 = v25 * REAL(negative);
        REAL v27 = v26 / v4;
        REAL v28 = v24 * REAL(positive);
        REAL v29 = v28 / v3;
        REAL v30 = v27 - v29;
        REAL v31 = v9 * v30;
        REAL v32 = v25 - v24;
        REAL v33 = v19 * REAL(gamma);
        REAL v34 = v33 * v32;
        REAL v35 = v34 / v8;
        REAL v36 = v31 + v35;
        loss += v19;
        return step * v36;
    });
    return row_sum(row, loss) / outputs;
}

}  // namespace loss::binary_focal_crossentropy

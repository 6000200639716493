// Categorical cross-entropy on probabilities, row by row. Contract: the package's docstring.

namespace loss::categorical_crossentropy {

constexpr REAL LOW = REAL(1e-7);

// Returns the loss of the row, the same in all its threads; writes `factor` times its gradient to out.
template <typename Walked, typename Scores, typename Targets>
__device__ __forceinline__ REAL row_loss(
    const Walked& row, Scores& predictions, Targets& targets, REAL factor, REAL* out
) {
    REAL loss = REAL(0);
    row.map(predictions, targets, out, [&](int, REAL y, REAL t) {
        REAL p = y < LOW ? LOW : y;
        loss -= t * log(p);
        return y > LOW || y != y ? -factor * t / p : REAL(0);  // NaN must propagate
    });
    return row_sum(row, loss);
}

}  // namespace loss::categorical_crossentropy

// Categorical cross-entropy on probabilities, row by row. Contract: the package's docstring.

namespace loss::categorical_crossentropy {

constexpr REAL LOW = REAL(1e-7);

// Loss of the row, the same in all its threads; `factor` times its gradient goes to out.
template <typename Target>
__device__ __forceinline__ REAL row_loss(
    const Row& row, const REAL* predictions, const Target* targets, REAL factor, REAL* out
) {
    REAL loss = REAL(0);
    for (long long k = row.first(); k < row.columns; k += row.group) {
        REAL y = predictions[k], t = target(targets, row, k);
        REAL p = y < LOW ? LOW : y;
        loss -= t * log(p);
        out[k] = y > LOW || y != y ? -factor * t / p : REAL(0);  // a NaN must come through
    }
    return row_sum(row, loss);
}

}  // namespace loss::categorical_crossentropy

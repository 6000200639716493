// Binary cross-entropy on probabilities, row by row. Contract: the package's docstring.

namespace loss::binary_crossentropy {

constexpr REAL LOW = REAL(1e-7), HIGH = REAL(1 - 1e-7);

// Returns the loss of the row, the same in all its threads; writes `factor` times its gradient to out.
template <typename Walked, typename Scores, typename Targets>
__device__ __forceinline__ REAL row_loss(
    const Walked& row, Scores& predictions, Targets& targets, REAL factor, REAL* out
) {
    REAL outputs = REAL(row.columns), step = factor / outputs, loss = REAL(0);
    row.map(predictions, targets, out, [&](int, REAL y, REAL t) {
        REAL p = y < LOW ? LOW : (y > HIGH ? HIGH : y);
        loss -= t * log(p) + (REAL(1) - t) * log1p(-p);
        bool inside = (LOW < y && y < HIGH) || y != y;  // NaN must propagate
        return inside ? step * (p - t) / (p * (REAL(1) - p)) : REAL(0);
    });
    return row_sum(row, loss) / outputs;
}

}  // namespace loss::binary_crossentropy
